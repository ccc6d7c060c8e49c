"""The definition document, format formhub/1: its JSON Schema and what else must hold before it can be published.

{"format": "formhub/1", "title": ..., "languages": ["en"],
 "pages": [{"key": "p1", "title": ..., "elements": [{"type": ..., "key": ..., "label": ..., "settings": {...}}]}],
 "endings": [{"key": "thanks", "title": ...}], "settings": {}}

Texts are a string or {language: string}. A group holds elements of its own; the keys of its questions stay at the
top of the answers, so every key is unique in the whole form.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
from django.utils.translation import gettext as _

from apps.forms import fields
from apps.forms.fields import words
from apps.forms.fields.base import TEXT, TEXT_LIMIT, Text

FORMAT = "formhub/1"
MAX_ELEMENTS = 600
MAX_DEPTH = 5
MAX_BYTES = 1024 * 1024
MAX_KEYS_EVER = 2_000  # columns that all versions together can bring to a table

KEY = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$"}
LANGUAGE = {"type": "string", "pattern": "^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$"}
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it; Postgres stores none
# Members that other versions of FormHub know; named so that nobody believes they work.
NOT_YET = ("visible_if", "required_if", "rules", "value", "calculate", "jumps", "unique", "hidden")

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A form, as FormHub imports and exports it",
    "type": "object",
    "properties": {
        "format": {"const": FORMAT},
        "title": {"type": "string", "minLength": 1, "maxLength": 200},
        "languages": {"type": "array", "items": LANGUAGE, "minItems": 1, "maxItems": 50, "uniqueItems": True},
        "pages": {"type": "array", "items": {"$ref": "#/$defs/page"}, "minItems": 1, "maxItems": 200},
        "endings": {"type": "array", "items": {"$ref": "#/$defs/ending"}, "maxItems": 1},
        "settings": {
            "type": "object",
            "properties": {"closes_at": {"type": "null"}, "max_submissions": {"type": "null"}},
            "additionalProperties": False,
        },
    },
    "required": ["format", "title", "pages"],
    "additionalProperties": False,
    "$defs": {
        "text": TEXT,
        "page": {
            "type": "object",
            "properties": {
                "key": KEY,
                "title": {"$ref": "#/$defs/text"},
                "help": {"$ref": "#/$defs/text"},
                "elements": {"$ref": "#/$defs/elements"},
            },
            "required": ["key"],
            "additionalProperties": False,
        },
        "elements": {"type": "array", "items": {"$ref": "#/$defs/element"}, "maxItems": MAX_ELEMENTS},
        "element": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "maxLength": 50},
                "key": KEY,
                "label": {"$ref": "#/$defs/text"},
                "help": {"$ref": "#/$defs/text"},
                "required": {"type": "boolean"},
                "settings": {"type": "object"},
                "elements": {"$ref": "#/$defs/elements"},
            },
            "required": ["type", "key"],
            "additionalProperties": False,
        },
        "ending": {
            "type": "object",
            "properties": {
                "key": KEY,
                "title": {"$ref": "#/$defs/text"},
                "text": {"$ref": "#/$defs/text"},
            },
            "required": ["key", "title"],
            "additionalProperties": False,
        },
    },
}

_validator = jsonschema_rs.Draft202012Validator(SCHEMA)


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` leads into the document: pages[0].elements[2].settings.max. `message` says what to do about it."""

    path: str
    message: str

    def as_json(self) -> dict[str, str]:
        return {"path": self.path, "message": self.message}


class DefinitionRefused(Exception):  # noqa: N818 - the document's state, not a failure of ours
    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.path}: {problem.message}" for problem in problems[:5]))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Member:
    """A page, group, statement or question of a document and where it stands."""

    path: str
    type: str
    body: Mapping[str, Any]
    depth: int

    @property
    def key(self) -> str:
        return str(self.body["key"])


def members(document: Mapping[str, Any]) -> Iterator[Member]:
    """Pages and all that is in them, in order, containers before what they hold."""
    for number, page in enumerate(document["pages"]):
        path = f"pages[{number}]"
        yield Member(path, "page", page, 0)
        yield from _inside(page, path, 1)


def _inside(container: Mapping[str, Any], path: str, depth: int) -> Iterator[Member]:
    for number, body in enumerate(container.get("elements", [])):
        here = f"{path}.elements[{number}]"
        yield Member(here, body["type"], body, depth)
        yield from _inside(body, here, depth + 1)


