import re
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Cleaner, FieldType, Refused, Settings, plain_text

CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
PATTERN = f"^({CLOCK.pattern})$"
LIMIT = {"type": "string", "pattern": PATTERN}


class Time(FieldType):
    """A time of day to the minute, of the clock where it is meant: no time zone."""

    name = "time"
    label = gettext_lazy("Time")
    settings = {
        "min": {**LIMIT, "title": "Earliest", "description": "Hours and minutes: 09:00."},
        "max": {**LIMIT, "title": "Latest", "description": "Hours and minutes: 17:30."},
    }
    accessibility = "type=time: the browser's own picker, and typing works; the hint tells the limits in words."

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        if "min" in settings and "max" in settings and settings["min"] > settings["max"]:
            yield "min", _("Is after the latest time.")

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "string", "pattern": PATTERN}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        earliest, latest = settings.get("min", "00:00"), settings.get("max", "23:59")

        def clean(value: Any) -> str | None:
            answer = plain_text(value)
            if answer is None:
                return None
            answer = parsed(answer.strip())
            if answer < earliest:
                raise Refused("min_value", _("Enter %(limit)s or later.") % {"limit": earliest}, limit=earliest)
            if answer > latest:
                raise Refused("max_value", _("Enter %(limit)s or earlier.") % {"limit": latest}, limit=latest)
            return answer

        return clean

    def rule(self, settings: Settings) -> str:
        if "min" in settings and "max" in settings:
            return _("Between %(min)s and %(max)s.") % settings
        if "min" in settings:
            return _("Not earlier than %(min)s.") % settings
        return _("Not later than %(max)s.") % settings if "max" in settings else ""

    def sample(self, settings: Settings, region: str) -> str:
        return str(max(settings.get("min", "00:00"), min(settings.get("max", "23:59"), "14:30")))


def parsed(answer: str) -> str:
    """Hours and minutes as in 14:30. Refuses other spellings; strings of that form sort as times do."""
    if CLOCK.fullmatch(answer):
        return answer
    raise Refused("invalid_time", _("Enter the time in hours and minutes, for example 14:30."))
