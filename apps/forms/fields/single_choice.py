from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Cleaner, Refused, Settings
from apps.forms.fields.choices import OTHER, ChoiceType, choices, own_text, picked


class SingleChoice(ChoiceType):
    """One of the choices, or with "other" a text of one's own; kept as that string."""

    name = "single_choice"
    label = gettext_lazy("Single choice")
    grouped = True

    def schema(self, settings: Settings) -> dict[str, Any]:
        return self.item_schema(settings)

    def cleaner(self, settings: Settings, region: str) -> Cleaner:
        known = frozenset(choice.value for choice in choices(settings))
        other = settings["other"]

        def clean(value: Any) -> str | None:
            if type(value) is str and value in known:
                return value
            return one(picked(value), known, other=other)

        return clean

    def sample(self, settings: Settings, region: str) -> str:
        return choices(settings)[0].value


def one(answers: list[str], known: frozenset[str], *, other: bool) -> str | None:
    """The single answer among what was sent; the text beside a ticked "other" is that answer."""
    if not answers:
        return None
    if other and OTHER in answers:
        return own_text([answer for answer in answers if answer != OTHER])
    if len(answers) > 1:
        raise Refused("max_choices", _("Choose one."), limit=1)
    if answers[0] in known:
        return answers[0]
    if other:
        return own_text(answers)
    raise Refused("not_a_choice", _("Choose one of the listed answers."))
