from collections.abc import Iterator
from typing import Any

import re2
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Cleaner, Element, FieldType, Refused, Settings, plain_text

# The tokens of HTML that let a browser fill in what it knows about the person (WCAG 1.3.5), save those of other types.
AUTOCOMPLETE = (
    *("name", "honorific-prefix", "given-name", "additional-name", "family-name", "honorific-suffix", "nickname"),
    *("organization", "organization-title", "street-address", "address-line1", "address-line2", "address-line3"),
    *("address-level1", "address-level2", "address-level3", "postal-code", "country", "country-name", "language"),
)
# RE2 takes time linear in the text, whatever the pattern; this bounds what compiling one may take.
PATTERN_MEMORY_BYTES = 1_000_000


class ShortText(FieldType):
    """One line. Kept as sent, spaces included; a blank one counts as no answer."""

    name = "short_text"
    label = gettext_lazy("Short text")
    longest = 2_000
    rows = 1
    settings = {
        "min_length": {
            "type": "integer",
            "minimum": 0,
            "maximum": 50_000,
            "default": 0,
            "title": "Shortest answer",
            "description": "Characters an answer needs.",
        },
        "max_length": {
            "type": "integer",
            "minimum": 1,
            "maximum": 50_000,
            "default": 500,
            "title": "Longest answer",
            "description": "Characters an answer may have.",
        },
        "pattern": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "title": "Pattern",
            "description": "A regular expression (RE2 syntax) that the whole answer must match.",
        },
        "example": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "title": "Example",
            "description": "An answer that fits; shown when one does not. A pattern needs it.",
        },
        "autocomplete": {
            "enum": list(AUTOCOMPLETE),
            "title": "Filled in by browsers",
            "description": "What of a person is asked, as name or postal-code: browsers then offer to fill it in.",
        },
    }

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        if settings["min_length"] > settings["max_length"]:
            yield "min_length", _("Is above the longest answer.")
        if settings["max_length"] > self.longest:
            yield "max_length", _("Must be %(limit)s or less.") % {"limit": self.longest}
        if "pattern" in settings:
            yield from self._check_pattern(settings)

    def _check_pattern(self, settings: Settings) -> Iterator[tuple[str, str]]:
        try:
            matches = _compiled(settings["pattern"])
        except re2.error as error:
            yield "pattern", _("Cannot be used as a pattern (RE2 syntax): %(reason)s") % {"reason": error}
            return
        if "example" not in settings:
            yield "example", _("Give an example that fits the pattern.")
        elif not matches.fullmatch(settings["example"]):
            yield "example", _("Does not match the pattern.")

    def schema(self, settings: Settings) -> dict[str, Any]:
        limits = {"minLength": settings["min_length"]} if settings["min_length"] else {}
        return {"type": "string", "maxLength": settings["max_length"], **limits}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        if "pattern" not in settings:
            return plain_text
        matches, longest, example = _compiled(settings["pattern"]), settings["max_length"], settings["example"]

        def clean(value: Any) -> str | None:
            answer = plain_text(value)
            # One that is too long is the schema's to refuse.
            if answer is None or len(answer) > longest or matches.fullmatch(answer):
                return answer
            message = _("Use the expected form, for example: %(example)s") % {"example": example}
            raise Refused("pattern", message, example=example)

        return clean

    def sample(self, settings: Settings, region: str) -> str:
        if "example" in settings:
            return str(settings["example"])
        filled = "Sample text ".ljust(settings["min_length"], "x")
        return filled[: settings["max_length"]].rstrip() if len(filled) > settings["min_length"] else filled

    def context(self, element: Element, value: Any, language: str) -> dict[str, Any]:
        return {"rows": self.rows}


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY_BYTES
    options.log_errors = False
    return re2.compile(pattern, options)
