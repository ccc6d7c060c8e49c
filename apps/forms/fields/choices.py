"""What the choice types share: settings, look-up of an answer, the free text of "other"."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.forms.fields.base import TEXT, Element, FieldType, Refused, Settings, Text, plain_text, text
from formhub.core.layout import Kind

OTHER = "_other"  # what the input of "other" sends beside its text; no choice can have this value
OTHER_LIMIT = 500
CHOICE: dict[str, Any] = {
    "type": ["string", "object"],
    "minLength": 1,
    "maxLength": 200,
    "properties": {
        "value": {"type": "string", "minLength": 1, "maxLength": 200},
        "label": TEXT,
        "exclusive": {"type": "boolean"},
    },
    "required": ["value"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: Text
    exclusive: bool = False


def choices(settings: Settings) -> list[Choice]:
    """The choices of complete settings; one written as a string is its own label."""
    return [_choice(item) for item in settings["choices"]]


def _choice(item: str | Mapping[str, Any]) -> Choice:
    if isinstance(item, str):
        return Choice(item, item)
    return Choice(item["value"], item.get("label", item["value"]), item.get("exclusive", False))


class ChoiceType(FieldType):
    """Common ground of the choice types. The stored value never changes with the words shown for it."""

    kind = Kind.CHOICE
    settings = {
        "choices": {
            "type": "array",
            "maxItems": 1_000,
            "items": CHOICE,
            "default": [],
            "title": "Choices",
            "description": 'A list: "Red", or {"value": "r", "label": "Red"}; the value is stored and stays.',
        },
        "other": {
            "type": "boolean",
            "default": False,
            "title": "Other",
            "description": "true: one may write an answer of one's own, up to 500 characters.",
        },
        "shuffle": {
            "type": "boolean",
            "default": False,
            "title": "Shuffle",
            "description": "true: shown in an order of its own to each person.",
        },
    }
    accessibility = "A fieldset whose legend is the label; every choice has a label of its own."

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        values: set[str] = set()
        if not settings["choices"]:
            yield "choices", _("Add at least one choice.")
        for number, choice in enumerate(choices(settings)):
            if choice.value in values:
                yield f"choices[{number}]", _("Another choice has this value already.")
            if choice.value != choice.value.strip() or choice.value.startswith("_"):
                yield f"choices[{number}]", _("A value neither begins with _ nor begins or ends with a space.")
            values.add(choice.value)

    def texts(self, settings: Settings) -> Iterator[tuple[str, Text]]:
        for number, item in enumerate(settings.get("choices", [])):
            if isinstance(item, Mapping) and "label" in item:
                yield f"choices[{number}].label", item["label"]

    def item_schema(self, settings: Settings) -> dict[str, Any]:
        if settings["other"]:
            longest = max([OTHER_LIMIT, *(len(choice.value) for choice in choices(settings))])
            return {"type": "string", "minLength": 1, "maxLength": longest}
        return {"type": "string", "enum": [choice.value for choice in choices(settings)]}

    def cell_labels(self, settings: Settings, language: str) -> dict[str, str]:
        return {choice.value: text(choice.label, language) for choice in choices(settings)}

    def display(self, settings: Settings, value: Any, language: str) -> str:
        labels = self.cell_labels(settings, language)
        values = value if isinstance(value, list) else [] if value is None else [value]
        return ", ".join(labels.get(str(item), str(item)) for item in values)

    def context(self, element: Element, value: Any, language: str) -> dict[str, Any]:
        settings = self.complete(element.settings)
        chosen = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str) and item]
        known = self.cell_labels(settings, language)
        own = next((item for item in chosen if item not in known and item != OTHER), "")
        return {
            "choices": [
                {
                    "value": choice.value,
                    "label": known[choice.value],
                    "chosen": choice.value in chosen,
                    "exclusive": choice.exclusive,
                }
                for choice in choices(settings)
            ],
            "other": settings["other"],
            "other_value": OTHER,
            "other_text": own,
            "other_chosen": bool(own) or OTHER in chosen,
            "other_limit": OTHER_LIMIT,
            "shuffle": settings["shuffle"],
        }


def picked(value: Any) -> list[str]:
    """What was ticked and written, blanks left out: from a string, or a list as forms send repeated names."""
    if type(value) is str:
        return [] if not value or value.isspace() else [_answer(value)]
    if type(value) is list and len(value) <= 2_000:
        return [_answer(item) for item in value if plain_text(item) is not None]
    raise Refused("invalid_type", _("Send the value of a choice as text."), expected="string")


def _answer(value: str) -> str:
    answer = plain_text(value)
    return answer.strip() if answer else ""


def own_text(written: list[str]) -> str:
    """The one free text of "other". Refuses none and several."""
    if not written:
        raise Refused("other_text", _("Write what you mean by other."))
    if len(written) > 1 or len(written[0]) > OTHER_LIMIT:
        raise Refused(
            "other_text",
            _("Write one answer of your own, of at most %(limit)s characters.") % {"limit": OTHER_LIMIT},
            limit=OTHER_LIMIT,
        )
    return written[0]
