"""A kind's settings form as a JSON Schema (2020-12), and JSON sent for it checked against its types.

The form stays the one definition of the settings: what is said here is only how a program may write them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.forms.utils import pretty_name

from apps.orgs.api.query import wrong
from apps.sinks import config
from apps.sinks.contract import Sink

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FORMATS: Mapping[type[forms.Field], str] = {
    forms.EmailField: "email",
    forms.URLField: "uri",
    forms.DateTimeField: "date-time",
    forms.DateField: "date",
    forms.UUIDField: "uuid",
}


def schema_of(sink: type[Sink]) -> dict[str, Any]:
    fields = config.blank(sink).fields
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {name: _property(name, field) for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.required and field.initial is None],
        "additionalProperties": False,
    }


def problems(sink: type[Sink], sent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What no form would tell from a text: members that it does not have, and values of another JSON type."""
    fields = sink.Config.base_fields
    found = []
    for name, value in sent.items():
        path = f"settings.{name[:100]}"
        if name not in fields:
            found.append(wrong(path, "unknown_field", "This kind of action has no such setting; remove it."))
        elif value is not None and not _fits(_type(fields[name]), value):
            found.append(wrong(path, "invalid", f"Send {_WORDS[_type(fields[name])]}."))
    return found


def _property(name: str, field: forms.Field) -> dict[str, Any]:
    found: dict[str, Any] = {"type": _type(field)}
    found["title"] = str(field.label or pretty_name(name))
    if field.help_text:
        found["description"] = str(field.help_text)
    if isinstance(field.initial, str | int | float | bool):
        found["default"] = field.initial
    elif found["type"] == "boolean":
        found["default"] = False
    if getattr(field, "is_secret", False):
        found["writeOnly"] = True
    return found | _limits(field)


def _limits(field: forms.Field) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute, word in (
        ("max_length", "maxLength"), ("min_length", "minLength"), ("max_value", "maximum"), ("min_value", "minimum"),
    ):  # fmt: skip
        value = getattr(field, attribute, None)
        if isinstance(value, int | float):
            found[word] = value
    if isinstance(field, forms.ChoiceField):
        choices = [value for value, _label in _flat(field.choices)]
        found |= {"items": {"enum": choices}} if _type(field) == "array" else {"enum": choices}
    named = next((name for kind, name in FORMATS.items() if isinstance(field, kind)), None)
    return found | ({"format": named} if named else {})


def _flat(choices: Any) -> list[tuple[Any, Any]]:
    found = []
    for value, label in choices:
        found += list(label) if isinstance(label, list | tuple) else [(value, label)]
    return found


def _type(field: forms.Field) -> str:
    if isinstance(field, forms.MultipleChoiceField):
        return "array"
    if isinstance(field, forms.BooleanField):
        return "boolean"
    if isinstance(field, forms.IntegerField) and not isinstance(field, forms.FloatField | forms.DecimalField):
        return "integer"
    if isinstance(field, forms.FloatField | forms.DecimalField):
        return "number"
    return "object" if isinstance(field, forms.JSONField) else "string"


_WORDS = {
    "array": "a list of texts",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}
_FITS: Mapping[str, Callable[[Any], bool]] = {
    "array": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}


def _fits(type: str, value: Any) -> bool:
    return _FITS[type](value)
