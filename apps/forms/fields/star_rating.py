from typing import Any

from django.utils.translation import gettext_lazy, ngettext

from apps.forms.fields.base import Element
from apps.forms.fields.scale import Scale


class StarRating(Scale):
    name = "star_rating"
    label = gettext_lazy("Star rating")
    settings = {
        "max": {
            "type": "integer",
            "minimum": 3,
            "maximum": 10,
            "default": 5,
            "title": "Stars",
            "description": "How many stars there are to give: 3 to 10.",
        }
    }
    accessibility = "Radio buttons in a fieldset whose legend is the label; each says its number of stars in words."

    def words(self, number: int) -> str:
        return ngettext("%(count)s star", "%(count)s stars", number) % {"count": number}

    def context(self, element: Element, value: Any, language: str) -> dict[str, Any]:
        return {**super().context(element, value, language), "mark": "★"}
