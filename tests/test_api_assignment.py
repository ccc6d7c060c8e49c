"""What only the server sets cannot be sent: members of answers that no request has, and what rows hold besides."""

import json
from typing import Any

import pytest

from apps.console.api.document import document
from apps.forms import published
from apps.intake.tests.conftest import committer, gate, topic
from apps.orgs import keys
from tests.api_world import World, send, snapshot
from tests.test_api_rights import TABLE, world

__all__ = ["committer", "gate", "topic", "world"]
pytestmark = [pytest.mark.services, pytest.mark.django_db]
DOCUMENT: dict[str, Any] = json.loads(document())
# Columns of rows that no answer shows, and names that other frameworks bind.
HIDDEN = (
    "pk", "organization_id", "public_id", "salt", "live", "live_id", "keys", "rates", "default_language", "secrets",
    "config", "destination", "since", "settled_to", "pause_reason", "hash", "prefix", "created_by", "last_used_at",
    "revoked_at", "digest", "invited_by", "accepted_at", "user", "is_superuser", "is_staff", "password", "owner",
    "__class__", "_state",
)  # fmt: skip


def schema_of(content: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = content["application/json"]["schema"]
    name = schema.get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["schemas"][name] if name else schema


def writes() -> list[Any]:
    """Every operation that takes a JSON object of known members, with the row of the rights' table that is good."""
    found = []
    for route, rows in TABLE.items():
        for method, row in rows.items():
            if method in {"POST", "PATCH"} and isinstance(row.body, dict) and not route.endswith("/submissions"):
                found.append(pytest.param(route, method, row.body, id=f"{method} {route}"))
    return found


def operation_of(world: World, route: str, method: str) -> dict[str, Any]:
    """The operation in the document whose path the address fits."""
    parts = world.address(route).split("/")
    for path, item in sorted(DOCUMENT["paths"].items(), key=lambda found: found[0].count("{")):
        wanted = path.split("/")
        if len(wanted) == len(parts) and all(
            want == part or want.startswith("{") for want, part in zip(wanted, parts, strict=True)
        ):
            operation: dict[str, Any] = item[method.lower()]
            return operation
    raise LookupError(route)


@pytest.mark.parametrize(("route", "method", "body"), writes())
def test_what_only_the_server_sets_is_refused_by_name(world: World, route: str, method: str, body: Any) -> None:
    operation = operation_of(world, route, method)
    answered = next(answer for status, answer in operation["responses"].items() if status in {"200", "201"})
    taken = set(schema_of(operation["requestBody"]["content"])["properties"])
    read_only = sorted(set(schema_of(answered["content"])["properties"]) - taken)
    names = read_only + [name for name in HIDDEN if name not in taken]
    owner = world.callers["owner"]
    published.clear()
    keys.clear_cache()
    before = snapshot()

    answer = send(owner, method, world.address(route), world.filled(body) | dict.fromkeys(names, "changed"))

    if (answer.status_code, route) == (403, "organizations"):
        return  # for operators alone; the serializer is that of PATCH
    assert read_only
    assert answer.status_code == 422, answer.content
    assert {error["field"] for error in answer.json()["errors"]} >= set(names)
    assert snapshot() == before


def test_nested_members_are_refused_by_name_too(world: World) -> None:
    body = {"limits": {"per_form": "1/minute", "per_day": "1/day"}, "ending": {"title": "Bye", "key": "x"}}

    answer = send(world.callers["owner"], "PATCH", world.address("forms/{form}"), body)

    assert {error["field"] for error in answer.json()["errors"]} == {"limits.per_day", "ending.key"}


@pytest.mark.parametrize(
    "route", [route for route, rows in TABLE.items() if "POST" in rows and rows["POST"].body is None]
)
def test_a_method_without_a_body_takes_none(world: World, route: str) -> None:
    answer = send(world.callers["owner"], "POST", world.address(route), {"state": "off"})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "state")
