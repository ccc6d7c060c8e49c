"""What a JSON Schema found wrong, in words: for settings of fields and for whole definitions."""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}

WORDS = {
    "type": gettext_noop("Must be %(types)s."),
    "enum": gettext_noop("Must be one of: %(options)s."),
    "const": gettext_noop("Must be %(expected_value)s."),
    "minimum": gettext_noop("Must be %(limit)s or more."),
    "maximum": gettext_noop("Must be %(limit)s or less."),
    "minLength": gettext_noop("Must have at least %(limit)s characters."),
    "maxLength": gettext_noop("Must have at most %(limit)s characters."),
    "minItems": gettext_noop("Must have at least %(limit)s entries."),
    "maxItems": gettext_noop("Must have at most %(limit)s entries."),
    "pattern": gettext_noop("Must match %(pattern)s."),
    "uniqueItems": gettext_noop("Must not name anything twice."),
    "": gettext_noop("Is not allowed here."),
}


def problems(validator: jsonschema_rs.Draft202012Validator, value: Any) -> Iterator[tuple[str, str]]:
    """(path, words) for everything the validator finds; unknown members one by one, each at its own path."""
    try:
        errors = list(validator.iter_errors(value))
    except (ValueError, OverflowError) as unfit:  # lone surrogates, numbers beyond a double
        yield "", _("This cannot be stored: %(reason)s.") % {"reason": unfit}
        return
    for error in errors:
        yield from _problems_of(error, value)


def _problems_of(error: jsonschema_rs.ValidationError, value: Any) -> Iterator[tuple[str, str]]:
    steps = list(error.instance_path)
    if error.kind.name == "additionalProperties":
        for name in error.kind.as_dict()["unexpected"]:
            yield path([*steps, name]), _("Unknown setting; remove it.")
    elif error.kind.name == "required":
        yield path([*steps, error.kind.as_dict()["property"]]), _("This is missing.")
    else:
        yield path(steps), words(error)


def path(steps: list[str | int]) -> str:
    """pages[0].elements[2].settings.max"""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps]
    return "".join(parts).removeprefix(".")


def words(error: jsonschema_rs.ValidationError) -> str:
    facts: Mapping[str, Any] = error.kind.as_dict()
    name = error.kind.name
    if name in {"minLength", "minItems"} and facts["limit"] == 1:
        return _("Must not be empty.")
    params = {
        **facts,
        "types": " or ".join(TYPES.get(name, name) for name in facts.get("types", [])),
        "options": ", ".join(str(option) for option in facts.get("options", [])),
    }
    return _(WORDS.get(name, WORDS[""])) % params
