"""JSON bodies, read strictly: UTF-8, an object, bounded, and nothing in it that Postgres cannot hold."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from django.core.exceptions import RequestDataTooBig
from rest_framework.parsers import BaseParser

from formhub.core.problem import Problem

BYTES_MAX = 2 * 1024 * 1024  # a definition of 1 MiB, written with spaces and escapes
DEPTH_MAX = 40
_WHOLE_MAX = 2**63


class StrictJsonParser(BaseParser):
    """Raises Problem 400 and 413."""

    media_type = "application/json"

    def parse(
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return read(_bytes(stream))


def read(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise _bad("not_utf8", f"The body is not UTF-8: see byte {error.start}.") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise _bad("malformed_json", f"The body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise _bad("not_an_object", "The body must be a JSON object.")
    _check(value)
    return value


def _bytes(stream: Any) -> bytes:
    try:
        # One byte more than is taken tells that there is more.
        body: bytes = stream.read(BYTES_MAX + 1)
    except RequestDataTooBig:
        body = b" " * (BYTES_MAX + 1)
    if len(body) > BYTES_MAX:
        raise Problem(413, "too_large", f"The body may have {BYTES_MAX} bytes.")
    return body


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _check(value: Any) -> None:
    """Level by level, so that no depth of nesting costs stack."""
    level = [value]
    for _ in range(DEPTH_MAX):
        level = [child for held in level for child in _children(held)]
        if not level:
            return
    raise _too_deep()


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int | float) and not (math.isfinite(value) and abs(value) < _WHOLE_MAX):
        # Larger ones than this no reader of JSON gives back as they were.
        raise _bad("number_too_large", "A number is too large.")
    return []


def _check_text(text: str) -> None:
    if "\0" in text:
        raise _bad("nul_character", "Text may not hold the NUL character.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _bad("half_a_character", "Text holds half of a surrogate pair.") from None


def _bad(code: str, detail: str) -> Problem:
    return Problem(400, code, detail)


def _too_deep() -> Problem:
    return _bad("too_deep", f"Objects and lists may be nested {DEPTH_MAX} deep.")
