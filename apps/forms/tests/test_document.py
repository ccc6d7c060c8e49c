import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from apps.forms import document
from apps.forms.tests.documents import EVERY_TYPE, a_document, a_question

STUDENT = json.loads((Path(__file__).parents[1] / "samples" / "student_data.json").read_text())


def paths(body: Any, keys: dict[str, str] | None = None) -> list[str]:
    return [problem.path for problem in document.problems(body, keys)]


def a_group(*elements: dict[str, Any], key: str = "group") -> dict[str, Any]:
    return {"type": "group", "key": key, "label": "Group", "elements": list(elements)}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(STUDENT, id="the sample"),
        pytest.param(a_document(*EVERY_TYPE, languages=["en", "de"]), id="every type"),
        pytest.param(a_document(a_group(a_group(a_question(), key="inner"))), id="groups in groups"),
        pytest.param(
            a_document(a_question(label={"en": "Name", "de": "Name"}), languages=["en", "de"]), id="two languages"
        ),
    ],
)
def test_a_good_document_has_no_problems(body: dict[str, Any]) -> None:
    assert document.problems(body) == []


PROBLEMS = [
    pytest.param([], "", id="no object"),
    pytest.param(a_document(format="formhub/2"), "format", id="another format"),
    pytest.param({**a_document(), "theme": {}}, "theme", id="unknown member at the top"),
    pytest.param(a_document(pages=[]), "pages", id="no page"),
    pytest.param(a_document(a_group()), "pages", id="no question"),
    pytest.param(a_document(a_question(type="hologram")), "pages[0].elements[0].type", id="unknown type"),
    pytest.param(a_document(a_question(type="page")), "pages[0].elements[0].type", id="page in a page"),
    pytest.param(a_document(a_question(), a_question()), "pages[0].elements[1].key", id="a key twice"),
    pytest.param(a_document(a_question(key="p1")), "pages[0].elements[0].key", id="key of a page"),
    pytest.param(a_document(a_question(key="_meta")), "pages[0].elements[0].key", id="reserved key"),
    pytest.param(a_document(a_question(key="a" * 64)), "pages[0].elements[0].key", id="long key"),
    pytest.param(a_document(a_question(key="Name")), "pages[0].elements[0].key", id="capital in a key"),
    pytest.param(a_document(a_question(label="")), "pages[0].elements[0].label", id="no question asked"),
    pytest.param(a_document(a_question(colour="red")), "pages[0].elements[0].colour", id="unknown member"),
    pytest.param(a_document(a_question(visible_if={})), "pages[0].elements[0].visible_if", id="logic"),
    pytest.param(
        a_document(a_question(settings={"max_length": "9"})),
        "pages[0].elements[0].settings.max_length",
        id="setting of a wrong type",
    ),
    pytest.param(
        a_document(a_question("single_choice", settings={"choices": ["a", "a"]})),
        "pages[0].elements[0].settings.choices[1]",
        id="choice twice",
    ),
    pytest.param(a_document(a_question(elements=[])), "pages[0].elements[0].elements", id="question holding others"),
    pytest.param(
        a_document({**a_group(a_question()), "required": True}), "pages[0].elements[0].required", id="required group"
    ),
    pytest.param(
        a_document(a_question(label={"en": "Name"}), languages=["en", "de"]),
        "pages[0].elements[0].label",
        id="missing language",
    ),
    pytest.param(
        a_document(a_question("consent", settings={"text": {"de": "Ja", "en": "Yes"}})),
        "pages[0].elements[0].settings.text",
        id="language the form lacks",
    ),
    pytest.param(
        a_document(endings=[{"key": "a", "title": "A"}, {"key": "b", "title": "B"}]), "endings", id="two endings"
    ),
    pytest.param(a_document(settings={"max_submissions": 5}), "settings.max_submissions", id="cap"),
    pytest.param(
        a_document(*(a_question(key=f"q{number}") for number in range(601))), "pages[0].elements", id="601 questions"
    ),
    pytest.param(a_document(title="x" * 201), "title", id="long title"),
    pytest.param(a_document(a_question(label="\ud800")), "", id="half a surrogate pair"),
    pytest.param(a_document(a_question(label="a\0b")), "", id="NUL"),
    pytest.param(a_document(a_question("decimal", settings={"max": float("nan")})), "", id="not a number"),
]


@pytest.mark.parametrize(("body", "path"), PROBLEMS)
def test_a_problem_is_told_at_its_path(body: Any, path: str) -> None:
    assert path in paths(body)


def test_what_is_not_built_yet_is_refused_by_name() -> None:
    [problem] = document.problems(a_document(a_question(visible_if={"==": [1, 1]})))

    assert problem.message == "visible_if is not supported yet; remove it."


def test_a_published_key_is_never_given_to_another_type() -> None:
    body = a_document(a_question("integer", "age"))

    assert paths(body, {"age": "short_text"}) == ["pages[0].elements[0].key"]
    assert paths(body, {"age": "integer"}) == []


def test_groups_can_be_only_so_deep() -> None:
    nested: dict[str, Any] = a_question()
    for depth in range(6):
        nested = a_group(nested, key=f"g{depth}")

    assert paths(a_document(nested)) == ["pages"]


def test_the_schema_of_the_format_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(document.SCHEMA)
    jsonschema.validate(STUDENT, document.SCHEMA)
