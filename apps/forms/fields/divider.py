from django.utils.translation import gettext_lazy

from apps.forms.fields.base import FieldType


class Divider(FieldType):
    """A line between questions. It holds no answer."""

    name = "divider"
    label = gettext_lazy("Divider")
    answerable = False
    accessibility = "A separator in the reading order."
