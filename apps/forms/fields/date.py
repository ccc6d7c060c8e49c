import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Cleaner, FieldType, Refused, Settings, plain_text
from formhub.core.layout import Kind

ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
RELATIVE = re.compile(r"today([+-][0-9]{1,5})?")
# Nobody says where they are: a limit of today holds wherever on Earth it is still, or already, that day.
FIRST_TO_SEE_A_DAY, LAST_TO_SEE_A_DAY = timedelta(hours=14), timedelta(hours=-12)
LIMIT = {"type": "string", "pattern": "^([0-9]{4}-[0-9]{2}-[0-9]{2}|today([+-][0-9]{1,5})?)$"}


class Date(FieldType):
    name = "date"
    label = gettext_lazy("Date")
    kind = Kind.DATE
    settings = {
        "min": {**LIMIT, "title": "Earliest", "description": "2026-12-31, today, or days from today: today-30."},
        "max": {**LIMIT, "title": "Latest", "description": "2026-12-31, today, or days from today: today+30."},
    }
    accessibility = "type=date: the browser's own picker, and typing works; the hint tells the limits in words."

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        try:
            limits = {name: limit(settings[name], LAST_TO_SEE_A_DAY) for name in self.settings if name in settings}
        except (ValueError, OverflowError):
            yield "min" if not _exists(settings.get("min")) else "max", _("There is no such day.")
            return
        if len(limits) == 2 and limits["min"] > limits["max"]:
            yield "min", _("Is after the latest date.")

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "string", "format": "date"}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        earliest, latest = settings.get("min"), settings.get("max")

        def clean(value: Any) -> str | None:
            answer = plain_text(value)
            if answer is None:
                return None
            answer = answer.strip()
            day = parsed(answer)
            if earliest is not None and day < (bound := limit(earliest, LAST_TO_SEE_A_DAY)):
                message = _("Enter %(limit)s or a later date.") % {"limit": bound.isoformat()}
                raise Refused("min_value", message, limit=bound.isoformat())
            if latest is not None and day > (bound := limit(latest, FIRST_TO_SEE_A_DAY)):
                message = _("Enter %(limit)s or an earlier date.") % {"limit": bound.isoformat()}
                raise Refused("max_value", message, limit=bound.isoformat())
            return answer

        return clean

    def rule(self, settings: Settings) -> str:
        facts = {name: _spoken(settings[name]) for name in ("min", "max") if name in settings}
        if len(facts) == 2:
            return _("From %(min)s to %(max)s.") % facts
        if "min" in facts:
            return _("Not before %(min)s.") % facts
        return _("Not after %(max)s.") % facts if facts else ""

    def display(self, settings: Settings, value: Any, language: str) -> str:
        try:
            return date_format(date.fromisoformat(value)) if value else ""
        except ValueError:
            return str(value)

    def sample(self, settings: Settings, region: str) -> str:
        day = date(2026, 1, 31)
        if "min" in settings:
            day = max(day, limit(settings["min"], FIRST_TO_SEE_A_DAY))
        if "max" in settings:
            day = min(day, limit(settings["max"], LAST_TO_SEE_A_DAY))
        return day.isoformat()


def parsed(answer: str) -> date:
    """Year, month and day as in 2026-12-31. Refuses other spellings and days that do not exist."""
    if ISO.fullmatch(answer):
        try:
            return date.fromisoformat(answer)
        except ValueError as error:
            raise Refused("invalid_date", _("There is no such day; check day and month.")) from error
    raise Refused("invalid_date", _("Enter the date as year-month-day, for example 2026-12-31."))


def limit(setting: str, offset: timedelta) -> date:
    """The day a limit stands for, "today" being the day at that offset from UTC."""
    relative = RELATIVE.fullmatch(setting)
    if relative is None:
        return date.fromisoformat(setting)
    return (datetime.now(UTC) + offset).date() + timedelta(days=int(relative[1] or 0))


def _spoken(setting: str) -> str:
    return _("today") if setting == "today" else date_format(limit(setting, timedelta()))


def _exists(setting: str | None) -> bool:
    try:
        return setting is None or bool(limit(setting, LAST_TO_SEE_A_DAY))
    except (ValueError, OverflowError):
        return False
