from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import TEXT, Cleaner, Element, FieldType, Refused, Settings, Text, text
from formhub.core.layout import Kind

YES = frozenset({"true", "yes", "on", "1", "y"})
NO = frozenset({"false", "no", "off", "0", "n"})


class YesNo(FieldType):
    name = "yes_no"
    label = gettext_lazy("Yes or no")
    kind = Kind.BOOLEAN
    grouped = True
    settings = {
        "yes_label": {**TEXT, "title": "Word for yes", "description": "Shown instead of Yes."},
        "no_label": {**TEXT, "title": "Word for no", "description": "Shown instead of No."},
    }
    accessibility = "Two radio buttons in a fieldset whose legend is the label: both answers are said in words."

    def texts(self, settings: Settings) -> Any:
        yield from ((name, settings[name]) for name in self.settings if name in settings)

    def schema(self, settings: Settings) -> dict[str, Any]:
        return {"type": "boolean"}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        return parsed

    def cell_labels(self, settings: Settings, language: str) -> dict[str, str]:
        # Words only where the owner chose some: a table's own true and false can be counted and filtered.
        chosen: dict[str, Text] = {"true": settings.get("yes_label", ""), "false": settings.get("no_label", "")}
        return {value: text(words, language) for value, words in chosen.items() if words}

    def display(self, settings: Settings, value: Any, language: str) -> str:
        if value is None:
            return ""
        own = self.cell_labels(settings, language)
        return own.get("true", _("Yes")) if value else own.get("false", _("No"))

    def sample(self, settings: Settings, region: str) -> bool:
        return True

    def context(self, element: Element, value: Any, language: str) -> dict[str, Any]:
        settings = self.complete(element.settings)
        try:
            given = None if value is None else parsed(value)
        except Refused:
            given = None
        answers = (("yes", True), ("no", False))
        return {
            "choices": [
                {"value": word, "label": self.display(settings, answer, language), "chosen": answer is given}
                for word, answer in answers
            ]
        }


def parsed(value: Any) -> bool | None:
    """true and false, 1 and 0, or one of their words in any case; None for a blank."""
    if type(value) is bool:
        return value
    word = str(value).strip().lower() if type(value) in {str, int} else "?"
    if word in YES:
        return True
    if word in NO:
        return False
    if not word:
        return None
    raise Refused("invalid_boolean", _("Answer yes or no."))
