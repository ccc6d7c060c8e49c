import hashlib
import re
from collections.abc import Iterator
from typing import Any

import orjson
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import TEXT, Cleaner, Element, FieldType, Refused, Settings, Text, text
from apps.forms.fields.yes_no import parsed
from formhub.core.layout import Kind

VERSION = re.compile(r"[0-9a-f]{12}")


class Consent(FieldType):
    """Agreement to a text. Kept is the version of the text agreed to: 12 digits of its SHA-256.

    The time is the submission's own `accepted_at`: one more time in the answers would make the same answers differ
    from try to try. A page sends the version it showed; `true` or "yes" mean the text as it stands now. Not agreeing
    is no answer.
    """

    name = "consent"
    label = gettext_lazy("Consent")
    kind = Kind.CHOICE
    grouped = True
    prefillable = False  # a box that somebody else has ticked is no consent
    settings = {
        "text": {
            **TEXT,
            "title": "Text",
            "description": "What one agrees to. A changed text is a new version; consent given stays tied to its own.",
        },
    }
    accessibility = "One checkbox whose own label is the text; the question is the fieldset's legend."

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        if not settings.get("text"):
            yield "text", _("Write what one agrees to.")

    def texts(self, settings: Settings) -> Iterator[tuple[str, Text]]:
        if "text" in settings:
            yield "text", settings["text"]

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "string", "const": version(settings["text"])}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        current = version(settings["text"])

        def clean(value: Any) -> str | None:
            if value == current:
                return current
            if type(value) is str and VERSION.fullmatch(value.strip()):
                raise Refused("consent_changed", _("The text has changed. Read it again and agree to it."))
            return current if parsed(value) else None

        return clean

    def cell_labels(self, settings: Settings, language: str) -> dict[str, str]:
        current = version(settings["text"])
        return {current: _("Agreed (text %(version)s)") % {"version": current}}

    def display(self, settings: Settings, value: Any, language: str) -> str:
        return _("Agreed (text %(version)s)") % {"version": value} if value else ""

    def sample(self, settings: Settings, region: str) -> str:
        return version(settings["text"])

    def context(self, element: Element, value: Any, language: str) -> dict[str, Any]:
        words = element.settings.get("text", "")
        current = version(words)
        return {"text": text(words, language), "version": current, "chosen": value == current}


def version(words: Text) -> str:
    """12 hexadecimal digits of the SHA-256 of the text in all its languages."""
    return hashlib.sha256(orjson.dumps(words, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]
