from typing import Any

import orjson
import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from apps.intake.parsing.batch import Batch, read_batch
from formhub.core.problem import Problem

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT
DOCUMENTS = st.dictionaries(TEXT, SCALARS | st.lists(SCALARS) | st.dictionaries(TEXT, SCALARS), max_size=5)
NDJSON, JSON = "application/x-ndjson", "application/json"
MIB = 1024 * 1024


def read(body: bytes, kind: str = NDJSON, bytes_max: int = 5 * MIB, items_max: int = 1000) -> Batch:
    request: Any = RequestFactory().post("/", body, content_type=kind)
    request.META["CONTENT_TYPE"] = kind  # left out by the factory where there is no body
    return read_batch(request, bytes_max, items_max)


def values(batch: Batch) -> list[dict[str, Any]]:
    return [piece.content(MIB).values for piece in batch.pieces]


def refusal(body: bytes, kind: str = NDJSON, **limits: int) -> Problem:
    with pytest.raises(Problem) as raised:
        read(body, kind, **limits)
    return raised.value


def outcome(body: bytes, kind: str) -> str:
    """Code of the problem that the whole has; empty where it could be taken apart."""
    try:
        read(body, kind)
    except Problem as problem:
        return problem.code
    return ""


def refusals(body: bytes, kind: str) -> list[tuple[Any, ...]]:
    """Code and place of each piece that is refused; an empty code for one that is not."""
    found: list[tuple[Any, ...]] = []
    for piece in read(body, kind).pieces:
        try:
            piece.content(MIB)
        except Problem as problem:
            found.append((problem.code, *(problem.members.get(name) for name in ("line", "column", "byte"))))
        else:
            found.append(("", None, None, None))
    return found


@given(st.lists(DOCUMENTS, min_size=1, max_size=8))
def test_what_was_put_together_is_taken_apart(documents: list[dict[str, Any]]) -> None:
    lines = b"".join(orjson.dumps(document) + b"\n" for document in documents)
    array = orjson.dumps(documents, option=orjson.OPT_INDENT_2)

    assert values(read(lines)) == values(read(array, JSON)) == documents


def test_blank_lines_and_carriage_returns_are_passed_over() -> None:
    assert values(read(b'\n{"a":1}\r\n \t\n{"a":2}')) == [{"a": 1}, {"a": 2}]


def test_an_array_may_be_written_in_any_way() -> None:
    assert values(read(b' [\n{"a":"]},["} ,{} ]\r\n', JSON)) == [{"a": "]},["}, {}]


def test_one_that_cannot_be_read_spoils_no_other_and_tells_its_place_in_the_whole() -> None:
    body = '{"a":"ä"}\n{"a":1,}\n{"a":1,"a":2}\n[]\n{"b":"\\u0000"}\n{}'.encode()
    assert refusals(body, NDJSON) == [
        ("", None, None, None),
        ("malformed_json", 2, 7, 17),
        ("duplicate_key", 3, 8, 27),
        ("not_an_object", None, None, None),
        ("nul_character", 5, 7, 43),
        ("", None, None, None),
    ]


def test_a_line_that_is_no_utf8_is_refused_by_itself() -> None:
    assert refusals(b'{"a":1}\n{"a":"\xff"}\n', NDJSON) == [("", None, None, None), ("not_utf8", 2, 7, 14)]


def test_elements_of_an_array_are_as_strictly_read() -> None:
    body = '[{"a":"ä"}, {"a":1,"a":2},\n 7, {"n":\n12345678901234567890}]'.encode()
    assert refusals(body, JSON) == [
        ("", None, None, None),
        ("duplicate_key", 1, 20, 20),
        ("not_an_object", None, None, None),
        ("number_too_large", 3, 1, 38),
    ]


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"", NDJSON, 400, "empty_batch"),
        (b"\n \n", NDJSON, 400, "empty_batch"),
        (b"", JSON, 400, "empty_batch"),
        (b"[]", JSON, 400, "empty_batch"),
        (b"{}", JSON, 400, "not_an_array"),
        (b"[{]", JSON, 400, "malformed_json"),
        (b'[{"a":NaN}]', JSON, 400, "malformed_json"),
        (b'["\xff"]', JSON, 400, "not_utf8"),
        (b"[" * 2_000 + b"]" * 2_000, JSON, 400, "malformed_json"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"{}", f"{NDJSON}; charset=latin1", 415, "unsupported_media_type"),
    ],
)
def test_what_cannot_be_told_apart_is_refused_as_a_whole(body: bytes, kind: str, status: int, code: str) -> None:
    problem = refusal(body, kind)
    assert (problem.status, problem.code) == (status, code)


def test_elements_too_deep_to_be_taken_apart_are_refused() -> None:
    deep = b"[" * 900 + b"]" * 900
    whole = b"[" + deep + b",{}]"

    assert outcome(whole, JSON) == "too_deep" or refusals(whole, JSON)[1] == ("", None, None, None)


@pytest.mark.parametrize(("kind", "body"), [(NDJSON, b"{}\n{}\n{}\n"), (JSON, b"[{},{},{}]")])
def test_bytes_and_submissions_are_bounded(kind: str, body: bytes) -> None:
    assert len(read(body, kind, bytes_max=len(body), items_max=3).pieces) == 3
    assert refusal(body, kind, items_max=2).code == "too_many_submissions"
    assert refusal(body, kind, bytes_max=len(body) - 1).code == "body_too_large"


def test_one_submission_is_bounded_too() -> None:
    with pytest.raises(Problem) as raised:
        read(b'{"a":"0123456789"}\n').pieces[0].content(10)
    assert raised.value.code == "body_too_large"


@pytest.mark.parametrize("number", [b"1" * 5_000, b"-0", b"1.0000000000000000000000000001"])
def test_numbers_of_any_length_do_not_stop_the_taking_apart(number: bytes) -> None:
    body = b'[{"a":' + number + b'},{"b":1}]'

    assert outcome(body, JSON) == "malformed_json" or read(body, JSON).pieces[1].content(MIB).values == {"b": 1}


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_apart_or_refused(body: bytes) -> None:
    for kind in (NDJSON, JSON):
        assert outcome(body, kind) or read(body, kind).pieces
