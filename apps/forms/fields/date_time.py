import re
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields import date, time
from apps.forms.fields.base import Cleaner, Refused, Settings, plain_text
from formhub.core.layout import Kind

SHAPE = re.compile(r"([0-9-]{10})[T ]([0-9:]{5})")
SAMPLE_TIME = "14:30"


class DateTime(date.Date):
    """A day and a time of the clock where it is meant: no time zone. The limits are days, both included."""

    name = "date_time"
    label = gettext_lazy("Date and time")
    kind = Kind.DATETIME
    accessibility = "type=datetime-local: the browser's own picker, and typing works; the hint tells the limits."

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T({time.CLOCK.pattern})$"}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        clean_day = super().cleaner(settings, region)

        def clean(value: Any) -> str | None:
            answer = plain_text(value)
            if answer is None:
                return None
            parts = SHAPE.fullmatch(answer.strip())
            if parts is None:
                raise Refused("invalid_date_time", _("Enter day and time, for example 2026-12-31 14:30."))
            return f"{clean_day(parts[1])}T{time.parsed(parts[2])}"

        return clean

    def display(self, settings: Settings, value: Any, language: str) -> str:
        try:
            return date_format(datetime.fromisoformat(value), "DATETIME_FORMAT") if value else ""
        except ValueError:
            return str(value)

    def sample(self, settings: Settings, region: str) -> str:
        return f"{super().sample(settings, region)}T{SAMPLE_TIME}"
