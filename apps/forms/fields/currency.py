from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from babel import Locale
from babel.numbers import get_currency_precision
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Cleaner, Element, Settings
from apps.forms.fields.decimal import DecimalNumber
from formhub.core.layout import Column

CODES = sorted(Locale("en").currencies)  # ISO 4217, former ones included


class Currency(DecimalNumber):
    """An amount of money in one currency, with no more decimal places than it has; kept as a number, see `decimal`."""

    name = "currency"
    label = gettext_lazy("Amount of money")
    settings = {
        "currency": {
            "type": "string",
            "enum": CODES,
            "title": "Currency",
            "description": "Its code of three letters, such as EUR or INR.",
        },
        "min": {**DecimalNumber.settings["min"], "title": "Smallest", "description": "The smallest amount to take."},
        "max": {**DecimalNumber.settings["max"], "title": "Largest", "description": "The largest amount to take."},
    }
    accessibility = "A text input with inputmode=decimal; the hint names the currency, not a sign in the input alone."

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        if "currency" not in settings:
            yield "currency", _("Choose the currency of the amount.")
        yield from super().check(settings)

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        return super().cleaner({**settings, "decimal_places": _places(settings)}, region)

    def column(self, element: Element, language: str) -> Column:
        column = super().column(element, language)
        return replace(column, label=f"{column.label} ({element.settings['currency']})")

    def display(self, settings: Settings, value: Any, language: str) -> str:
        return "" if value is None else f"{value:.{_places(settings)}f} {settings['currency']}"

    def rule(self, settings: Settings) -> str:
        return _("In %(currency)s.") % {"currency": settings["currency"]} if "currency" in settings else ""

    @property
    def template(self) -> str:
        return "forms/fields/decimal.html"


def _places(settings: Settings) -> int:
    return int(get_currency_precision(settings["currency"]))
