"""Raw answers against a published definition: clean answers, or every wrong field at once. Pure.

Each answer passes its type's cleaner (numbers from strings, phones to E.164, ...), then all of them one JSON Schema,
compiled once. Unknown keys are refused. Keys that begin with _ are not answers: whoever reads a request takes them
out first.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.forms import fields
from apps.forms.fields import Element, Refused
from apps.forms.fields.base import Cleaner
from formhub.core.layout import Layout

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SHOWN_KEY = 100  # characters of an unknown key that an error repeats

# What the JSON Schema refuses: its keyword -> our code and words.
KEYWORDS = {
    "minLength": ("min_length", gettext_noop("Write at least %(limit)s characters.")),
    "maxLength": ("max_length", gettext_noop("Shorten this to %(limit)s characters.")),
    "minimum": ("min_value", gettext_noop("Enter %(limit)s or more.")),
    "maximum": ("max_value", gettext_noop("Enter %(limit)s or less.")),
    "minItems": ("min_choices", gettext_noop("Choose at least %(limit)s.")),
    "maxItems": ("max_choices", gettext_noop("Choose at most %(limit)s.")),
}


@dataclass(frozen=True, slots=True)
class FieldError:
    field: str
    code: str
    message: str
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"field": self.field, "code": self.code, "message": self.message, "params": dict(self.params)}


class AnswersRefused(Exception):  # noqa: N818 - the answers' state, not a failure of ours
    """`errors` holds at most one entry per field, in the order of the form, then one per unknown key."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(", ".join(sorted({error.code for error in errors})))
        self.errors = errors


class Compiled:
    """The validator of one published version. Safe to share between threads."""

    def __init__(self, elements: list[Element], schema: dict[str, Any], layout: Layout, region: str) -> None:
        self.fields: Mapping[str, Element] = {element.key: element for element in elements}
        self.schema = schema
        self.layout = layout
        self._plan = [(element.key, _cleaner(element, region), element.required) for element in elements]
        self._validator = jsonschema_rs.Draft202012Validator(schema)

    def clean(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The clean answers, unanswered fields left out. Raises AnswersRefused; clean answers pass unchanged."""
        answers: dict[str, Any] = {}
        errors: list[FieldError] = []
        found = 0
        for key, cleaner, required in self._plan:
            value = raw.get(key)
            if value is not None:
                found += 1
                try:
                    value = cleaner(value)
                except Refused as refused:
                    errors.append(FieldError(key, refused.code, refused.message, refused.params))
                    continue
            if value is not None:
                answers[key] = value
            elif required:
                errors.append(_required(key))
        if errors or found != len(raw) or not self._validator.is_valid(answers):
            self._refuse(raw, answers, errors)
        return answers

    def _refuse(self, raw: Mapping[str, Any], answers: dict[str, Any], errors: list[FieldError]) -> None:
        known = {error.field: error for error in errors}
        for error in self._validator.iter_errors(answers):
            if error.instance_path:
                key = str(error.instance_path[0])
                known.setdefault(key, _from_schema(key, error))
        ordered = [known[key] for key in self.fields if key in known]
        ordered += [_unknown(key) for key in raw if key not in self.fields]
        if ordered:
            raise AnswersRefused(ordered)


def compile(definition: Mapping[str, Any], region: str = "") -> Compiled:  # noqa: A001 - as re.compile
    """The validator of a published definition. `region` (two letters) is that of phone numbers without a country."""
    answerable = [element for element in walk(definition) if fields.get(element.type).answerable]
    return Compiled(answerable, answers_schema(answerable), layout(answerable, definition["languages"][0]), region)


def walk(definition: Mapping[str, Any]) -> Iterator[Element]:
    """Everything inside the pages, in order, groups before what they hold."""
    for page in definition["pages"]:
        yield from _inside(page)


def _inside(container: Mapping[str, Any]) -> Iterator[Element]:
    for member in container.get("elements", []):
        yield element(member)
        yield from _inside(member)


def element(member: Mapping[str, Any]) -> Element:
    return Element(
        type=member["type"],
        key=member["key"],
        label=member.get("label", ""),
        help=member.get("help", ""),
        required=member.get("required", False),
        settings=member.get("settings", {}),
    )


def answers_schema(elements: list[Element]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of clean answers. Answers as sent may differ: see each type."""
    properties = {}
    for item in elements:
        field_type = fields.get(item.type)
        properties[item.key] = field_type.schema(field_type.complete(item.settings))
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": properties,
        "required": [item.key for item in elements if item.required],
        "additionalProperties": False,
    }


def layout(elements: list[Element], language: str) -> Layout:
    return Layout(tuple(fields.get(item.type).column(item, language) for item in elements))


def sample(elements: list[Element], region: str) -> dict[str, Any]:
    """An example of clean answers that the definition takes, one for each field."""
    answers = {}
    for item in elements:
        field_type = fields.get(item.type)
        answers[item.key] = field_type.sample(field_type.complete(item.settings), region)
    return answers


def _cleaner(item: Element, region: str) -> Cleaner:
    field_type = fields.get(item.type)
    return field_type.cleaner(field_type.complete(item.settings), region)


def _required(key: str) -> FieldError:
    return FieldError(key, "required", _("Answer this question."))


def _unknown(key: str) -> FieldError:
    shown = key if len(key) <= SHOWN_KEY else key[: SHOWN_KEY - 1] + "…"
    return FieldError(shown, "unknown_field", _("The form has no such field; remove it or check its spelling."))


def _from_schema(key: str, error: jsonschema_rs.ValidationError) -> FieldError:
    code, words = KEYWORDS.get(error.kind.name, ("invalid", gettext_noop("Check this answer.")))
    limit = error.kind.as_dict().get("limit")
    params = {} if limit is None else {"limit": limit}
    return FieldError(key, code, _(words) % params, params)
