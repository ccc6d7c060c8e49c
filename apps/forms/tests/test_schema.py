import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.forms import schema
from apps.forms.schema import AnswersRefused
from apps.forms.tests.documents import EVERY_TYPE, a_document, a_question

STUDENT = json.loads((Path(__file__).parents[1] / "samples" / "student_data.json").read_text())
SENT = {
    "name": "Test Student",
    "roll": "99999",
    "university": "BCE",
    "cgpa": "8.04",
    "gender": "F",
    "age": "10.11",
    "email": "student@example.org",
    "mobile": "9876543210",
}
EVERYTHING = schema.compile(a_document(*EVERY_TYPE), "IN")
KEYS = list(EVERYTHING.fields)

texts = st.text(st.characters(exclude_categories=[]), max_size=40)
likely = st.sampled_from(
    [
        "yes",
        "red",
        "g",
        "_other",
        "",
        " ",
        "2024-02-29",
        "42",
        "8.04",
        "-0",
        "a@b.org",
        "+4930123456",
        "https://a.b",
        "AB-1",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | likely
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


def codes(compiled: schema.Compiled, raw: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(AnswersRefused) as refused:
        compiled.clean(raw)
    return {error.field: error.code for error in refused.value.errors}


def outcome(raw: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Clean answers, or the fields that are wrong. Any other exception fails the test."""
    try:
        return EVERYTHING.clean(raw), []
    except AnswersRefused as refused:
        return {}, [error.field for error in refused.errors]


def test_the_student_form_takes_what_its_clients_send() -> None:
    compiled = schema.compile(STUDENT, "IN")

    assert compiled.clean(SENT) == {
        **SENT,
        "cgpa": 8.04,
        "age": 10.11,
        "mobile": "+919876543210",
    }


def test_every_wrong_field_is_told_at_once_in_the_order_of_the_form() -> None:
    compiled = schema.compile(STUDENT, "IN")

    found = codes(compiled, {"unknown": 1, "age": "200", "cgpa": "8.041", "email": "x", "mobile": "12"})

    assert list(found.items()) == [
        ("name", "required"),
        ("email", "invalid_email"),
        ("mobile", "invalid_phone"),
        ("cgpa", "decimal_places"),
        ("age", "max_value"),
        ("unknown", "unknown_field"),
    ]


def test_an_error_carries_its_limit() -> None:
    compiled = schema.compile(STUDENT, "IN")

    with pytest.raises(AnswersRefused) as refused:
        compiled.clean({**SENT, "cgpa": 11})

    assert refused.value.errors[0].as_json() == {
        "field": "cgpa",
        "code": "max_value",
        "message": "Enter 10 or less.",
        "params": {"limit": 10},
    }


def test_a_blank_answer_to_a_required_question_is_missing() -> None:
    compiled = schema.compile(a_document(a_question(required=True)))

    assert codes(compiled, {"answer": " \n"}) == {"answer": "required"}
    assert codes(compiled, {"answer": None}) == {"answer": "required"}
    assert codes(compiled, {}) == {"answer": "required"}


def test_questions_inside_groups_are_answered_at_the_top() -> None:
    group = {"type": "group", "key": "g", "label": "Group", "elements": [a_question("integer", "inner")]}
    compiled = schema.compile(a_document(group))

    assert compiled.clean({"inner": "1"}) == {"inner": 1}
    assert codes(compiled, {"g": {"inner": 1}}) == {"g": "unknown_field"}


def test_a_long_unknown_key_is_not_repeated_in_full() -> None:
    [key] = codes(EVERYTHING, {"k" * 5_000: 1})

    assert len(key) == 100


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(KEYS), anything, max_size=len(KEYS)) | st.dictionaries(texts, anything, max_size=3)
)
def test_any_json_is_cleaned_or_refused_and_clean_answers_pass_unchanged(raw: dict[str, Any]) -> None:
    clean, wrong = outcome(raw)

    assert bool(wrong) or set(clean) <= set(raw)
    assert EVERYTHING.clean(clean) == clean


@settings(max_examples=300, deadline=None)
@given(key=st.sampled_from(KEYS), answer=anything)
def test_each_type_alone_is_cleaned_or_refused(key: str, answer: Any) -> None:
    clean, wrong = outcome({key: answer})

    assert wrong in ([], [key])
    assert EVERYTHING.clean(clean) == clean
    json.dumps(clean, allow_nan=False).encode()


@settings(max_examples=200, deadline=None)
@given(st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False, places=5))
def test_a_decimal_comes_back_digit_by_digit(number: Any) -> None:
    compiled = schema.compile(a_document(a_question("decimal")))

    clean = compiled.clean({"answer": format(number, "f")})["answer"]

    assert Decimal(repr(clean)) == number


def test_the_published_schema_agrees_with_the_validator_on_samples() -> None:
    answers = schema.sample(list(EVERYTHING.fields.values()), "IN")

    jsonschema.Draft202012Validator.check_schema(EVERYTHING.schema)
    jsonschema.validate(answers, EVERYTHING.schema)
