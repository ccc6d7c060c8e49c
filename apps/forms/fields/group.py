from django.utils.translation import gettext_lazy

from apps.forms.fields.base import FieldType


class Group(FieldType):
    """Questions that belong together. It holds no answer: the keys of its questions stay at the top of the answers."""

    name = "group"
    label = gettext_lazy("Group")
    answerable = False
    container = True
    accessibility = "A heading before its questions."
