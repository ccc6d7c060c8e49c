import re
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Cleaner, FieldType, Refused, Settings
from formhub.core.layout import Kind

SMALLEST, LARGEST = -(2**63), 2**63 - 1  # what Postgres, JSON readers and the log's consumers hold exactly
DIGITS = re.compile(r"[+-]?[0-9]{1,40}")


class Integer(FieldType):
    """A whole number of 64 bits, as a number or in ASCII digits."""

    name = "integer"
    label = gettext_lazy("Whole number")
    kind = Kind.NUMBER
    settings = {
        "min": {
            "type": "integer",
            "minimum": SMALLEST,
            "maximum": LARGEST,
            "title": "Smallest",
            "description": "The smallest number to take.",
        },
        "max": {
            "type": "integer",
            "minimum": SMALLEST,
            "maximum": LARGEST,
            "title": "Largest",
            "description": "The largest number to take.",
        },
    }
    accessibility = "A text input with inputmode=numeric: no spin buttons that change the number by accident."

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        if "min" in settings and "max" in settings and settings["min"] > settings["max"]:
            yield "min", _("Is above the largest number.")

    def schema(self, settings: Settings) -> dict[str, Any]:
        minimum, maximum = settings.get("min", SMALLEST), settings.get("max", LARGEST)
        return {"type": "integer", "minimum": int(minimum), "maximum": int(maximum)}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        return clean

    def sample(self, settings: Settings, region: str) -> int:
        return int(max(settings.get("min", SMALLEST), min(settings.get("max", LARGEST), 42)))


def clean(value: Any) -> int | None:
    if type(value) is str:
        value = value.strip()
        if not value:
            return None
        if not DIGITS.fullmatch(value):
            raise _refused()
        return int(value)
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    raise _refused()


def _refused() -> Refused:
    return Refused("invalid_integer", _("Enter a whole number in digits, for example 42."))
