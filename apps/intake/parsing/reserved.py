"""The keys that begin with an underscore are ours, in every encoding.

`_version` the form's version the page was made from (answers are checked by the one published now); `_locale` a
language tag; `_meta` an object of own labels (in a form's encoding `_meta.source` and the like); `_next` where a
browser goes on; `_key` the idempotency key where no header can be set. Any other is refused by name.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from apps.intake.parsing.body import Content
from formhub.core.problem import Problem

LABELS_MAX = 20
LABEL_TEXT_MAX = 500
NEXT_MAX = 2_000

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_LOCALE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Payload:
    """A submission as it was sent: its answers, and what stood beside them."""

    answers: dict[str, Any]
    from_form: bool = False
    version: int | None = None
    locale: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    next: str = ""
    key: str = ""


class _WrongValueError(ValueError):
    """A reserved key has an unusable value; the text says what it should be."""


def split(content: Content) -> Payload:
    """Raises Problem 422 that names every reserved key in error."""
    if not any(key.startswith("_") for key in content.values):
        return Payload(content.values, content.from_form)
    answers: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    errors = []
    for key, value in _gather(content).items():
        if not key.startswith("_"):
            answers[key] = value
        elif not (read := _READERS.get(key)):
            errors.append(_error(key, "unknown_field", "This key is not known; keys of fields never begin with _."))
        else:
            try:
                beside[key[1:]] = read(value)
            except _WrongValueError as error:
                errors.append(_error(key, "invalid", str(error)))
    if errors:
        raise Problem(422, "invalid", "Some reserved keys need a change.", errors=errors)
    return Payload(answers, content.from_form, **beside)


def idempotency_key(header: str | None, payload: Payload) -> str:
    """The header's or the body's key, empty if there is none. Raises Problem 422."""
    if header is None:
        return payload.key
    if not _KEY.fullmatch(header):
        raise _bad_key("Idempotency-Key", _KEY_RULE)
    if payload.key and payload.key != header:
        raise _bad_key("_key", "It differs from the Idempotency-Key header.")
    return header


def _gather(content: Content) -> dict[str, Any]:
    """In a form's encoding, `_meta.a=1&_meta.b=2` stands for an object."""
    if not content.from_form:
        return content.values
    values: dict[str, Any] = {}
    for name, value in content.values.items():
        if name.startswith("_meta."):
            values.setdefault("_meta", {})[name.removeprefix("_meta.")] = value
        elif name != "_meta":
            values[name] = value
        elif value:
            raise _bad_key("_meta", "Send one name for each label, such as _meta.source.")
    return values


def _read_version(value: Any) -> int:
    if isinstance(value, str) and _VERSION.fullmatch(value):
        return int(value)
    if type(value) is int and 0 < value < 10**9:
        return value
    raise _WrongValueError("It must be the number of a version.")


def _read_locale(value: Any) -> str:
    if isinstance(value, str) and (not value or _LOCALE.fullmatch(value)):
        return value
    raise _WrongValueError("It must be a language tag such as en or de-AT.")


def _read_meta(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > LABELS_MAX:
        raise _WrongValueError(f"It must be an object of at most {LABELS_MAX} labels.")
    for label, text in value.items():
        if not _LABEL.fullmatch(label):
            raise _WrongValueError("A label begins with a letter; letters, digits, dot, dash and underscore follow.")
        if not isinstance(text, str | int | float | bool | None) or len(str(text)) > LABEL_TEXT_MAX:
            raise _WrongValueError(f"A label holds a text of at most {LABEL_TEXT_MAX} characters, or a number.")
    return value


def _read_next(value: Any) -> str:
    if isinstance(value, str) and len(value) <= NEXT_MAX:
        return value
    raise _WrongValueError(f"It must be an address of at most {NEXT_MAX} characters.")


def _read_key(value: Any) -> str:
    if isinstance(value, str) and _KEY.fullmatch(value):
        return value
    raise _WrongValueError(_KEY_RULE)


_KEY_RULE = "A key is 1 to 255 visible ASCII characters."
_READERS = {
    "_version": _read_version,
    "_locale": _read_locale,
    "_meta": _read_meta,
    "_next": _read_next,
    "_key": _read_key,
}


def _error(field_key: str, code: str, message: str) -> dict[str, Any]:
    return {"field": field_key, "code": code, "message": message, "params": {}}


def _bad_key(name: str, message: str) -> Problem:
    return Problem(422, "invalid", "Some reserved keys need a change.", errors=[_error(name, "invalid", message)])
