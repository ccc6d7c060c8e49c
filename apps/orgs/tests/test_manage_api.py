"""Organizations, members, keys and the trail over HTTP."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone

from apps.orgs import access, keys
from apps.orgs.api import once
from apps.orgs.models import AnsweredRequest, ApiKey, AuditEntry, Membership, Organization, Role, User
from apps.orgs.tests.people import a_form, a_member, an_organization, signed_in
from deploy.local.valkey import Valkey

pytestmark = [pytest.mark.services, pytest.mark.django_db]
API = "/api/v1"


@pytest.fixture
def organization() -> Organization:
    return an_organization()


@pytest.fixture
def owner(organization: Organization) -> Client:
    return signed_in(a_member(organization, Role.OWNER))


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    keys.clear_cache()
    yield
    keys.clear_cache()


def a_program(organization: Organization, *scopes: str, **changes: Any) -> Client:
    _, token = keys.create(organization=organization, name="test", scopes=scopes or ("manage",), **changes)
    return Client(headers={"Authorization": f"Bearer {token}"})


def send(client: Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    content = "" if body is None else json.dumps(body)
    return client.generic(method, f"{API}{path}", content, "application/json", headers=headers)


def test_a_key_is_made_shown_once_and_used(organization: Organization, owner: Client) -> None:
    form = a_form(organization)
    made = send(owner, "POST", "/api-keys", {"name": "Site", "scopes": ["submit", "read"], "form": form.public_id})
    body = made.json()

    again = owner.get(f"{API}/api-keys/{body['id']}")

    assert made.status_code == 201
    assert body["token"].startswith(body["begins_with"])
    assert (body["scopes"], body["form"], body["works"]) == (["read", "submit"], form.public_id, True)
    assert "token" not in again.json()
    program = Client(headers={"Authorization": f"Bearer {body['token']}"})
    assert program.get(f"{API}/forms").json()["results"][0]["id"] == form.public_id


def test_a_revoked_key_is_listed_and_works_no_more(organization: Organization, owner: Client) -> None:
    made = send(owner, "POST", "/api-keys", {"name": "Site", "scopes": ["read"]}).json()

    for _ in range(2):
        assert send(owner, "DELETE", f"/api-keys/{made['id']}").status_code == 204
    keys.clear_cache()

    assert owner.get(f"{API}/api-keys/{made['id']}").json()["works"] is False
    assert Client(headers={"Authorization": f"Bearer {made['token']}"}).get(f"{API}/forms").status_code == 401
    assert [entry.action for entry in AuditEntry.objects.order_by("id")] == ["added", "revoked"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"name": "x", "scopes": []}, "scopes", id="no scope"),
        pytest.param({"name": "x", "scopes": ["everything"]}, "scopes[0]", id="unknown scope"),
        pytest.param({"name": "x", "scopes": ["read"], "form": "nothing"}, "form", id="unknown form"),
        pytest.param({"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at", id="past"),
        pytest.param({"name": "x", "scopes": ["read"], "token": "mine"}, "token", id="a token of one's own"),
    ],
)
def test_what_is_wrong_with_a_key_is_named(owner: Client, body: Any, field: str) -> None:
    answer = send(owner, "POST", "/api-keys", body)

    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
    assert not ApiKey.objects.exists()


def test_a_form_of_another_organization_is_no_form_for_a_key(organization: Organization, owner: Client) -> None:
    foreign = a_form(an_organization("Other"))

    answer = send(owner, "POST", "/api-keys", {"name": "x", "scopes": ["read"], "form": foreign.public_id})

    assert answer.json()["errors"][0]["code"] == "not_found"


def test_a_key_makes_none_above_itself_nor_beyond_its_end(organization: Organization) -> None:
    soon = timezone.now() + timedelta(days=1)
    program = a_program(organization, "manage", "read", expires_at=soon)

    for body, status in (
        ({"scopes": ["submit"], "expires_at": soon.isoformat()}, 403),
        ({"scopes": ["read"]}, 403),
        ({"scopes": ["read"], "expires_at": (soon + timedelta(hours=1)).isoformat()}, 403),
        ({"scopes": ["read"], "expires_at": soon.isoformat()}, 201),
    ):
        assert send(program, "POST", "/api-keys", {"name": "x", **body}).status_code == status


def test_a_token_is_never_kept_for_a_repetition(owner: Client) -> None:
    key = {"Idempotency-Key": "once"}
    body = {"name": "Site", "scopes": ["read"]}
    made = send(owner, "POST", "/api-keys", body, **key).json()

    again = send(owner, "POST", "/api-keys", body, **key)

    assert (again.status_code, again.json()["code"], again.json()["id"]) == (409, "shown_once", made["id"])
    assert ApiKey.objects.count() == 1
    assert made["token"] not in json.dumps(AnsweredRequest.objects.get().answer)


def test_an_old_idempotency_record_is_swept_and_its_key_free(owner: Client) -> None:
    key = {"Idempotency-Key": "once"}
    for name in ("A", "B"):
        assert send(owner, "POST", "/api-keys", {"name": name, "scopes": ["read"]}, **key).status_code == 201
        AnsweredRequest.objects.update(created_at=timezone.now() - timedelta(hours=settings.IDEMPOTENCY_HOURS + 1))
    assert AnsweredRequest.objects.count() == 1


def test_an_invitation_answers_with_its_link_once(organization: Organization, owner: Client) -> None:
    made = send(owner, "POST", "/memberships/invitations", {"email": "Ada@Example.org", "role": "editor"})

    listed = owner.get(f"{API}/memberships/invitations").json()["results"]

    assert made.status_code == 201
    assert Client().get(made.json()["link"].removeprefix("http://testserver")).status_code == 200
    assert [(row["email"], row["state"]) for row in listed] == [("ada@example.org", "open")]
    assert "link" not in listed[0]
    assert send(owner, "DELETE", f"/memberships/invitations/{made.json()['id']}").status_code == 204
    assert owner.get(made.headers["Location"]).json()["state"] == "revoked"


def test_members_are_listed_changed_and_removed(organization: Organization, owner: Client) -> None:
    ada = a_member(organization, Role.VIEWER)
    membership = Membership.objects.get(user=ada)
    address = f"/memberships/{membership.pk}"

    listed = owner.get(f"{API}/memberships", {"role": "viewer"}).json()["results"]
    assert [row["person"]["email"] for row in listed] == [ada.email]
    assert send(owner, "PATCH", address, {"role": "admin"}).json()["role"] == "admin"
    assert AuditEntry.objects.get(action="changed").changes == {"role": ["viewer", "admin"]}
    assert send(owner, "DELETE", address).status_code == 204
    assert not Membership.objects.filter(user=ada).exists()


def test_the_last_owner_stays(organization: Organization, owner: Client) -> None:
    address = f"/memberships/{Membership.objects.get().pk}"

    for answer in (send(owner, "PATCH", address, {"role": "admin"}), send(owner, "DELETE", address)):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
    assert Membership.objects.get().role == Role.OWNER


def test_an_admin_touches_no_owner(organization: Organization, owner: Client) -> None:
    admin = signed_in(a_member(organization, Role.ADMIN))
    address = f"/memberships/{Membership.objects.get(role=Role.OWNER).pk}"

    for answer in (send(admin, "PATCH", address, {"role": "viewer"}), send(admin, "DELETE", address)):
        assert (answer.status_code, answer.json()["code"]) == (403, "role_too_high")


def test_operators_make_organizations(db: None) -> None:
    operator = signed_in(User.objects.create_superuser("root@example.org"))

    made = send(operator, "POST", "/organizations", {"name": "New", "slug": "new"})
    taken = send(operator, "POST", "/organizations", {"name": "New", "slug": "new"})

    assert made.status_code == 201
    assert Membership.objects.get(organization=made.json()["id"]).role == Role.OWNER
    assert taken.json()["errors"][0] == {
        "field": "slug",
        "code": "taken",
        "message": "Another organization has this short name; take another.",
        "params": {},
    }


def test_who_has_several_organizations_says_which(organization: Organization) -> None:
    user = a_member(organization, Role.OWNER)
    a_member(an_organization("Second"), Role.OWNER, user)
    client = signed_in(user)

    vague = send(client, "POST", "/forms", {"title": "x"})
    clear = send(client, "POST", "/forms", {"title": "x", "organization": str(organization.pk)})

    assert (vague.status_code, vague.json()["errors"][0]["field"]) == (422, "organization")
    assert clear.status_code == 201


def test_the_trail_is_filtered(organization: Organization, owner: Client) -> None:
    send(owner, "POST", "/api-keys", {"name": "Site", "scopes": ["read"]})
    made = send(owner, "POST", "/forms", {"title": "Guests"}).json()

    def entries(**query: str) -> list[tuple[str, str]]:
        answer = owner.get(f"{API}/audit", query)
        return [(row["action"], row["object"]["type"]) for row in answer.json()["results"]]

    assert entries() == [("added", "forms.form"), ("added", "orgs.apikey")]
    assert entries(object_type="forms.form") == [("added", "forms.form")]
    assert entries(email="nobody@example.org") == []
    assert entries(until="2020-01-01T00:00:00Z") == []
    row = owner.get(f"{API}/audit", {"limit": 1}).json()["results"][0]
    assert (row["who"]["kind"], row["object"]["name"]) == ("person", "Guests")
    assert row["changes"]["title"] == [None, made["title"]]


def test_a_change_by_a_session_needs_its_csrf_token(organization: Organization) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(a_member(organization, Role.OWNER))

    answer = send(client, "POST", "/forms", {"title": "x"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (403, "application/problem+json")


def test_a_key_in_the_address_is_none(organization: Organization) -> None:
    _, token = keys.create(organization=organization, name="x", scopes=["manage"])

    assert Client().get(f"{API}/forms", {"token": token}).status_code == 401


def test_a_caller_is_slowed_down_alone(
    organization: Organization, valkey_service: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.clear()
    monkeypatch.setattr(settings, "MANAGE_PER_KEY", "3/hour")
    busy, calm = a_program(organization), a_program(organization)

    answers = [busy.get(f"{API}/forms") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"manage";q=3;w=3600'
    assert answers[1].headers["RateLimit"].startswith('"manage";r=1;')
    assert int(answers[3].headers["Retry-After"]) >= 1
    assert answers[3].json()["code"] == "rate_limited"
    assert calm.get(f"{API}/forms").status_code == 200


def test_a_database_that_is_away_is_said_to_be(owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any) -> Any:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(access, "scoped", away)
    answer = owner.get(f"{API}/audit")

    assert (answer.status_code, answer.json()["code"]) == (503, "not_available")
    assert answer.headers["Retry-After"]


@pytest.mark.django_db(transaction=True)
def test_a_repetition_waits_for_the_first_try_and_then_says_that_it_still_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    organization = an_organization()
    monkeypatch.setattr(once, "LOCK_SECONDS", 1)
    _, token = keys.create(organization=organization, name="test", scopes=["manage"])
    answers: list[Any] = []

    def ask() -> None:
        client = Client(headers={"Authorization": f"Bearer {token}"})
        answers.append(send(client, "POST", "/forms", {"title": "Slow"}, **{"Idempotency-Key": "k"}))
        connection.close()

    with transaction.atomic():
        first = Client(headers={"Authorization": f"Bearer {token}"})
        assert send(first, "POST", "/forms", {"title": "Slow"}, **{"Idempotency-Key": "k"}).status_code == 201
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(30)
    ask()

    assert [answer.status_code for answer in answers] == [409, 201]
    assert answers[0].json()["code"] == "still_running"
    assert answers[1].headers["Idempotent-Replayed"] == "true"
