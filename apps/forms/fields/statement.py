from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext_lazy

from apps.forms.fields.base import TEXT, Element, FieldType, Settings, Text, text


class Statement(FieldType):
    """Words between questions, shown as written, line by line. It holds no answer."""

    name = "statement"
    label = gettext_lazy("Statement")
    answerable = False
    settings = {"text": {**TEXT, "default": "", "title": "Text", "description": "What to say."}}
    accessibility = "A paragraph in the reading order; its label, if any, is a heading."

    def texts(self, settings: Settings) -> Iterator[tuple[str, Text]]:
        if "text" in settings:
            yield "text", settings["text"]

    def context(self, element: Element, value: Any, language: str) -> dict[str, Any]:
        return {"text": text(element.settings.get("text", ""), language)}
