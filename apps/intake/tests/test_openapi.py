from typing import Any

import orjson
import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from apps.intake.api import urls

SUBMIT, BATCH = "/forms/{form}/submissions", "/forms/{form}/submissions/batch"


@pytest.fixture(scope="module")
def paths() -> dict[str, Any]:
    generator: Any = SchemaGenerator
    check: Any = validate_schema
    document = generator(patterns=urls.urlpatterns).get_schema(public=True)
    check(document)
    found: dict[str, Any] = document["paths"]
    return found


@pytest.mark.parametrize(
    ("path", "answers", "kinds"),
    [
        (
            SUBMIT,
            {*("202", "303", "400", "401", "403", "404", "409", "410", "413", "415", "422", "429", "503")},
            {"application/json", "application/x-www-form-urlencoded", "multipart/form-data"},
        ),
        (
            BATCH,
            {*("200", "400", "401", "403", "404", "413", "415", "422", "429", "503")},
            {"application/json", "application/x-ndjson"},
        ),
    ],
)
def test_every_answer_of_an_operation_is_described(
    paths: dict[str, Any], path: str, answers: set[str], kinds: set[str]
) -> None:
    operation = paths[path]["post"]
    assert set(operation["responses"]) == answers
    assert set(operation["requestBody"]["content"]) == kinds


def test_submitting_one_has_examples(paths: dict[str, Any]) -> None:
    operation = paths[SUBMIT]["post"]
    assert "Ada Lovelace" in str(operation["requestBody"])
    assert "k7m2qhx4w9tc" in str(operation["responses"]["202"])
    assert "siblings[1].age" in str(operation["responses"]["422"])


def test_submitting_many_has_an_example_of_each_encoding(paths: dict[str, Any]) -> None:
    operation = paths[BATCH]["post"]
    for content in (operation["requestBody"]["content"], operation["responses"]["200"]["content"]):
        (array,) = content["application/json"]["examples"].values()
        (lines,) = content["application/x-ndjson"]["examples"].values()
        assert isinstance(array["value"], list)
        assert len([orjson.loads(line) for line in lines["value"].splitlines()]) == 2
