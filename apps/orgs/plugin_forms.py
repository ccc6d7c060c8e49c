"""The settings of a plug-in on a page of the admin: its own form validates inputs that stand beside the others."""

import copy

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.utils.text import capfirst

from apps.orgs.theme import Select, Textarea, TextInput

PREFIX = "settings"  # of the inputs' names


def add_errors(page: forms.BaseForm, settings: forms.BaseForm) -> None:
    """What is wrong with the settings, each beside its input; one that has an error already keeps that."""
    for name, errors in settings.errors.items():
        key = None if name == NON_FIELD_ERRORS else f"{PREFIX}-{name}"
        if key is None or key not in page.errors:
            page.add_error(key, errors.as_data())


def themed(field: forms.Field) -> forms.Field:
    """A plug-in's input in the theme's look, its label written as the others are."""
    field = copy.deepcopy(field)
    field.label = capfirst(field.label)
    widget = field.widget
    like: forms.Widget | None = None
    if isinstance(widget, forms.Textarea):
        like = Textarea()
    elif isinstance(widget, forms.Select) and not isinstance(widget, forms.CheckboxSelectMultiple):
        like = Select()
    elif isinstance(widget, forms.TextInput | forms.PasswordInput | forms.NumberInput):
        like = TextInput()
    if like is not None and "class" in like.attrs:
        widget.attrs.setdefault("class", like.attrs["class"])
    return field
