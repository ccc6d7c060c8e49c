"""A question as HTML that works without scripts, and is said in full by assistive technology."""

from typing import Any

from django.template.loader import render_to_string

from apps.forms import fields
from apps.forms.fields import Element, text


def render(element: Element, language: str, value: Any = None, error: str = "") -> str:
    """The markup of an element; of a group only its head, for its questions are elements of their own.

    `value` is what was answered, clean or as sent, so that a refused answer stays where it was typed. `error` is
    shown beside the input and announced with it.
    """
    field_type = fields.get(element.type)
    id = f"field-{element.key}"
    hint = text(element.help, language)
    described = [f"{id}-hint"] * bool(hint) + [f"{id}-error"] * bool(error)
    context = {
        "id": id,
        "name": element.key,
        "language": language,
        "label": text(element.label, language),
        "hint": hint,
        "required": element.required,
        "value": "" if value is None else value,
        "error": error,
        "described_by": " ".join(described),
        "settings": field_type.complete(element.settings),
        **field_type.context(element, value, language),
    }
    return render_to_string(field_type.template, context)
