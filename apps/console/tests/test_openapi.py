from typing import Any

import pytest
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

ADDRESS = "/api/v1/forms/{form}/submissions"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    generator: Any = SchemaGenerator
    check: Any = validate_schema
    found: dict[str, Any] = generator(patterns=get_resolver().url_patterns).get_schema(public=True)
    check(found)
    return found


@pytest.fixture
def paths(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]
    return found


def test_reading_and_submitting_share_an_address(paths: dict[str, Any]) -> None:
    assert set(paths[ADDRESS]) == {"get", "post"}
    assert paths[ADDRESS]["get"]["operationId"] == "list_submissions"
    assert paths[ADDRESS]["post"]["operationId"] == "submit"


def test_reading_needs_a_key_or_a_session_and_submitting_nothing(
    paths: dict[str, Any], document: dict[str, Any]
) -> None:
    assert paths[ADDRESS]["get"]["security"] == [{"apiKey": []}, {"cookieAuth": []}]
    assert paths[ADDRESS]["post"]["security"] == [{}, {"apiKey": []}]
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


def test_every_answer_of_the_reads_is_described(paths: dict[str, Any]) -> None:
    listed, one = paths[ADDRESS]["get"], paths[ADDRESS + "/{id}"]["get"]

    refusals = {"400", "401", "403", "404", "429", "503"}
    for operation, given in ((listed, {"200"}), (one, {"200", "202"})):
        assert set(operation["responses"]) == refusals | given
        assert "application/problem+json" in operation["responses"]["404"]["content"]
        assert "Ada Lovelace" in str(operation["responses"]["200"])
    assert [parameter["name"] for parameter in listed["parameters"]] == ["cursor", "form", "limit", "order"]


def test_what_is_answered_is_what_is_described(paths: dict[str, Any]) -> None:
    [example] = paths[ADDRESS + "/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["examples"].values()
    schema = paths[ADDRESS + "/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    assert set(example["value"]) == set(schema["properties"]) == set(schema["required"])
    assert set(example["value"]["actions"][0]) == set(schema["properties"]["actions"]["items"]["properties"])
