from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Cleaner, Refused, Settings
from apps.forms.fields.choices import OTHER, ChoiceType, choices, own_text, picked
from formhub.core.layout import Kind


class MultipleChoice(ChoiceType):
    """Several of the choices; kept as a list in the order of the definition, a text of one's own last."""

    name = "multiple_choice"
    label = gettext_lazy("Multiple choice")
    grouped = True
    kind = Kind.CHOICES
    settings = {
        **ChoiceType.settings,
        "min": {
            "type": "integer",
            "minimum": 0,
            "maximum": 1_000,
            "default": 0,
            "title": "At least",
            "description": "How many to choose at least.",
        },
        "max": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1_001,
            "title": "At most",
            "description": "How many to choose at most.",
        },
    }
    accessibility = "Checkboxes in a fieldset whose legend is the label; limits are told in the hint."

    def check(self, settings: Settings) -> Iterator[tuple[str, str]]:
        yield from super().check(settings)
        available = len(settings["choices"]) + settings["other"]
        if settings["min"] > settings.get("max", available):
            yield "min", _("Is more than may be chosen.")

    def schema(self, settings: Settings) -> dict[str, Any]:
        limits = {"maxItems": settings["max"]} if "max" in settings else {}
        return {"type": "array", "items": self.item_schema(settings), "minItems": 1, "uniqueItems": True, **limits}

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        order = {choice.value: number for number, choice in enumerate(choices(settings))}
        exclusive = frozenset(choice.value for choice in choices(settings) if choice.exclusive)
        other, least = settings["other"], settings["min"]

        def clean(value: Any) -> list[str] | None:
            answers = several(picked(value), order, other=other)
            alone = exclusive.intersection(answers)
            if alone and len(answers) > 1:
                raise Refused("exclusive", _("Choose either that answer alone or others without it."))
            if 0 < len(answers) < least and not alone:
                raise Refused("min_choices", _("Choose at least %(limit)s.") % {"limit": least}, limit=least)
            return answers or None

        return clean

    def rule(self, settings: Settings) -> str:
        least, most = settings["min"], settings.get("max")
        facts = {"least": least, "most": most}
        if least and least == most:
            return _("Choose %(least)s.") % facts
        if least and most:
            return _("Choose %(least)s to %(most)s.") % facts
        if least:
            return _("Choose at least %(least)s.") % facts
        return _("Choose at most %(most)s.") % facts if most else _("Choose all that apply.")

    def csv(self, value: Any) -> Any:
        return "; ".join(value) if isinstance(value, list) else value

    def sample(self, settings: Settings, region: str) -> list[str]:
        options = sorted(choices(settings), key=lambda choice: choice.exclusive)
        return [choice.value for choice in options[: max(1, settings["min"])]]


def several(answers: list[str], order: dict[str, int], *, other: bool) -> list[str]:
    known = sorted({answer for answer in answers if answer in order}, key=order.__getitem__)
    written = list(dict.fromkeys(answer for answer in answers if answer not in order and answer != OTHER))
    if other and (written or OTHER in answers):
        return [*known, own_text(written)]
    if len(known) < len(set(answers)):
        raise Refused("not_a_choice", _("Choose among the listed answers."))
    return known
