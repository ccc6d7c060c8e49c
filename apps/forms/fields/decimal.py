import re
from collections.abc import Iterator
from decimal import Decimal
from math import isfinite
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Cleaner, FieldType, Refused, Settings
from formhub.core.layout import Kind

BOUND = 2**53 - 1  # up to here every whole number is a double of its own
EXACT_DIGITS = 15  # a decimal of this many digits comes back from a double unchanged
DIGITS = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{1,40})?|\.[0-9]{1,40})")


class DecimalNumber(FieldType):
    """A number kept as a JSON number: exactly the decimal that was sent, or it is refused.

    Every reader of JSON takes numbers for doubles, so only decimals that a double gives back digit by digit are
    taken; a string would have kept more digits and lost sums, sorting and charts everywhere else. Doubles order as
    the decimals they stand for, which is why the limits can be left to the JSON Schema.
    """

    name = "decimal"
    label = gettext_lazy("Number")
    kind = Kind.NUMBER
    settings = {
        "min": {
            "type": "number",
            "minimum": -BOUND,
            "maximum": BOUND,
            "title": "Smallest",
            "description": "The smallest number to take.",
        },
        "max": {
            "type": "number",
            "minimum": -BOUND,
            "maximum": BOUND,
            "title": "Largest",
            "description": "The largest number to take.",
        },
        "decimal_places": {
            "type": "integer",
            "minimum": 0,
            "maximum": 15,
            "title": "Decimal places",
            "description": "How many digits may follow the point (zeros at the end do not count).",
        },
    }
    accessibility = "A text input with inputmode=decimal: no spin buttons that change the number by accident."

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        if "min" in settings and "max" in settings and settings["min"] > settings["max"]:
            yield "min", _("Is above the largest number.")

    def schema(self, settings: Settings) -> dict[str, Any]:
        minimum, maximum = settings.get("min", -BOUND), settings.get("max", BOUND)
        return {"type": "number", "minimum": minimum, "maximum": maximum}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        places = settings.get("decimal_places")

        def clean(value: Any) -> float | int | None:
            number = parsed(value)
            if number is not None and places is not None and decimal_places(number) > places:
                raise Refused("decimal_places", _places_message(places), limit=places)
            return number

        return clean

    def sample(self, settings: Settings, region: str) -> float | int:
        number: float | int = max(settings.get("min", -BOUND), min(settings.get("max", BOUND), 7))
        return number


def parsed(value: Any) -> float | int | None:
    """The JSON number for an answer: an int where it is whole, else a double that stands for the same decimal."""
    if type(value) is str:
        value = value.strip()
        if not value:
            return None
        if not DIGITS.fullmatch(value):
            raise _refused()
        return _exact(value)
    if type(value) is float and isfinite(value):
        return _whole_if_equal(value)
    if type(value) is int:
        return value
    raise _refused()


def _exact(digits: str) -> float | int:
    number = float(digits)
    if len(digits) > EXACT_DIGITS and Decimal(repr(number)) != Decimal(digits):
        if abs(number) > BOUND:
            return _whole_if_equal(number)
        raise Refused("too_many_digits", _("Shorten the number to %(limit)s digits.") % {"limit": EXACT_DIGITS})
    return _whole_if_equal(number)


def _whole_if_equal(number: float) -> float | int:
    return int(number) if number.is_integer() else number


def decimal_places(number: float | int) -> int:
    if type(number) is int:
        return 0
    digits = repr(number)
    if "e" in digits:
        return max(0, -int(Decimal(digits).as_tuple().exponent))
    return len(digits) - digits.index(".") - 1


def _places_message(places: int) -> str:
    if places == 0:
        return _("Enter a whole number.")
    return _("Give at most %(limit)s digits after the point.") % {"limit": places}


def _refused() -> Refused:
    return Refused("invalid_number", _("Enter a number in digits with a point, for example 8.5."))
