from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from apps.intake.api import urls


@pytest.fixture
def operation() -> dict[str, Any]:
    generator: Any = SchemaGenerator
    check: Any = validate_schema
    document = generator(patterns=urls.urlpatterns).get_schema(public=True)
    check(document)
    found: dict[str, Any] = document["paths"]["/forms/{form}/submissions"]["post"]
    return found


def test_every_answer_of_the_operation_is_described(operation: dict[str, Any]) -> None:
    assert set(operation["responses"]) == {
        *("202", "303", "400", "401", "403", "404", "409", "410", "413", "415", "422", "429", "503")
    }
    assert set(operation["requestBody"]["content"]) == {
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    }


def test_the_operation_has_examples(operation: dict[str, Any]) -> None:
    assert "Ada Lovelace" in str(operation["requestBody"])
    assert "k7m2qhx4w9tc" in str(operation["responses"]["202"])
    assert "siblings[1].age" in str(operation["responses"]["422"])
