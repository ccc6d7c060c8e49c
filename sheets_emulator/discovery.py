"""Google's own description of the API: routes requests, and checks every body against the schemas."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

DOCUMENT = Path(__file__).parent / "discovery" / "sheets.v4.json"
Violation = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Method:
    """`id` without its prefix, for example spreadsheets.values.append."""

    id: str
    verb: str
    pattern: "re.Pattern[str]"
    query: Mapping[str, Mapping[str, Any]]
    request: str | None
    response: str


@cache
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return found


@cache
def methods() -> tuple[Method, ...]:
    return tuple(_methods(_document()))


def route(verb: str, path: str) -> tuple[Method, dict[str, str]] | None:
    """The method for a path such as /v4/spreadsheets/ID, and the values of its path parameters."""
    for method in methods():
        if method.verb == verb and (match := method.pattern.fullmatch(path)):
            return method, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


def check(schema: str, value: Any) -> list[Violation]:
    """How `value` departs from a schema by name. An explicit null counts as unset, as Google treats it."""
    # Bodies have thousands of cells, nearly all of them right: naming the fields that are wrong is slow and seldom.
    return [] if _fits(schema)(value) else list(_check({"$ref": schema}, value, ""))


def enum_values(method: Method, parameter: str) -> list[str]:
    return list(method.query.get(parameter, {}).get("enum", []))


@cache
def common_parameters() -> frozenset[str]:
    """Query parameters that every method takes, such as `fields`."""
    return frozenset(_document()["parameters"])


def _methods(resource: Mapping[str, Any]) -> Iterator[Method]:
    for described in resource.get("methods", {}).values():
        parameters = described.get("parameters", {})
        yield Method(
            id=described["id"].removeprefix("sheets."),
            verb=described["httpMethod"],
            pattern=_pattern(described["path"]),
            query={name: spec for name, spec in parameters.items() if spec["location"] == "query"},
            request=described.get("request", {}).get("$ref"),
            response=described["response"]["$ref"],
        )
    for inner in resource.get("resources", {}).values():
        yield from _methods(inner)


def _pattern(path: str) -> "re.Pattern[str]":
    # An id holds no colon, so that `ID:batchUpdate` is never taken for an id; a range may hold anything but a slash.
    parts = re.split(r"\{(\w+)\}", path)
    text = ""
    for index, part in enumerate(parts):
        if index % 2 == 0:
            text += re.escape(part)
        elif part == "range":
            text += rf"(?P<{part}>[^/]+?)"
        else:
            text += rf"(?P<{part}>[^/:]+)"
    return re.compile("/" + text)


def _check(spec: Mapping[str, Any], value: Any, path: str) -> Iterator[Violation]:
    if value is None:
        return
    if "$ref" in spec:
        spec = _document()["schemas"][spec["$ref"]]
    kind = spec.get("type")
    if kind == "object":
        yield from _check_object(spec, value, path)
    elif kind == "array":
        yield from _check_array(spec, value, path)
    elif not _member(spec, value):
        yield path, f"Invalid value at '{path}' ({spec.get('format', kind)}), {json.dumps(value)[:100]}"


def _check_object(spec: Mapping[str, Any], value: Any, path: str) -> Iterator[Violation]:
    if not isinstance(value, dict):
        yield path, f"Invalid value at '{path}', an object was expected"
        return
    known = spec.get("properties", {})
    for name, inner in value.items():
        where = f"{path}.{name}" if path else name
        if name in known:
            yield from _check(known[name], inner, where)
        elif "additionalProperties" in spec:
            yield from _check(spec["additionalProperties"], inner, where)
        else:
            yield path, f"Invalid JSON payload received. Unknown name \"{name}\" at '{path}': Cannot find field."


def _check_array(spec: Mapping[str, Any], value: Any, path: str) -> Iterator[Violation]:
    if not isinstance(value, list):
        yield path, f"Invalid value at '{path}', a list was expected"
        return
    for index, inner in enumerate(value):
        yield from _check(spec["items"], inner, f"{path}[{index}]")


def _member(spec: Mapping[str, Any], value: Any) -> bool:
    if "enum" in spec:
        return value in spec["enum"]
    match spec.get("type"):
        case "string":
            # 64-bit numbers travel as text, but numbers are taken too.
            return isinstance(value, str) or (spec.get("format") in {"int64", "uint64"} and isinstance(value, int))
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
    return True


Test = Callable[[Any], bool]


@cache
def _fits(schema: str) -> Test:
    """A schema as one quick yes or no."""
    return _test(_document()["schemas"][schema])


def _test(spec: Mapping[str, Any]) -> Test:
    if "$ref" in spec:
        return lambda value: _fits(spec["$ref"])(value)  # looked up late: schemas refer to one another
    if spec.get("type") == "object":
        return _test_object(spec)
    if spec.get("type") == "array":
        item = _test(spec["items"])
        return lambda value: value is None or (isinstance(value, list) and all(map(item, value)))
    if spec.get("type") == "string" and not {"enum", "format"} & spec.keys():
        return lambda value: isinstance(value, str) or value is None
    return lambda value: value is None or _member(spec, value)


def _test_object(spec: Mapping[str, Any]) -> Test:
    known = {name: _test(inner) for name, inner in spec.get("properties", {}).items()}
    other = _test(spec["additionalProperties"]) if "additionalProperties" in spec else None

    def fits(value: Any) -> bool:
        if not isinstance(value, dict):
            return value is None
        for name, inner in value.items():
            test = known.get(name, other)
            if test is None or not test(inner):
                return False
        return True

    return fits