def shape_problems(document: Any) -> list[Problem]:
    """Whether it is a document of this format at all; nothing else may be asked of one that is not."""
    problems = []
    for path, message in words.problems(_validator, document):
        name = path.rpartition(".")[2]
        if name in NOT_YET:
            message = _("%(name)s is not supported yet; remove it.") % {"name": name}
        elif path in {"settings.closes_at", "settings.max_submissions"}:
            message = _("This is not supported yet; remove it.")
        elif path == "endings":
            message = _("More than one ending is not supported yet.")
        elif path == "pages":
            message = _("Add at least one question.")
        elif name == "key":
            message = _("Use small letters a-z, digits and _; begin with a letter; at most 63 characters.")
        problems.append(Problem(path, message))
    return problems or _too_much(document)


def _too_much(document: Mapping[str, Any]) -> list[Problem]:
    problems = []
    found = list(members(document))
    if len(found) > MAX_ELEMENTS:
        problems.append(Problem("pages", _("A form can hold %(limit)s fields.") % {"limit": MAX_ELEMENTS}))
    if any(member.depth > MAX_DEPTH for member in found):
        problems.append(Problem("pages", _("Groups can be %(limit)s deep.") % {"limit": MAX_DEPTH - 1}))
    try:
        written = json.dumps(document, allow_nan=False, ensure_ascii=False)
        size = len(written.encode())
    except ValueError:  # NaN, infinity, half of a surrogate pair
        return [*problems, Problem("", _("It holds a number or a character that cannot be stored."))]
    if NUL.search(written):
        problems.append(Problem("", _("Remove the NUL characters.")))
    if size > MAX_BYTES:
        problems.append(Problem("", _("A form can have at most 1 MiB of texts and settings.")))
    return problems


def problems(document: Any, keys: Mapping[str, str] | None = None) -> list[Problem]:
    """Everything that stands in the way of publishing. `keys`: published key -> type, of all versions so far."""
    wrong = shape_problems(document)
    if wrong:
        return wrong
    languages = document.get("languages", ["en"])
    wrong += _key_problems(document, keys or {})
    for member in members(document):
        wrong += _member_problems(member)
        wrong += _text_problems(member, languages)
    for number, ending in enumerate(document.get("endings", [])):
        for name in ("title", "text"):
            wrong += _languages_missing(f"endings[{number}].{name}", ending.get(name, ""), languages)
    if not any(fields.get(member.type).answerable for member in members(document) if member.type in fields.TYPES):
        wrong.append(Problem("pages", _("Add at least one question.")))
    return wrong


def _key_problems(document: Mapping[str, Any], keys: Mapping[str, str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for member in members(document):
        path = f"{member.path}.key"
        if member.key in seen:
            yield Problem(path, _("Another field has the key %(key)s already.") % {"key": member.key})
        seen.add(member.key)
        if keys.get(member.key, member.type) != member.type:
            facts = {"key": member.key, "type": keys[member.key]}
            yield Problem(path, _("%(key)s was published as %(type)s; take another key.") % facts)
    if len(seen.union(keys)) > MAX_KEYS_EVER:
        yield Problem("pages", _("All versions of a form can have %(limit)s keys.") % {"limit": MAX_KEYS_EVER})


def _member_problems(member: Member) -> Iterator[Problem]:
    if member.depth > 0 and (member.type == "page" or member.type not in fields.TYPES):
        yield Problem(f"{member.path}.type", _("There is no field type %(type)s.") % {"type": member.type})
        return
    field_type = fields.get(member.type)
    if "elements" in member.body and not field_type.container:
        yield Problem(f"{member.path}.elements", _("Only pages and groups hold other fields."))
    if member.body.get("required") and not field_type.answerable:
        yield Problem(f"{member.path}.required", _("Only questions can be required."))
    if field_type.answerable and not member.body.get("label"):
        yield Problem(f"{member.path}.label", _("Write the question."))
    for path, message in field_type.problems(member.body.get("settings", {})):
        yield Problem(f"{member.path}.settings.{path}".rstrip("."), message)


def _text_problems(member: Member, languages: list[str]) -> Iterator[Problem]:
    for name in ("title", "label", "help"):
        yield from _languages_missing(f"{member.path}.{name}", member.body.get(name, ""), languages)
    if member.type in fields.TYPES:
        field_type = fields.get(member.type)
        settings = member.body.get("settings", {})
        if not any(field_type.problems(settings)):
            for path, text in field_type.texts(settings):
                yield from _languages_missing(f"{member.path}.settings.{path}", text, languages)


def _languages_missing(path: str, text: Text, languages: list[str]) -> Iterator[Problem]:
    if isinstance(text, str):
        return
    for language in languages:
        if not text.get(language):
            yield Problem(path, _("The text is missing in the language %(language)s.") % {"language": language})
    for language in sorted(set(text).difference(languages)):
        yield Problem(path, _("The form has no language %(language)s.") % {"language": language})


__all__ = ["FORMAT", "SCHEMA", "TEXT_LIMIT", "DefinitionRefused", "Member", "Problem", "members", "problems"]
