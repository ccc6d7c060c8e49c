"""Who may do what over the API: every route of /api/v1, every method it has, everybody who may ask.

The routes are taken from the URL conf, so one without a row in TABLE fails here and says what to add.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.forms import published
from apps.intake.commit import Committer
from apps.intake.gate.memory import MemoryStore
from apps.intake.tests.conftest import committer, gate, topic
from apps.orgs import keys
from apps.orgs.models import Role
from tests.api_world import MARK, SHEET, World, a_document, a_world, send, snapshot

__all__ = ["committer", "gate", "topic"]
pytestmark = [pytest.mark.services, pytest.mark.django_db]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

CALLERS = (
    "owner", "admin", "editor", "viewer", "stranger", "removed", "nobody",
    "submit key", "read key", "manage key", "bound key", "expired key", "revoked key",
)  # fmt: skip

# One answer for each of CALLERS. ok: done. own: done, with nothing in it of an organization that is not the caller's.
# The rest are statuses. "bound key" may do everything, but with another form of the organization alone.
#                 owner admin editor viewer stranger removed nobody submit read manage bound expired revoked
RIGHTS: Mapping[str, tuple[Any, ...]] = {
    "anybody":    ("ok", "ok", "ok", "ok",  "ok",  "ok",  "ok",  "ok",  "ok",  "ok",  "ok",  "ok",  "ok"),
    "view":       ("ok", "ok", "ok", "ok",  404,   403,   401,   403,   "ok",  "ok",  404,   401,   401),
    "read":       ("ok", "ok", "ok", "ok",  404,   404,   401,   403,   "ok",  "ok",  404,   401,   401),
    "erase":      ("ok", "ok", "ok", 403,   404,   404,   401,   403,   403,   "ok",  404,   401,   401),
    "edit":       ("ok", "ok", "ok", 403,   404,   403,   401,   403,   403,   "ok",  404,   401,   401),
    "list":       ("ok", "ok", "ok", "ok",  "own", 403,   401,   403,   "ok",  "ok",  "own", 401,   401),
    "make":       ("ok", "ok", "ok", 403,   404,   403,   401,   403,   403,   "ok",  403,   401,   401),
    "look up":    ("ok", "ok", "ok", "ok",  "ok",  403,   401,   403,   "ok",  "ok",  "ok",  401,   401),
    # Of the organization as a whole: nothing for a key that is bound to a form.
    "whole view": ("ok", "ok", "ok", "ok",  404,   403,   401,   403,   "ok",  "ok",  403,   401,   401),
    "whole list": ("ok", "ok", "ok", "ok",  "own", 403,   401,   403,   "ok",  "ok",  403,   401,   401),
    "rule view":  ("ok", "ok", 403,  403,   404,   403,   401,   403,   403,   "ok",  403,   401,   401),
    "rule list":  ("ok", "ok", "own", "own", "own", 403,  401,   403,   403,   "ok",  403,   401,   401),
    "rule":       ("ok", "ok", 403,  403,   404,   403,   401,   403,   403,   "ok",  403,   401,   401),
    "operate":    (403,  403,  403,  403,   403,   403,   401,   403,   403,   403,   403,   401,   401),
    "own":        ("ok", "ok", "ok", "ok",  "own", 403,   401,   403,   "ok",  "ok",  "ok",  401,   401),
    # Submitting is public; a key that comes along must be good for the form.
    "submit":     ("ok", "ok", "ok", "ok",  "ok",  "ok",  "ok",  "ok",  403,   403,   403,   401,   401),
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What a method is: a line of RIGHTS, and a body that is good, so that a refusal is one of rights."""

    right: str
    body: Any = None


def get(right: str) -> dict[str, Row]:
    return {"GET": Row(right)}


