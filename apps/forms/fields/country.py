import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from babel import Locale, UnknownLocaleError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Cleaner, Element, FieldType, Refused, Settings, plain_text
from formhub.core.layout import Kind

# Of the two-letter codes of Unicode's CLDR those that are no country: unions, islands of others, codes for tests.
_NONE = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"}
# ISO 3166-1, and XK for Kosovo, which has no code there.
CODES = sorted(code for code in map(str, Locale("en").territories) if len(code) == 2 and code not in _NONE)
LIST: dict[str, Any] = {"type": "array", "items": {"type": "string", "enum": CODES}, "uniqueItems": True}


class Country(FieldType):
    """A country by its code of two letters (ISO 3166-1); its name is shown in the language of the page."""

    name = "country"
    label = gettext_lazy("Country")
    kind = Kind.CHOICE
    settings = {
        "only": {
            **LIST,
            "minItems": 1,
            "title": "Only these",
            "description": 'Codes of the countries to choose from, such as ["DE", "IN"]; all if left out.',
        },
        "first": {
            **LIST,
            "default": [],
            "maxItems": 20,
            "title": "First",
            "description": "Codes of countries that stand at the top of the list as well.",
        },
    }
    accessibility = "A select tied to its label; the first, empty entry asks to choose, so that nothing is preset."

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        for number, code in enumerate(settings["first"]):
            if code not in settings.get("only", CODES):
                yield f"first[{number}]", _("Is not among the countries to choose from.")

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "string", "enum": sorted(settings.get("only", CODES))}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        known = frozenset(settings.get("only", CODES))

        def clean(value: Any) -> str | None:
            answer = plain_text(value)
            if answer is None:
                return None
            if (code := answer.strip().upper()) not in known:
                raise Refused("not_a_choice", _("Choose one of the listed answers."))
            return code

        return clean

    def cell_labels(self, settings: Settings, language: str) -> dict[str, str]:
        names = country_names(language)
        return {code: names[code] for code in settings.get("only", CODES)}

    def display(self, settings: Settings, value: Any, language: str) -> str:
        return "" if value is None else country_names(language).get(str(value), str(value))

    def sample(self, settings: Settings, region: str) -> str:
        only: list[str] = settings.get("only", [region if region in CODES else "IN"])
        return only[0]

    def context(self, element: Element, value: Any, language: str) -> dict[str, Any]:
        settings = self.complete(element.settings)
        labels = self.cell_labels(settings, language)
        chosen = value.strip().upper() if isinstance(value, str) else ""
        order = [*settings["first"], *sorted(labels, key=lambda code: _plain(labels[code]))]
        # Of a country that stands there twice the first entry is the chosen one: the later one would win.
        return {
            "choices": [
                {
                    "value": code,
                    "label": labels[code],
                    "chosen": code == chosen and code not in order[:place],
                    "exclusive": False,
                }
                for place, code in enumerate(order)
            ],
            "other": False,
        }

    @property
    def template(self) -> str:
        return "forms/fields/dropdown.html"


@lru_cache(maxsize=100)
def country_names(language: str) -> dict[str, str]:
    """By code, in the language, or in English where nobody wrote them down in it."""
    english = Locale("en").territories
    try:
        known = Locale.parse(language, sep="-").territories
    except (UnknownLocaleError, ValueError):
        known = english
    return {code: str(known.get(code) or english[code]) for code in CODES}


def _plain(name: str) -> str:
    """What a name is sorted by: its letters without their marks, so that Österreich stands beside Oman."""
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter)
    ).lower()
