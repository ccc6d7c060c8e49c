from django.utils.translation import gettext_lazy

from apps.forms.fields.short_text import ShortText


class LongText(ShortText):
    """Several lines, up to what a cell of a spreadsheet holds."""

    name = "long_text"
    label = gettext_lazy("Long text")
    longest = 50_000
    rows = 5
    settings = {
        **ShortText.settings,
        "max_length": {**ShortText.settings["max_length"], "default": 10_000},
    }
