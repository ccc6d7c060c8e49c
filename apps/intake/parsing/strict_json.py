"""JSON as RFC 8259 has it, and stricter: what passes here Postgres, Kafka, Redis and a spreadsheet can all hold.

UTF-8 without byte order mark; an object at the top; at most MAX_DEPTH levels, MAX_KEYS keys in an object and
MAX_KEYS_IN_ALL altogether; no key twice in an object; no NaN, no Infinity; no NUL; no lone surrogates; whole numbers
within 64 bits with sign.
"""

import re
from itertools import islice
from typing import Any

import orjson

from formhub.core.problem import Problem

MAX_DEPTH = 20
MAX_KEYS = 600
MAX_KEYS_IN_ALL = 5_000
SMALLEST = -(2**63)
LARGEST = 2**63 - 1

_RULES = {
    "too_deep": f"Objects and lists may be nested {MAX_DEPTH} deep.",
    "too_many_keys": f"An object may have {MAX_KEYS} keys, a submission {MAX_KEYS_IN_ALL} in all.",
    "duplicate_key": "A key stands twice in one object.",
    "number_too_large": "Whole numbers must fit into 64 bits; send longer ones as text.",
    "nul_character": "Text may not hold the NUL character.",
}
# Looking for the place of a broken rule is slow: beyond this many tokens the answer goes without it.
_EXPLAINED_TOKENS = 100_000

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_WHOLE = r"(?<![0-9.eE+-])-?[0-9]{19,}(?![0-9.eE])"
_NUL = r"(?<!\\)(?:\\\\)*\\u0000"
_TOKEN = re.compile(
    rf"(?P<text>{_STRING})(?P<key>[ \t\r\n]*:)?|(?P<bracket>[{{}}\[\]])|(?P<number>{_WHOLE})", re.DOTALL
)
_NUL_TEXT = re.compile(_NUL)
_NUL_BYTES = re.compile(_NUL.encode())
_STRING_BYTES = re.compile(_STRING.encode(), re.DOTALL)
_WHOLE_BYTES = re.compile(_WHOLE.encode())


def parse(body: bytes) -> dict[str, Any]:
    """Raises Problem 400 that says where: line and column in characters from 1, byte from 0."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise unreadable(body, error) from None
    if type(value) is not dict:
        raise refusal("not_an_object", "The body must be a JSON object of field keys and answers.")
    if broken := _broken_rule(body, value):
        raise _explained(broken, body.decode())
    return value


def refusal(code: str, detail: str, **members: Any) -> Problem:
    return Problem(400, code, detail, **members)


def _broken_rule(body: bytes, value: dict[str, Any]) -> str | None:
    strings, broken = _measure(value)
    if broken == "number_too_large" and not _spells_long_number(body):
        strings, broken = _measure(value, check_numbers=False)
    if broken:
        return broken
    if strings != _strings_in(body):
        return "duplicate_key"
    if b"\\u0000" in body and _NUL_BYTES.search(body):
        return "nul_character"
    return None


def _measure(value: dict[str, Any], check_numbers: bool = True) -> tuple[int, str | None]:
    """How many strings (keys included) the value holds, and the first rule found broken."""
    strings = keys = depth = 0
    level: list[Any] = [value]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            return 0, "too_deep"
        below: list[Any] = []
        for container in level:
            children = container
            if type(container) is dict:
                keys += len(container)
                if len(container) > MAX_KEYS or keys > MAX_KEYS_IN_ALL:
                    return 0, "too_many_keys"
                children = container.values()
            for child in children:
                kind = type(child)
                if kind is str:
                    strings += 1
                elif kind is dict or kind is list:
                    below.append(child)
                elif (kind is int or kind is float) and check_numbers and not SMALLEST < child <= LARGEST:
                    return 0, "number_too_large"
        level = below
    return strings + keys, None


def _spells_long_number(body: bytes) -> bool:
    """A whole number beyond 64 bits may arrive as a double: only its spelling tells it from 1e20, which is fine."""
    bare = _STRING_BYTES.sub(b'""', body)
    return any(_too_large(found) for found in _WHOLE_BYTES.findall(bare))


def _too_large(number: str | bytes) -> bool:
    # The length first: turning a million digits into a number takes quadratic time.
    return len(number) > 20 or not SMALLEST <= int(number) <= LARGEST


def _strings_in(body: bytes) -> int:
    """How many strings a valid document spells out. A key that stands twice is spelled twice but parsed once."""
    quotes = body.count(b'"')
    if b"\\" in body:
        quotes -= body.replace(b"\\\\", b"").count(b'\\"')
    return quotes // 2


def _explained(broken: str, text: str) -> Problem:
    """The first broken rule with its place, in a document that is valid JSON and breaks one."""
    walk = _Walk()
    for token in islice(_TOKEN.finditer(text), _EXPLAINED_TOKENS):
        if found := walk.step(token):
            code, detail, offset = found
            return refusal(code, detail, **position(text, token.start() + offset))
    return refusal(broken, _RULES[broken])


class _Walk:
    """Through the tokens of a document: the keys of each open object (None for a list), and the count of all."""

    def __init__(self) -> None:
        self.open: list[set[str] | None] = []
        self.keys = 0

    def step(self, token: re.Match[str]) -> tuple[str, str, int] | None:
        """The rule this token breaks: code, detail and offset within the token."""
        if bracket := token["bracket"]:
            return self._bracket(bracket)
        if number := token["number"]:
            return ("number_too_large", _RULES["number_too_large"], 0) if _too_large(number) else None
        if nul := _NUL_TEXT.search(token["text"]):
            return "nul_character", _RULES["nul_character"], nul.end() - len("\\u0000")
        return self._key(orjson.loads(token["text"])) if token["key"] else None

    def _bracket(self, bracket: str) -> tuple[str, str, int] | None:
        if bracket in "}]":
            self.open.pop()
            return None
        self.open.append(set() if bracket == "{" else None)
        return ("too_deep", _RULES["too_deep"], 0) if len(self.open) > MAX_DEPTH else None

    def _key(self, key: str) -> tuple[str, str, int] | None:
        seen = self.open[-1] or set()
        if key in seen:
            return "duplicate_key", f"The key {_short(key)} stands twice in one object.", 0
        seen.add(key)
        self.open[-1] = seen
        self.keys += 1
        if len(seen) > MAX_KEYS or self.keys > MAX_KEYS_IN_ALL:
            return "too_many_keys", _RULES["too_many_keys"], 0
        return None


def unreadable(body: bytes, error: orjson.JSONDecodeError) -> Problem:
    """What is wrong, and where, with bytes that are no JSON."""
    try:
        text = body.decode()
    except UnicodeDecodeError as invalid:
        before = body[: invalid.start].decode()
        return refusal("not_utf8", "The body is not valid UTF-8.", **position(before, len(before)))
    if not text.strip():
        return refusal("empty_body", "The body is empty; send a JSON object of field keys and answers.")
    return refusal("malformed_json", f"The body is not valid JSON: {error.msg}.", **position(text, error.pos))


def position(text: str, index: int) -> dict[str, int]:
    """`line` and `column` count characters from 1, `byte` counts bytes from 0."""
    line_start = text.rfind("\n", 0, index) + 1
    return {
        "line": text.count("\n", 0, index) + 1,
        "column": index - line_start + 1,
        "byte": len(text[:index].encode()),
    }


def _short(key: str) -> str:
    return f'"{key}"' if len(key) <= 60 else f'"{key[:60]}…"'
