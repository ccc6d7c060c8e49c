import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.intake.parsing.strict_json import LARGEST, MAX_DEPTH, MAX_KEYS, MAX_KEYS_IN_ALL, SMALLEST, parse
from formhub.core.problem import Problem


def refused(body: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        parse(body)
    assert caught.value.status == 400
    return caught.value


def nested(depth: int) -> bytes:
    """A document of so many levels, the object at the top among them."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    ("body", "answers"),
    [
        pytest.param(b"{}", {}, id="nothing answered"),
        pytest.param(b' {"a" : "b"}\n', {"a": "b"}, id="spaces around"),
        pytest.param(b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}, id="a pair of surrogates"),
        pytest.param(b'{"a":"say \\"hi\\" \\\\"}', {"a": 'say "hi" \\'}, id="escaped quotes and backslashes"),
        pytest.param(b'{"a":"\\\\u0000"}', {"a": "\\u0000"}, id="a backslash before u0000"),
        pytest.param(b'{"a\\"b":1,"\\\\":"\\\\"}', {'a"b': 1, "\\": "\\"}, id="quotes in keys"),
        pytest.param(b'{"a":{"a":{"a":1}}}', {"a": {"a": {"a": 1}}}, id="one key on several levels"),
        pytest.param(b'{"a":-9223372036854775808}', {"a": SMALLEST}, id="smallest whole number"),
        pytest.param(b'{"a":9223372036854775807}', {"a": LARGEST}, id="largest whole number"),
        pytest.param(b'{"a":1e20,"b":100000000000000000000.5}', {"a": 1e20, "b": 1e20}, id="large doubles"),
        pytest.param(b'{"a":1e20,"b":"99999999999999999999"}', {"a": 1e20, "b": "9" * 20}, id="digits in a text"),
        pytest.param(nested(MAX_DEPTH), json.loads(nested(MAX_DEPTH)), id="just not too deep"),
    ],
)
def test_a_good_body_is_read_as_it_stands(body: bytes, answers: dict[str, Any]) -> None:
    assert parse(body) == answers


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        pytest.param(b'{"a": tru}', "malformed_json", (1, 7, 6), id="a typing error"),
        pytest.param(b'{\n  "a": 1,\n}', "malformed_json", (2, 9, 10), id="a comma too many"),
        pytest.param('{"é": 1 2}'.encode(), "malformed_json", (1, 9, 9), id="bytes are not characters"),
        pytest.param(b'{"a": NaN}', "malformed_json", (1, 7, 6), id="NaN"),
        pytest.param(b'{"a": -Infinity}', "malformed_json", (1, 8, 7), id="Infinity"),
        pytest.param(b'{"a": 1e999}', "malformed_json", (1, 7, 6), id="a double beyond all doubles"),
        pytest.param(b'{"a": "\\ud800"}', "malformed_json", (1, 8, 7), id="a lone surrogate"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', "not_utf8", (1, 8, 7), id="a surrogate in UTF-8"),
        pytest.param(b'{"a": "\xff"}', "not_utf8", (1, 8, 7), id="not UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', "malformed_json", (1, 1, 0), id="a byte order mark"),
        pytest.param(b'{"a":1}{"b":2}', "malformed_json", (1, 8, 7), id="two documents"),
        pytest.param(b'{"a":1,\n"a":2}', "duplicate_key", (2, 1, 8), id="a key twice"),
        pytest.param(b'{"a":1,"\\u0061":1}', "duplicate_key", (1, 8, 7), id="a key twice in two spellings"),
        pytest.param(b'{"b":[{"x":"a","x":"a"}]}', "duplicate_key", (1, 16, 15), id="a key twice further down"),
        pytest.param(b'{"a":"x\\u0000"}', "nul_character", (1, 8, 7), id="NUL in a text"),
        pytest.param(b'{"\\\\\\u0000":1}', "nul_character", (1, 5, 4), id="NUL in a key"),
        pytest.param(b'{"a":9223372036854775808}', "number_too_large", (1, 6, 5), id="2^63"),
        pytest.param(b'{"a":-9223372036854775809}', "number_too_large", (1, 6, 5), id="below -2^63"),
        pytest.param(b'{"a":[1,' + b"7" * 300 + b"]}", "number_too_large", (1, 9, 8), id="300 digits"),
        pytest.param(b'{"a":' + b"7" * 5000 + b"}", "malformed_json", (1, 6, 5), id="5,000 digits"),
        pytest.param(nested(MAX_DEPTH + 1), "too_deep", (1, 25, 24), id="one level too deep"),
        pytest.param(nested(100_000), "malformed_json", None, id="very deep"),
    ],
)
def test_a_broken_rule_is_named_with_its_place(body: bytes, code: str, place: tuple[int, int, int] | None) -> None:
    problem = refused(body)

    assert problem.code == code
    if place:
        assert (problem.members["line"], problem.members["column"], problem.members["byte"]) == place


@pytest.mark.parametrize("body", [b"[]", b'"a"', b"1", b"null", b"", b" \n"])
def test_only_an_object_is_taken(body: bytes) -> None:
    assert refused(body).code in {"not_an_object", "empty_body"}


def test_keys_are_counted_in_each_object_and_in_all() -> None:
    full = {f"k{number}": 1 for number in range(MAX_KEYS)}
    assert len(parse(orjson.dumps(full))) == MAX_KEYS
    assert refused(orjson.dumps(full | {"one_more": 1})).code == "too_many_keys"

    rows = {"rows": [{f"k{number}": 1 for number in range(100)}] * 49}
    assert parse(orjson.dumps(rows)) == rows
    assert refused(orjson.dumps({"rows": rows["rows"] * 2})).code == "too_many_keys"
    assert MAX_KEYS_IN_ALL == 5_000


def test_a_broken_rule_far_into_a_large_body_is_found_without_its_place() -> None:
    problem = refused(b'{"a":[' + b'"",' * 200_000 + b'"\\u0000"]}')

    assert problem.code == "nul_character"
    assert "line" not in problem.members


def test_an_error_never_repeats_the_answers() -> None:
    problem = refused(b'{"secret": "my answer", oops}')

    assert "my answer" not in problem.detail


JSON_LIKE = st.lists(
    st.sampled_from(
        ["{", "}", "[", "]", ",", ":", '"a"', '"a\\"', '"\\u0000"', "1", "-0", "1e5", "9" * 19, "null", " "]
    )
).map(lambda parts: "".join(parts).encode())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(st.text(), VALUES, max_size=5)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | JSON_LIKE | DOCUMENTS.map(lambda value: json.dumps(value).encode()))
@example(b'{"a":"\\ud800\\ud800"}')
@example(b'{"":0,"":0}')
def test_any_bytes_are_read_as_the_standard_parser_reads_them_or_refused(body: bytes) -> None:
    try:
        answers = parse(body)
    except Problem:
        return
    assert answers == json.loads(body, object_pairs_hook=unique)
    assert orjson.loads(orjson.dumps(answers)) == answers
    assert "\\u0000" not in json.dumps(answers).replace("\\\\", "")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS, st.booleans())
def test_whatever_a_careful_client_writes_is_taken(document: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only)
    if "NaN" in text or "Infinity" in text or "\\u0000" in text or long_number(document):
        return
    assert parse(text.encode()) == document


def long_number(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(long_number(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not SMALLEST <= value <= LARGEST
