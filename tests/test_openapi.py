"""The OpenAPI document: valid, complete, and true to itself."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from django.conf import settings
from django.test import Client
from drf_spectacular.validation import validate_schema
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from apps.console.api.document import document

DOCUMENT: dict[str, Any] = json.loads(document())
METHODS = ("get", "put", "post", "patch", "delete")
OPERATIONS = [
    pytest.param(path, method, operation, id=operation["operationId"])
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in METHODS
]
every_operation = pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)


def resolved(schema: Any) -> Any:
    """As a JSON Schema of its own: references lead into this document."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/wanted"} | {
        "wanted": schema,
        "components": DOCUMENT["components"],
    }


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"request {media_type}", content
    for status, response in operation["responses"].items():
        for media_type, content in response.get("content", {}).items():
            yield f"{status} {media_type}", content


def test_it_is_valid_openapi_3_1() -> None:
    check: Any = validate_schema

    assert DOCUMENT["openapi"].startswith("3.1")
    check(DOCUMENT)


def test_every_schema_is_valid_json_schema_and_every_reference_leads_somewhere() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert re.fullmatch(r"[A-Z][A-Za-z]+", name)
    registry = Registry().with_resource("", DRAFT202012.create_resource(DOCUMENT))
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENT))):
        assert registry.resolver().lookup(reference).contents


def test_no_two_operations_have_the_same_id() -> None:
    counted = Counter(str(param.values[2]["operationId"]) for param in OPERATIONS)  # type: ignore[index]

    assert len(counted) > 40
    assert [id for id, count in counted.items() if count > 1] == []


@every_operation
def test_an_operation_says_what_it_is_and_what_may_go_wrong(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert operation["summary"]
    assert operation["description"]
    assert operation["security"]
    problems = {status for status in operation["responses"] if status >= "400"}
    for status in problems:
        assert set(operation["responses"][status]["content"]) == {"application/problem+json"}
    declared = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
    assert declared == set(re.findall(r"{(\w+)}", path))


@every_operation
def test_every_operation_has_an_example_and_it_keeps_its_own_schema(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    seen = 0
    for place, content in bodies(operation):
        for example in content.get("examples", {}).values():
            jsonschema.validate(example["value"], resolved(content["schema"]), jsonschema.Draft202012Validator)
            seen += 1
        if place in {"request application/json", "200 application/json", "201 application/json"}:
            assert content.get("examples"), place
    assert seen or next(iter(operation["responses"])) == "204"


def test_anybody_reads_it_and_it_is_kept_by_caches() -> None:
    answer = Client().get("/api/v1/openapi.json")

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.json() == DOCUMENT
    again = Client().get("/api/v1/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_the_page_to_read_it_loads_nothing_from_elsewhere_under_a_policy_of_its_own() -> None:
    page = Client().get("/api/v1/docs/")
    text = page.content.decode()

    assert page.status_code == 200
    assert "redoc.standalone" in text
    assert not re.findall(r"https?://", text)
    assert "style-src 'self' 'unsafe-inline'" in page.headers["Content-Security-Policy"]
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in str(settings.CONTENT_SECURITY_POLICY)
