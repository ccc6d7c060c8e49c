from typing import Any

from django.utils.translation import gettext_lazy

from apps.forms.fields.base import Element
from apps.forms.fields.multiple_choice import MultipleChoice


class MultiDropdown(MultipleChoice):
    """Several choices from a list that opens: for many choices."""

    name = "multi_dropdown"
    label = gettext_lazy("Multi-select dropdown")
    accessibility = "Checkboxes in a fieldset, behind a disclosure that is open where something is chosen or wrong."

    def context(self, element: Element, value: Any, language: str) -> dict[str, Any]:
        context = super().context(element, value, language)
        chosen = context["other_chosen"] or any(choice["chosen"] for choice in context["choices"])
        return {**context, "open": chosen}
