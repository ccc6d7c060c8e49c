"""What the types have in common that ask for one number of a few: radio buttons, never a preset answer."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from apps.forms.fields import integer
from apps.forms.fields.base import TEXT, Cleaner, Element, FieldType, Settings, Text, text
from formhub.core.layout import Kind

END_LABELS: Mapping[str, Mapping[str, Any]] = {
    "min_label": {**TEXT, "title": "Words for the lowest", "description": "Said beside the lowest number."},
    "max_label": {**TEXT, "title": "Words for the highest", "description": "Said beside the highest number."},
}


class Scale(FieldType):
    """A whole number from `lowest` to the setting `max`, or `highest` where there is none."""

    kind = Kind.NUMBER
    grouped = True
    lowest: ClassVar[int] = 1
    highest: ClassVar[int] = 10
    accessibility = "Radio buttons in a fieldset whose legend is the label; the words of both ends are in their labels."

    def bounds(self, settings: Settings) -> tuple[int, int]:
        return int(settings.get("min", self.lowest)), int(settings.get("max", self.highest))

    def texts(self, settings: Settings) -> Iterator[tuple[str, Text]]:
        yield from ((name, settings[name]) for name in END_LABELS if name in settings)

    def schema(self, settings: Settings) -> dict[str, Any]:
        lowest, highest = self.bounds(settings)
        return {"type": "integer", "minimum": lowest, "maximum": highest}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        return integer.clean

    def sample(self, settings: Settings, region: str) -> int:
        return self.bounds(settings)[1]

    def words(self, number: int) -> str:
        """The number as its radio button says it."""
        return str(number)

    def end_label(self, name: str, settings: Settings, language: str) -> str:
        return text(settings.get(name, ""), language)

    def context(self, element: Element, value: Any, language: str) -> dict[str, Any]:
        settings = self.complete(element.settings)
        lowest, highest = self.bounds(settings)
        ends = {lowest: "min_label", highest: "max_label"}
        return {
            "choices": [
                {
                    "value": number,
                    "label": self.words(number),
                    "end": self.end_label(ends[number], settings, language) if number in ends else "",
                    "chosen": str(value).strip() == str(number),
                }
                for number in range(lowest, highest + 1)
            ]
        }
