"""Keys and sessions at the door of an API, from the header to the right."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.test import Client
from django.urls import path
from django.utils import timezone
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.orgs import access, keys
from apps.orgs.access import Right
from apps.orgs.authentication import ApiKeyAuthentication, HasRight, IsMemberOrKey
from apps.orgs.models import Organization, Role
from apps.orgs.tests.people import a_member, a_user, an_organization, signed_in

pytestmark = [pytest.mark.services, pytest.mark.django_db, pytest.mark.urls(__name__)]


class Who(APIView):
    """Answers who asked and which organizations they see."""

    authentication_classes = (ApiKeyAuthentication, SessionAuthentication)
    permission_classes: Any = (IsMemberOrKey,)

    def get(self, request: Request) -> Response:
        who = access.actor(request)
        seen = [organization.name for organization in access.organizations(who)]
        return Response(
            {"key": who.key.id if who.key else None, "user": who.user.pk if who.user else None, "sees": seen}
        )

    post = get


class Read(Who):
    permission_classes = (HasRight,)


class Edit(Who):
    permission_classes = (HasRight,)
    right = Right.EDIT


class Own(Who):
    permission_classes = (HasRight,)
    right = Right.OWN


urlpatterns = [
    path("who", Who.as_view()),
    path("read", Read.as_view()),
    path("edit", Edit.as_view()),
    path("own", Own.as_view()),
]


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    keys.clear_cache()
    yield
    keys.clear_cache()


@pytest.fixture
def organization() -> Organization:
    return an_organization()


def a_token(organization: Organization, *scopes: str, **changes: Any) -> str:
    return keys.create(organization=organization, name="test", scopes=scopes or ("read",), **changes)[1]


def asked(address: str, header: str | None, client: Client | None = None) -> Any:
    headers = {} if header is None else {"Authorization": header}
    return (client or Client()).get(address, headers=headers)


def test_a_good_key_acts_for_its_organization_alone(organization: Organization) -> None:
    an_organization("Other")
    answer = asked("/who", f"Bearer {a_token(organization)}")

    assert answer.status_code == 200
    assert answer.json()["sees"] == ["Acme"]
    assert answer.json()["user"] is None


@pytest.mark.parametrize(
    "write",
    [
        pytest.param("Bearer {}", id="as usual"),
        pytest.param("bearer {}", id="small letters"),
        pytest.param("BEARER   {}  ", id="spaces"),
    ],
)
def test_the_scheme_is_read_as_the_standard_says(organization: Organization, write: str) -> None:
    assert asked("/who", write.format(a_token(organization))).status_code == 200


BAD: list[Any] = [
    pytest.param(lambda token: "Bearer", id="no token"),
    pytest.param(lambda token: "Bearer ", id="an empty token"),
    pytest.param(lambda token: f"Bearer {token}x", id="a letter too many"),
    pytest.param(lambda token: f"Bearer {token[:-1]}", id="a letter too few"),
    pytest.param(lambda token: f"Bearer {token} {token}", id="two tokens"),
    pytest.param(lambda token: f"Bearer Bearer {token}", id="twice the scheme"),
    pytest.param(lambda token: "Bearer fh_live_" + "x" * 43, id="an unknown token"),
    pytest.param(lambda token: "Bearer fh_live_\u00e9\u00ff", id="not ASCII"),
    pytest.param(lambda token: "Bearer " + "x" * 5000, id="far too long"),
]


@pytest.mark.parametrize("write", BAD)
def test_a_bad_key_is_refused_though_a_session_came_with_it(
    organization: Organization, write: Callable[[str], str]
) -> None:
    """Whoever sends a key means to be known by it; the session of a browser must not speak up instead."""
    token = a_token(organization)

    for client in (Client(), signed_in(a_user(is_superuser=True))):
        answer = asked("/who", write(token), client)

        assert answer.status_code == 401
        assert answer.json()["code"] == "invalid_key"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert token not in answer.content.decode()


def test_a_key_revoked_or_expired_is_refused(organization: Organization) -> None:
    revoked, token = keys.create(organization=organization, name="test", scopes=["read"])
    keys.revoke(revoked)
    expired = a_token(organization, expires_at=timezone.now() - timedelta(seconds=1))

    assert asked("/who", f"Bearer {token}").status_code == 401
    assert asked("/who", f"Bearer {expired}").status_code == 401


@pytest.mark.parametrize("header", [None, "Basic dXNlcjpwYXNz", "Token abc", "fh_live_abc", ""])
def test_without_a_key_and_a_session_somebody_has_to_say_who_they_are(header: str | None) -> None:
    answer = asked("/who", header)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_key_is_never_taken_from_the_address(organization: Organization) -> None:
    token = a_token(organization)

    for query in (f"?key={token}", f"?api_key={token}", f"?token={token}", f"?access_token={token}"):
        assert asked(f"/who{query}", None).status_code == 401


def test_a_signed_in_person_acts_for_their_organizations(organization: Organization) -> None:
    user = a_member(organization)

    assert asked("/who", None, signed_in(user)).json() == {"key": None, "user": user.pk, "sees": ["Acme"]}


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_person_switched_off_is_nobody(organization: Organization, when: str) -> None:
    user = a_member(organization, Role.OWNER)
    client = signed_in(user)
    if when == "meanwhile":
        assert asked("/who", None, client).status_code == 200
    user.is_active = False
    user.save()

    assert asked("/who", None, client).status_code == 401


def test_a_key_decides_alone_whatever_session_came_with_it(organization: Organization) -> None:
    client = signed_in(a_member(an_organization("Other"), Role.OWNER))

    answer = asked("/who", f"Bearer {a_token(organization)}", client)

    assert answer.json()["sees"] == ["Acme"]
    assert answer.json()["user"] is None


def test_a_session_changes_nothing_from_another_site(organization: Organization) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(a_member(organization, Role.OWNER))

    assert strict.post("/who").status_code == 403
    # A key is sent by a program on purpose, never by a browser of itself.
    token = a_token(organization)
    assert strict.post("/who", headers={"Authorization": f"Bearer {token}"}).status_code == 200


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("submit", set()), ("read", {"/read"}), ("manage", {"/read", "/edit"})],
    ids=["submit", "read", "manage"],
)
def test_a_key_needs_a_scope_that_carries_the_right(organization: Organization, scope: str, allowed: set[str]) -> None:
    token = a_token(organization, scope)

    answers = {address: asked(address, f"Bearer {token}").status_code for address in ("/read", "/edit", "/own")}

    assert answers == {address: 200 if address in allowed else 403 for address in answers}


def test_a_persons_right_is_checked_row_by_row(organization: Organization) -> None:
    """The view lets every person in; what they see and change begins at `access`."""
    viewer, stranger = a_member(organization), a_user()

    assert asked("/own", None, signed_in(viewer)).status_code == 200
    assert asked("/own", None, signed_in(stranger)).json()["sees"] == []
    assert asked("/read", None).status_code == 401


def test_a_key_signs_nobody_in(organization: Organization) -> None:
    client = Client()

    asked("/who", f"Bearer {a_token(organization)}", client)

    session: SessionBase = client.session
    assert list(session.keys()) == []
    assert asked("/who", None, client).status_code == 401
