"""Actions and deliveries over HTTP, as an editor's program uses them."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from apps.forms.models import Form
from apps.orgs import keys
from apps.orgs.models import AuditEntry, Organization
from apps.sinks import actions
from apps.sinks.api.settings_schema import schema_of
from apps.sinks.builtin.google_sheets.sink import GoogleSheets
from apps.sinks.config import Settings
from apps.sinks.models import Batch, BatchItem, BatchState, Binding, FormerItem, Parked
from apps.sinks.registry import registry
from apps.sinks.tests.kinds import Letterbox, Shelf
from formhub.core import secrets

pytestmark = [pytest.mark.services, pytest.mark.django_db]
SETTINGS = {"shelf": "oak", "token": "hush"}


@pytest.fixture(autouse=True)
def _shelf_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    keys.clear_cache()
    monkeypatch.setattr(registry, "get", {"shelf": Shelf}.__getitem__)
    monkeypatch.setattr(registry, "kinds", lambda: [Shelf])
    yield
    keys.clear_cache()


@pytest.fixture
def form() -> Form:
    return a_form("Acme")


def a_form(name: str) -> Form:
    organization = Organization.objects.create(name=name, slug=name.lower())
    return Form.objects.create(organization=organization, title=f"Guests of {name}", slug="guests")


def a_program(form: Form, *scopes: str, **bound: Any) -> Client:
    _, token = keys.create(organization=form.organization, name="test", scopes=scopes or ("manage",), **bound)
    return Client(headers={"Authorization": f"Bearer {token}"})


def send(client: Client, method: str, path: str, body: Any = None) -> Any:
    return client.generic(method, path, "" if body is None else json.dumps(body), "application/json")


def address(form: Form, *rest: object) -> str:
    return "/".join(["/api/v1/forms", form.public_id, "actions", *(str(part) for part in rest)])


def an_action(form: Form, **changes: Any) -> Binding:
    values: dict[str, Any] = {
        "name": "To the shelf",
        "settings": Settings({"shelf": "oak", "shade": ""}, {"token": "hush"}),
        "position": 0,
        "sink": Shelf,
        **changes,
    }
    return actions.create(organization_id=form.organization_id, form_id=form.pk, **values)


def errors_in(answer: Any) -> set[tuple[str, str]]:
    assert answer.status_code == 422, answer.content
    return {(error["field"], error["code"]) for error in answer.json()["errors"]}


def test_a_kind_says_what_it_can_be_set_to_and_which_of_it_is_secret(form: Form) -> None:
    [kind] = a_program(form, "read").get("/api/v1/sinks").json()["results"]

    assert kind["settings_schema"]["required"] == ["shelf", "token"]
    assert kind["settings_schema"]["properties"]["token"] == {"type": "string", "title": "Token", "writeOnly": True}
    assert kind["settings_schema"]["properties"]["shelf"]["maxLength"] == 2000


def test_the_sheets_schema_takes_what_its_form_takes() -> None:
    schema = schema_of(GoogleSheets)

    assert schema["required"] == ["spreadsheet"]
    assert schema["properties"]["worksheet"]["default"] == "Submissions"
    assert schema["properties"]["apostrophe"]["type"] == "boolean"
    assert schema["properties"]["service_account"]["writeOnly"] is True


def test_an_action_is_attached_and_its_secret_never_comes_back(form: Form) -> None:
    client = a_program(form)

    made = send(client, "POST", address(form), {"kind": "shelf", "name": "To the shelf", "settings": SETTINGS})

    assert made.status_code == 201, made.content
    assert made.json()["settings"] == {"shelf": "oak", "shade": ""}
    assert (made.json()["secrets"], made.json()["state"]) == (True, "on")
    assert "hush" not in made.content.decode() + client.get(made.headers["Location"]).content.decode()
    assert secrets.decrypt(Binding.objects.get().secrets) == {"token": "hush"}
    assert "hush" not in json.dumps(list(AuditEntry.objects.values_list("changes", flat=True)))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param({}, ("kind", "required"), id="nothing"),
        pytest.param({"kind": "shelf"}, ("name", "required"), id="no name"),
        pytest.param({"kind": "letterbox", "name": "x"}, ("kind", "unknown_kind"), id="kind"),
        pytest.param({"kind": "shelf", "name": "x"}, ("settings.shelf", "required"), id="no settings"),
        pytest.param(
            {"kind": "shelf", "name": "x", "settings": {**SETTINGS, "colour": "red"}},
            ("settings.colour", "unknown_field"),
            id="unknown setting",
        ),
        pytest.param(
            {"kind": "shelf", "name": "x", "settings": {**SETTINGS, "shelf": 5}},
            ("settings.shelf", "invalid"),
            id="a number for a text",
        ),
        pytest.param({"kind": "shelf", "name": "x", "settings": []}, ("settings", "invalid"), id="no object"),
        pytest.param(
            {"kind": "shelf", "name": "x", "settings": SETTINGS, "condition": {"no such operator": [1]}},
            ("condition", "invalid_condition"),
            id="condition",
        ),
        pytest.param(
            {"kind": "shelf", "name": "x", "settings": SETTINGS, "flush_seconds": 0},
            ("flush_seconds", "min_value"),
            id="flush",
        ),
        pytest.param({"kind": "shelf", "name": "x", "delivered": 5}, ("delivered", "read_only"), id="set by us"),
    ],
)
def test_what_is_wrong_with_an_action_is_named(form: Form, body: Any, error: tuple[str, str]) -> None:
    assert error in errors_in(send(a_program(form), "POST", address(form), body))
    assert not Binding.objects.exists()


def test_a_change_keeps_the_secret_and_what_is_not_sent(form: Form) -> None:
    action = an_action(form)
    client = a_program(form)

    changed = send(client, "PATCH", address(form, action.pk), {"name": "Elm", "settings": {"shelf": "elm"}})

    action.refresh_from_db()
    assert changed.json()["settings"] == {"shelf": "elm", "shade": ""}
    assert (action.name, action.destination.key, secrets.decrypt(action.secrets)) == ("Elm", "elm", {"token": "hush"})
    entry = AuditEntry.objects.get(action="changed")
    assert entry.changes == {"name": ["To the shelf", "Elm"], "shelf": ["oak", "elm"]}


def test_a_new_secret_is_taken_and_only_said_to_have_changed(form: Form) -> None:
    action = an_action(form)

    send(a_program(form), "PATCH", address(form, action.pk), {"settings": {"token": "louder"}})

    action.refresh_from_db()
    assert secrets.decrypt(action.secrets) == {"token": "louder"}
    assert AuditEntry.objects.get(action="changed").changes == {"secrets": ["hidden", "hidden"]}


@pytest.mark.parametrize(
    ("before", "verb", "after", "recorded"),
    [
        pytest.param("on", "pause", "paused", "paused", id="pause"),
        pytest.param("paused", "resume", "on", "resumed", id="resume"),
        pytest.param("on", "off", "off", "switched off", id="off"),
        pytest.param("off", "on", "on", "switched on", id="on"),
    ],
)
def test_its_verbs_change_its_state_and_leave_a_trail(
    form: Form, before: str, verb: str, after: str, recorded: str
) -> None:
    action = an_action(form)
    Binding.objects.update(state=before)
    client = a_program(form)

    for _ in range(2):  # the second time there is nothing to do
        assert send(client, "POST", address(form, action.pk, verb)).json()["state"] == after
    assert list(AuditEntry.objects.values_list("action", flat=True)) == [recorded]


def test_a_test_says_what_the_kind_found(form: Form) -> None:
    answer = send(a_program(form), "POST", address(form, an_action(form).pk, "test"))

    assert answer.json() == {"works": True, "message": "The shelf oak is there."}


def test_a_destination_of_another_organization_is_refused(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shelf, "exclusive", True)
    an_action(a_form("Other"))

    answer = send(a_program(form), "POST", address(form), {"kind": "shelf", "name": "x", "settings": SETTINGS})

    assert errors_in(answer) == {("settings", "destination_taken")}


def test_an_action_of_another_form_is_not_found(form: Form) -> None:
    action = an_action(form)
    sibling = Form.objects.create(organization=form.organization, title="Other", slug="other")
    foreign = a_form("Else")

    assert a_program(form).get(address(sibling, action.pk)).status_code == 404
    assert a_program(foreign).get(address(form, action.pk)).status_code == 404
    assert send(a_program(foreign), "DELETE", address(foreign, action.pk)).status_code == 404
    assert Binding.objects.count() == 1


def test_an_action_is_deleted(form: Form) -> None:
    action = an_action(form)

    assert send(a_program(form), "DELETE", address(form, action.pk)).status_code == 204
    assert not Binding.objects.exists()
    assert AuditEntry.objects.get().action == "deleted"


def a_delivery(action: Binding, sequence: int = 1, state: str = BatchState.DELIVERED) -> Batch:
    batch = Batch.objects.create(
        organization_id=action.organization_id,
        destination=action.destination,
        sequence=sequence,
        state=state,
        size=1,
        turn=str(sequence),
        finished_at=timezone.now() if state == BatchState.DELIVERED else None,
    )
    BatchItem.objects.create(binding=action, submission_id=uuid4(), batch=batch, position=sequence)
    return batch


def found(client: Client, path: str = "/api/v1/deliveries", **query: Any) -> list[str]:
    answer = client.get(path, query)
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


def test_deliveries_are_found_by_action_state_submission_and_time(form: Form) -> None:
    first, second = an_action(form), an_action(form, name="Second")
    one, two = a_delivery(first, 1), a_delivery(second, 2, BatchState.PENDING)
    client = a_program(form, "read")

    assert found(client) == [str(two.pk), str(one.pk)]
    assert found(client, action=first.pk) == [str(one.pk)]
    assert found(client, state="pending") == [str(two.pk)]
    assert found(client, submission=one.items.get().submission_id) == [str(one.pk)]
    assert found(client, since=two.created_at.isoformat()) == [str(two.pk)]
    assert found(client, until=two.created_at.isoformat()) == [str(one.pk)]


def test_a_delivery_shows_what_it_carried(form: Form) -> None:
    action = an_action(form)
    batch = a_delivery(action)

    body = a_program(form, "read").get(f"/api/v1/deliveries/{batch.pk}").json()

    item = batch.items.get()
    assert body["items"] == [{"action": action.pk, "submission": str(item.submission_id), "position": 1}]


def test_failed_submissions_are_listed_with_their_reason(form: Form) -> None:
    action = an_action(form)
    for code in ("too_long", "refused"):
        Parked.objects.create(
            organization_id=form.organization_id,
            binding=action,
            form_id=form.pk,
            submission_id=uuid4(),
            position=1,
            code=code,
            message="Too long.",
        )
    client = a_program(form, "read")

    listed = client.get("/api/v1/deliveries/failed", {"code": "too_long", "action": str(action.pk)}).json()["results"]

    assert [(row["form"], row["code"], row["message"]) for row in listed] == [(form.public_id, "too_long", "Too long.")]
    assert len(found(client, "/api/v1/deliveries/failed", limit=1)) == 1


def test_strangers_and_keys_of_other_forms_find_no_delivery(form: Form) -> None:
    batch = a_delivery(an_action(form))
    sibling = Form.objects.create(organization=form.organization, title="Other", slug="other")

    for client in (a_program(a_form("Else"), "read"), a_program(form, "read", form_id=sibling.pk)):
        assert found(client) == []
        assert found(client, submission=batch.items.get().submission_id) == []
        assert client.get(f"/api/v1/deliveries/{batch.pk}").status_code == 404
    assert found(a_program(form, "read", form_id=form.pk)) == [str(batch.pk)]


def test_what_was_delivered_is_delivered_again_by_a_kind_that_may_repeat(
    form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "kinds", lambda: [Shelf, Letterbox])
    action = an_action(form, sink=Letterbox)
    one, two = (a_delivery(action, position).items.get() for position in (1, 2))
    a_delivery(action, 3, BatchState.PENDING)
    client, place = a_program(form), address(form, action.pk, "replay")

    some = send(client, "POST", place, {"of": "delivered", "submissions": [str(two.submission_id)]})
    rest = send(client, "POST", place, {"of": "delivered"})
    again = send(client, "POST", place, {"of": "delivered"})

    assert [answer.json() for answer in (some, rest, again)] == [
        {"submissions": 1, "more": False}, {"submissions": 1, "more": False}, {"submissions": 0, "more": False},
    ]  # fmt: skip
    waiting = Parked.objects.filter(binding=action, again=True)
    assert set(waiting.values_list("submission_id", flat=True)) == {one.submission_id, two.submission_id}
    assert set(FormerItem.objects.values_list("submission_id", flat=True)) == {one.submission_id, two.submission_id}
    backlog = client.get(address(form, action.pk, "backlog")).json()
    assert (backlog["to_be_tried_again"], backlog["failed"]) == (2, 0)
    assert AuditEntry.objects.filter(action="replayed").count() == 2


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param({"of": "delivered"}, ("of", "delivered_once"), id="a kind that delivers once"),
        pytest.param({"of": "delivered", "code": "x"}, ("code", "not_for_delivered"), id="by a code"),
        pytest.param({"of": "everything"}, ("of", "invalid_choice"), id="of what"),
    ],
)
def test_what_cannot_be_delivered_again_is_refused_by_name(
    form: Form, body: dict[str, Any], error: tuple[str, str]
) -> None:
    action = an_action(form)
    a_delivery(action)

    assert errors_in(send(a_program(form), "POST", address(form, action.pk, "replay"), body)) == {error}
    assert not Parked.objects.exists()