DOCUMENT = a_document("Imported")
TABLE: Mapping[str, Mapping[str, Row]] = {
    "openapi.json": get("anybody"),
    "docs/": get("anybody"),
    # Forms
    "field-types": get("look up"),
    "forms": get("list") | {"POST": Row("make", {"title": "New", "organization": "{organization}"})},
    "forms/{form}": get("view") | {"PATCH": Row("edit", {"title": "Changed"})},
    "forms/{draft}": {"DELETE": Row("edit")},
    "forms/{form}/schema": get("anybody"),
    "forms/{form}/fields": get("view") | {"POST": Row("edit", {"type": "email", "label": "E-mail"})},
    "forms/{form}/fields/{field}": get("view") | {"PATCH": Row("edit", {"position": 0}), "DELETE": Row("edit")},
    "forms/{form}/definition": get("view") | {"PUT": Row("edit", DOCUMENT)},
    "forms/{form}/publish": get("view") | {"POST": Row("edit")},
    "forms/{form}/versions": get("view"),
    "forms/{form}/versions/1": get("view"),
    "forms/{form}/versions/1/diff": get("view"),
    "forms/{form}/versions/1/restore": {"POST": Row("edit")},
    # Submissions
    "forms/{form}/submissions": get("read") | {"POST": Row("submit", {"name": "Ada"})},
    "forms/{form}/submissions/batch": {"POST": Row("submit", [{"name": "Ada"}])},
    "forms/{form}/submissions/{submission}": get("read") | {"DELETE": Row("erase")},
    # Actions and deliveries
    "sinks": get("look up"),
    "forms/{form}/actions": get("view")
    | {"POST": Row("edit", {"kind": "google_sheets", "name": "New", "settings": {"spreadsheet": SHEET}})},
    "forms/{form}/actions/{action}": get("view") | {"PATCH": Row("edit", {"name": "New"}), "DELETE": Row("edit")},
    "forms/{form}/actions/{action}/pause": {"POST": Row("edit")},
    "forms/{form}/actions/{action}/resume": {"POST": Row("edit")},
    "forms/{form}/actions/{action}/off": {"POST": Row("edit")},
    "forms/{form}/actions/{action}/on": {"POST": Row("edit")},
    "forms/{form}/actions/{action}/test": {"POST": Row("edit")},
    "forms/{form}/actions/{action}/preview": {"POST": Row("edit")},
    "forms/{form}/actions/preview": {
        "POST": Row("edit", {"kind": "google_sheets", "settings": {"spreadsheet": SHEET}})
    },
    "forms/{form}/actions/{action}/backlog": get("view"),
    "forms/{form}/actions/{action}/replay": {"POST": Row("edit", {"code": "too_long"})},
    "forms/{form}/actions/{action}/backfill": get("view")
    | {"POST": Row("edit", {}), "PATCH": Row("edit", {"paused": True})},
    "forms/{form}/deliveries": get("view"),
    "deliveries": get("list"),
    "deliveries/failed": get("list"),
    "deliveries/failed/replay": {"POST": Row("edit", {"action": "{action}"})},
    "deliveries/failed/{failed}/replay": {"POST": Row("edit")},
    "deliveries/{delivery}": get("view"),
    # Organizations
    "organizations": get("own") | {"POST": Row("operate", {"name": "New", "slug": "new"})},
    "organizations/{organization}": get("whole view") | {"PATCH": Row("rule", {"name": "New"})},
    "memberships": get("whole list"),
    "memberships/{membership}": get("whole view") | {"PATCH": Row("rule", {"role": "editor"}), "DELETE": Row("rule")},
    "memberships/invitations": get("rule list")
    | {"POST": Row("rule", {"email": "x@example.org", "role": "viewer", "organization": "{organization}"})},
    "memberships/invitations/{invitation}": get("rule view") | {"DELETE": Row("rule")},
    "api-keys": get("rule list")
    | {"POST": Row("rule", {"name": "New", "scopes": ["manage"], "organization": "{organization}"})},
    "api-keys/{api_key}": get("rule view") | {"DELETE": Row("rule")},
    "audit": get("whole list"),
}  # fmt: skip


def routes() -> Iterator[tuple[str, Any]]:
    """Every route under /api/v1/ of the URL conf, as its pattern has it, with its view."""
    yield from _routes(get_resolver().url_patterns, "")


def _routes(patterns: Any, before: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        place = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, place)
        elif isinstance(pattern, URLPattern) and place.startswith("api/v1/"):
            yield place.removeprefix("api/v1/"), pattern.callback


def methods_of(view: Any) -> set[str]:
    made = getattr(view, "view_class", getattr(view, "cls", None))
    return {method for method in METHODS if hasattr(made, method.lower())} if made else {"GET"}


def resolved(world: World) -> dict[str, dict[str, Row]]:
    """TABLE by the pattern that each of its addresses leads to."""
    found: dict[str, dict[str, Row]] = {}
    for route, rows in TABLE.items():
        match = get_resolver().resolve(world.address(route))
        found.setdefault(match.route.removeprefix("api/v1/"), {}).update(rows)
    return found


