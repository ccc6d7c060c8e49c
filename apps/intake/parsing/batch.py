"""Many submissions in one body: NDJSON, one object a line, or a JSON array of objects.

What is taken apart here are bytes: each submission is parsed by itself, as strictly as if it had come alone, so one
that cannot be read spoils no other. Places in its problem are those in the whole body.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from django.http import HttpRequest

from apps.intake.parsing.body import JSON, NDJSON, Content, content_type, read_bytes, too_large
from apps.intake.parsing.strict_json import MAX_DEPTH, parse, position, refusal, unreadable
from formhub.core.problem import Problem

KINDS = (NDJSON, JSON)
_SPACE = re.compile(r"[ \t\r\n]*")
# Only looks for the ends of values: the numbers that it passes over may be of any length.
_SCANNER = json.JSONDecoder(parse_int=str, parse_float=str)


@dataclass(frozen=True, slots=True)
class Piece:
    """One submission's bytes, and where in the whole body they begin."""

    body: bytes
    line: int
    column: int
    byte: int

    def content(self, bytes_max: int) -> Content:
        """Raises Problem 400, 413."""
        if len(self.body) > bytes_max:
            raise too_large(bytes_max)
        try:
            return Content(parse(self.body), from_form=False)
        except Problem as problem:
            self._move(problem.members)
            raise

    def _move(self, place: dict[str, Any]) -> None:
        if "byte" in place:
            if place["line"] == 1:
                place["column"] += self.column - 1
            place["line"] += self.line - 1
            place["byte"] += self.byte


@dataclass(frozen=True, slots=True)
class Batch:
    kind: str
    pieces: list[Piece]


def read_batch(request: HttpRequest, bytes_max: int, items_max: int) -> Batch:
    """Raises Problem 400, 413, 415 for the batch as a whole."""
    kind, _options = content_type(request, KINDS)
    body = read_bytes(request, bytes_max)
    pieces: list[Piece] = []
    for piece in _lines(body) if kind == NDJSON else _elements(body):
        if len(pieces) == items_max:
            raise Problem(413, "too_many_submissions", f"A batch may hold {items_max} submissions.", limit=items_max)
        pieces.append(piece)
    if not pieces:
        raise refusal("empty_batch", "The batch holds no submission.")
    return Batch(kind, pieces)


def _lines(body: bytes) -> Iterator[Piece]:
    """Blank lines are passed over."""
    start, number = 0, 1
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        line = body[start:end]
        if line and not line.isspace():
            yield Piece(line, number, 1, start)
        start, number = end + 1, number + 1


def _elements(body: bytes) -> Iterator[Piece]:
    if not body.strip():
        return
    try:
        is_array = isinstance(orjson.loads(body), list)
    except orjson.JSONDecodeError as error:
        raise unreadable(body, error) from None
    if not is_array:
        raise refusal("not_an_array", "The body must be a JSON array of objects, or NDJSON: one object a line.")
    text = body.decode()
    at = _past_space(text, text.index("[") + 1)
    place = {"line": 1, "column": 1, "byte": 0}
    seen = 0
    while text[at] != "]":
        end = _end_of_value(text, at)
        place, seen = _advanced(place, text[seen:at]), at
        yield Piece(text[at:end].encode(), **place)
        at = _past_space(text, end)
        if text[at] == ",":
            at = _past_space(text, at + 1)


def _end_of_value(text: str, at: int) -> int:
    try:
        _value, end = _SCANNER.raw_decode(text, at)
    except RecursionError:
        raise refusal("too_deep", f"Objects and lists may be nested {MAX_DEPTH} deep.") from None
    return end


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _advanced(place: dict[str, int], passed: str) -> dict[str, int]:
    """The place after some more text."""
    step = position(passed, len(passed))
    same_line = step["line"] == 1
    return {
        "line": place["line"] + step["line"] - 1,
        "column": place["column"] + step["column"] - 1 if same_line else step["column"],
        "byte": place["byte"] + step["byte"],
    }
