from django.utils.translation import gettext_lazy

from apps.forms.fields.single_choice import SingleChoice


class Dropdown(SingleChoice):
    """A single choice from a list that opens: for many choices."""

    name = "dropdown"
    label = gettext_lazy("Dropdown")
    grouped = False
    accessibility = "A select tied to its label; the first, empty entry asks to choose, so that nothing is preset."