@pytest.fixture
def world(gate: MemoryStore, committer: Committer, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("apps.sinks.builtin.google_sheets.config.own_accounts", lambda: (an_account(),))
    monkeypatch.setattr("apps.sinks.trial.test", lambda binding: an_outcome())
    monkeypatch.setattr(settings, "INTAKE_PER_ADDRESS_AND_FORM", "1000/minute")
    return a_world()


def an_account() -> Any:
    from apps.sinks.builtin.google_sheets.config import ServiceAccount

    return ServiceAccount("robot@example.org", "project", {})


def an_outcome() -> Any:
    from apps.sinks.trial import Outcome

    return Outcome(True, "It works.")


def test_every_route_and_method_has_a_row(world: World) -> None:
    known = resolved(world)
    missing = [
        f"{method} /api/v1/{route}"
        for route, view in routes()
        for method in sorted(methods_of(view))
        if method not in known.get(route, {})
    ]

    assert not missing, (
        f"Who may do {', '.join(missing)}? Add a row to TABLE in {__file__}: the route with its placeholders, and for "
        "the method the line of RIGHTS that holds and a body that is good. What it needs to exist is made in "
        "tests/api_world.py."
    )


def test_no_row_is_for_a_route_that_is_gone(world: World) -> None:
    served: dict[str, set[str]] = {}
    for route, view in routes():  # one address may stand twice, the first answering for both
        served[route] = served.get(route, set()) | methods_of(view)

    for route, rows in resolved(world).items():
        assert set(rows) <= served[route], route


CASES = [
    pytest.param(route, method, row, id=f"{method} {route}")
    for route, rows in TABLE.items()
    for method, row in rows.items()
]


@pytest.mark.parametrize(("route", "method", "row"), CASES)
def test_each_caller_is_answered_as_the_table_says(world: World, route: str, method: str, row: Row) -> None:
    assert set(world.callers) == set(CALLERS)
    address, body = world.address(route), world.filled(row.body)
    before = snapshot()
    wrong = {}
    for name, expected in zip(CALLERS, RIGHTS[row.right], strict=True):
        status, told, changed = tried(world.callers[name], method, address, body, before)
        fault = fault_of(expected, status, told, changed, method)
        if fault:
            wrong[name] = fault

    assert wrong == {}, f"{method} {address}"


def tried(client: Client, method: str, address: str, body: Any, before: dict[str, Any]) -> tuple[int, str, list[str]]:
    """The status, what was answered, and the tables that differ afterwards; then everything is as it was."""
    published.clear()
    keys.clear_cache()
    with transaction.atomic():
        answer = send(client, method, address, body)
        after = snapshot()
        transaction.set_rollback(True)
    return answer.status_code, answer.content.decode(), [table for table in after if after[table] != before[table]]


def fault_of(expected: Any, status: int, told: str, changed: list[str], method: str) -> str:
    if expected in ("ok", "own"):
        if not 200 <= status < 300:
            return f"{status}, not done: {told[:300]}"
        return f"it was told of {MARK}" if expected == "own" and MARK in told else ""
    if status != expected:
        return f"{status} for {expected}: {told[:300]}"
    if changed:
        return f"refused, and yet {changed} changed"
    return f"refused, and yet told of {MARK}" if MARK in told else ""


@pytest.mark.parametrize("role", ["admin", "editor", "viewer"])
def test_nobody_makes_themselves_or_others_an_owner(world: World, role: str) -> None:
    client = world.callers[role]
    before = snapshot()

    for member in (f"{role}_membership", "membership"):
        answer = send(client, "PATCH", f"/api/v1/memberships/{world.names[member]}", {"role": "owner"})
        assert answer.status_code == 403
    assert send(client, "DELETE", f"/api/v1/memberships/{world.names['owner_membership']}").status_code == 403
    body = {"email": "x@example.org", "role": Role.OWNER, "organization": world.names["organization"]}
    assert send(client, "POST", "/api/v1/memberships/invitations", body).status_code == 403
    assert snapshot() == before


def test_a_key_makes_no_key_that_can_do_more_than_itself(world: World) -> None:
    body = {"name": "x", "scopes": ["submit"]}

    assert send(world.callers["manage key"], "POST", "/api/v1/api-keys", body).status_code == 403
