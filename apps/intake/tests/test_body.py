from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.test import RequestFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.intake.parsing.body import Content, read_content
from apps.intake.parsing.reserved import Payload, idempotency_key, split
from formhub.core.problem import Problem

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=XX"


def a_request(body: bytes, content_type: str = "application/json", **meta: Any) -> HttpRequest:
    return WSGIRequest(
        RequestFactory().post("/").environ
        | {"wsgi.input": BytesIO(body), "CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body))}
        | meta
    )


def read(body: bytes, content_type: str = "application/json", bytes_max: int = 10_000, **meta: Any) -> Content:
    return read_content(a_request(body, content_type, **meta), bytes_max)


def refused(*args: Any, **kwargs: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        read(*args, **kwargs)
    return caught.value


def outcome(body: bytes, kind: str) -> dict[str, Any] | str:
    """The values, or the code of a refusal; any other exception is a defect."""
    try:
        return read(body, kind).values
    except Problem as problem:
        return problem.code if 400 <= problem.status < 500 else f"status {problem.status}"


def multipart(*parts: tuple[str, str]) -> bytes:
    body = "".join(f"--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n" for head, content in parts)
    return f"{body}--XX--\r\n".encode()


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=UTF-8", 'Application/JSON;charset="utf-8"']
)
def test_json_is_taken_under_its_spellings(kind: str) -> None:
    assert read(b'{"a":1}', kind) == Content({"a": 1}, from_form=False)


@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        pytest.param("text/plain", "", id="another type"),
        pytest.param("", "", id="no type"),
        pytest.param("application/json; charset=latin-1", "", id="another charset"),
        pytest.param("application/json", "gzip", id="compressed"),
    ],
)
def test_what_is_not_taken_answers_415(kind: str, encoding: str) -> None:
    assert refused(b"{}", kind, HTTP_CONTENT_ENCODING=encoding).status == 415


def test_a_body_over_the_cap_answers_413_whatever_length_it_declares() -> None:
    assert refused(b'{"a":"' + b"x" * 100 + b'"}', bytes_max=50).status == 413
    assert read(b"{}" + b" " * 48, bytes_max=50).values == {}


def test_a_declared_length_over_the_cap_answers_413_before_anything_is_read() -> None:
    request = a_request(b"{}", CONTENT_LENGTH="1000000000000")
    with pytest.raises(Problem) as caught:
        read_content(request, 50)

    assert caught.value.status == 413
    assert request.read() == b"{}"


def test_a_body_shorter_than_declared_is_refused() -> None:
    assert refused(b'{"a":1}', CONTENT_LENGTH="70").code == "body_cut_off"


def test_names_that_stand_several_times_become_lists() -> None:
    assert read(b"a=1&b=x+y&a=2&a=%C3%A9&c=", URLENCODED) == Content(
        {"a": ["1", "2", "é"], "b": "x y", "c": ""}, from_form=True
    )
    body = multipart(('name="a"', "1"), ('name="b"', "x\r\ny"), ('name="a"', "2"), ('name="c"', ""))
    assert read(body, MULTIPART) == Content({"a": ["1", "2"], "b": "x\r\ny", "c": ""}, from_form=True)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"a=%ff", "not_utf8", id="not UTF-8"),
        pytest.param(b"a=%00", "nul_character", id="NUL"),
        pytest.param(b"&".join(b"k%d=1" % number for number in range(601)), "too_many_keys", id="601 names"),
        pytest.param(b"&".join([b"a=1"] * 5001), "too_many_keys", id="5,001 repetitions"),
    ],
)
def test_an_unusable_form_is_refused(body: bytes, code: str) -> None:
    problem = refused(body, URLENCODED, bytes_max=100_000)
    assert (problem.status, problem.code) == (400, code)


def test_a_file_is_refused_by_the_name_of_its_field() -> None:
    problem = refused(multipart(('name="a"', "1"), ('name="photo"; filename="me.png"', "...")), MULTIPART)

    assert problem.status == 422
    assert [(error["field"], error["code"]) for error in problem.errors] == [("photo", "file_not_taken")]


def test_an_empty_file_input_counts_as_not_answered() -> None:
    assert read(multipart(('name="a"', "1"), ('name="photo"; filename=""', "")), MULTIPART).values == {"a": "1"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--XX--",
        b"--XX\r\n\r\n\r\n--XX",
        multipart(('nome="a"', "1")),
        b"--XX\r\nContent-Disposition: x\r\n--XX--",
    ],
)
def test_a_broken_multipart_body_is_refused_or_empty(body: bytes) -> None:
    assert outcome(body, MULTIPART) in ({}, "malformed_multipart")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([URLENCODED, MULTIPART, "multipart/form-data"]) | st.text(max_size=30))
def test_any_body_of_any_type_is_read_or_refused(body: bytes, kind: str) -> None:
    assert "\0" not in str(outcome(body, kind))


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), st.text("aé&=+ %\n"))
)
def test_a_form_arrives_as_it_was_sent(answers: dict[str, str]) -> None:
    assert read(urlencode(answers).encode(), URLENCODED).values == answers


def test_reserved_keys_are_split_off_in_every_encoding() -> None:
    expected = Payload({"a": "1"}, False, 3, "de-AT", {"source": "qr"}, "https://example.org/", "k-1")
    sent = {"a": "1", "_version": 3, "_locale": "de-AT", "_meta": {"source": "qr"}}
    assert split(Content(sent | {"_next": "https://example.org/", "_key": "k-1"}, from_form=False)) == expected

    body = b"a=1&_version=3&_locale=de-AT&_meta.source=qr&_next=https://example.org/&_key=k-1"
    payload = split(read(body, URLENCODED))
    assert payload.from_form
    assert (payload.answers, payload.version, payload.meta) == (expected.answers, expected.version, expected.meta)
    assert (payload.locale, payload.next, payload.key) == (expected.locale, expected.next, expected.key)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_unknown", 1),
        ("_", ""),
        ("_version", 0),
        ("_version", True),
        ("_version", "1.5"),
        ("_locale", "not a tag"),
        ("_meta", "text"),
        ("_meta", {"a": {}}),
        ("_meta", {"0": 1}),
        ("_meta", {"a": "x" * 501}),
        ("_meta", {f"a{number}": 1 for number in range(21)}),
        ("_next", ["a"]),
        ("_key", ""),
        ("_key", "é"),
        ("_key", "x" * 256),
    ],
)
def test_a_reserved_key_in_error_is_named(key: str, value: Any) -> None:
    with pytest.raises(Problem) as caught:
        split(Content({"a": 1, key: value}, from_form=False))

    assert caught.value.status == 422
    assert [error["field"] for error in caught.value.errors] == [key]


def test_the_idempotency_key_comes_from_the_header_or_the_body() -> None:
    assert idempotency_key("k", Payload({})) == "k"
    assert idempotency_key(None, Payload({}, key="k")) == "k"
    assert idempotency_key("k", Payload({}, key="k")) == "k"
    assert idempotency_key(None, Payload({})) == ""


@pytest.mark.parametrize("header", ["", "two words", "x" * 256, "é", "other"])
def test_an_unusable_or_contradicting_idempotency_key_is_refused(header: str) -> None:
    with pytest.raises(Problem) as caught:
        idempotency_key(header, Payload({}, key="k"))
    assert caught.value.status == 422
