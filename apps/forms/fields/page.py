from django.utils.translation import gettext_lazy

from apps.forms.fields.base import FieldType


class Page(FieldType):
    """A page of questions. It holds no answer."""

    name = "page"
    label = gettext_lazy("Page")
    answerable = False
    container = True
    accessibility = "Its title is the heading of the page."
