"""An invitation is bound to one address, one role and one organization, used once, and never a way into an account."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.signing import Signer
from django.test import Client
from django.utils import timezone

from apps.orgs import invitations, keys
from apps.orgs.access import Actor
from apps.orgs.invitations import NoInvitationError, NotForThisPersonError, State
from apps.orgs.models import AuditEntry, Invitation, Membership, Organization, Role, User
from apps.orgs.tests.people import a_member, a_user, an_organization, signed_in

pytestmark = [pytest.mark.services, pytest.mark.django_db]
ADA = "ada@example.org"
PASSWORD = "correct horse battery"


@pytest.fixture
def organization() -> Organization:
    return an_organization()


@pytest.fixture
def owner(organization: Organization) -> User:
    return a_member(organization, Role.OWNER)


@pytest.fixture(autouse=True)
def _no_tries_counted() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def invited(who: User, organization: Organization, email: str = ADA, role: Role = Role.EDITOR) -> tuple[Any, str]:
    return invitations.invite(Actor(user=who), organization, email, role)


def page(token: str) -> str:
    return f"/invitations/{quote(token)}/"


def role_of(email: str) -> str | None:
    return Membership.objects.filter(user__email=email).values_list("role", flat=True).first()


def test_somebody_new_sets_a_password_and_is_a_member(organization: Organization, owner: User) -> None:
    invitation, token = invited(owner, organization)
    client = Client()
    assert "Set the password and join" in client.get(page(token)).content.decode()

    answer = client.post(page(token), {"name": "Ada Lovelace", "password": PASSWORD})

    user = User.objects.get(email=ADA)
    assert answer.headers["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    assert (role_of(ADA), user.name, user.check_password(PASSWORD)) == ("editor", "Ada Lovelace", True)
    assert (user.is_staff, user.is_superuser) == (False, False)
    entry = AuditEntry.objects.get(action="accepted")
    assert (entry.user, entry.organization) == (user, organization)
    invitation.refresh_from_db()
    assert invitations.state(invitation) == State.ACCEPTED


def test_whoever_is_signed_in_with_the_address_joins_at_once(organization: Organization, owner: User) -> None:
    user = a_user()
    _, token = invited(owner, organization, user.email.upper())
    client = signed_in(user)
    assert client.get(page(token)).status_code == 200
    assert role_of(user.email) is None  # looking is not accepting

    client.post(page(token))

    assert role_of(user.email) == "editor"


def test_whoever_is_signed_in_with_another_address_does_not(organization: Organization, owner: User) -> None:
    _, token = invited(owner, organization)
    other = a_user()
    client = signed_in(other)

    for answer in (client.get(page(token)), client.post(page(token))):
        assert answer.status_code == 403
        assert other.email in answer.content.decode()
    assert role_of(other.email) is None
    with pytest.raises(NotForThisPersonError):
        invitations.accept(invitations.find(token), other)


def test_an_account_with_a_password_is_asked_for_it(organization: Organization, owner: User) -> None:
    user = User.objects.create_user(ADA, PASSWORD)
    _, token = invited(owner, organization)
    client = Client()

    wrong = client.post(page(token), {"password": "a guess", "name": "Mallory"})
    assert wrong.status_code == 422
    assert "Error:" in wrong.content.decode()
    assert role_of(ADA) is None
    client.post(page(token), {"password": PASSWORD})

    user.refresh_from_db()
    assert (role_of(ADA), user.name, user.check_password(PASSWORD)) == ("editor", "", True)


@pytest.mark.parametrize("changes", [{}, {"is_active": False}], ids=["no password", "switched off"])
def test_a_link_is_no_way_into_an_account_that_is_there(
    organization: Organization, owner: User, changes: dict[str, Any]
) -> None:
    user = User.objects.create_user(ADA, None, **changes)
    a_member(an_organization("Bank"), Role.OWNER, user)
    _, token = invited(owner, organization)

    for answer in (Client().get(page(token)), Client().post(page(token), {"name": "M", "password": PASSWORD})):
        assert answer.status_code == 403
    user.refresh_from_db()
    assert not user.has_usable_password()
    assert organization.memberships.count() == 1


def test_guessing_the_password_has_to_wait(organization: Organization, owner: User, valkey_service: Any) -> None:
    User.objects.create_user(ADA, PASSWORD)
    _, token = invited(owner, organization)
    for _ in range(10):
        Client().post(page(token), {"password": "a guess"})

    answer = Client().post(page(token), {"password": PASSWORD})

    assert "Too many tries." in answer.content.decode()
    assert role_of(ADA) is None


def test_a_weak_password_is_refused_in_words(organization: Organization, owner: User) -> None:
    _, token = invited(owner, organization)

    answer = Client().post(page(token), {"name": "Ada", "password": "short"})

    assert answer.status_code == 422
    assert "too short" in answer.content.decode()
    assert not User.objects.filter(email=ADA).exists()


def test_a_link_is_used_once(organization: Organization, owner: User) -> None:
    _, token = invited(owner, organization)
    Client().post(page(token), {"name": "Ada", "password": PASSWORD})
    Membership.objects.filter(user__email=ADA).delete()

    answer = signed_in(User.objects.get(email=ADA)).post(page(token))

    assert answer.status_code == 410
    assert role_of(ADA) is None


def ended_by_time(invitation: Invitation, owner: User) -> None:
    Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def ended_by_revoking(invitation: Invitation, owner: User) -> None:
    invitations.revoke(Actor(user=owner), invitation)


def ended_by_another(invitation: Invitation, owner: User) -> None:
    invited(owner, invitation.organization)


def ended_by_removing_who_invited(invitation: Invitation, owner: User) -> None:
    Membership.objects.filter(user=owner).delete()


def ended_by_lowering_who_invited(invitation: Invitation, owner: User) -> None:
    Membership.objects.filter(user=owner).update(role=Role.EDITOR)


def ended_by_switching_off_who_invited(invitation: Invitation, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)


@pytest.mark.parametrize(
    "end",
    [
        ended_by_time,
        ended_by_revoking,
        ended_by_another,
        ended_by_removing_who_invited,
        ended_by_lowering_who_invited,
        ended_by_switching_off_who_invited,
    ],
)
def test_an_invitation_that_has_ended_is_not_accepted(organization: Organization, owner: User, end: Any) -> None:
    invitation, token = invited(owner, organization)
    end(invitation, owner)

    for answer in (Client().get(page(token)), Client().post(page(token), {"name": "Ada", "password": PASSWORD})):
        assert answer.status_code == 410
    assert not User.objects.filter(email=ADA).exists()
    with pytest.raises(NoInvitationError):
        invitations.accept(invitation, User.objects.create_user(ADA))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"role": Role.OWNER}, id="role"),
        pytest.param({"email": "mallory@example.org"}, id="address"),
        pytest.param({"organization": "other"}, id="organization"),
    ],
)
def test_a_link_is_good_for_what_it_was_made_for_alone(
    organization: Organization, owner: User, change: dict[str, Any]
) -> None:
    _, token = invited(owner, organization)
    changed = {"organization": an_organization("Other")} if "organization" in change else change
    Invitation.objects.update(**changed)

    with pytest.raises(NoInvitationError):
        invitations.find(token)


def test_a_link_is_neither_made_up_nor_taken_from_elsewhere(organization: Organization, owner: User) -> None:
    invitation, token = invited(owner, organization)
    head, _, signature = token.rpartition(".")
    other_purpose = Signer(sep=".", salt="formhub.orgs.api.cursor").sign(head)
    own_secret = Signer(sep=".", salt="formhub.orgs.invitation").sign(f"{invitation.pk.hex}.guess")

    for bad in ("x", head, f"{head}x.{signature}", f"{head}.{signature[:-1]}", other_purpose, own_secret):
        assert Client().get(page(bad)).status_code == 404
    assert invitation.digest not in token


def test_a_member_keeps_the_role_they_have(organization: Organization, owner: User) -> None:
    user = a_user()
    _, token = invited(owner, organization, user.email, Role.VIEWER)
    a_member(organization, Role.ADMIN, user)

    signed_in(user).post(page(token))

    assert role_of(user.email) == "admin"


def test_an_admin_neither_invites_an_owner_nor_revokes_such_an_invitation(
    organization: Organization, owner: User
) -> None:
    admin = a_member(organization, Role.ADMIN)
    invitation, _ = invited(owner, organization, role=Role.OWNER)

    with pytest.raises(ValidationError):
        invited(admin, organization, "other@example.org", Role.OWNER)
    with pytest.raises(ValidationError):
        invitations.revoke(Actor(user=admin), invitation)


def test_an_invitation_by_a_key_ends_with_the_key(organization: Organization) -> None:
    key, token_of_key = keys.create(organization=organization, name="HR", scopes=["manage"])
    keys.clear_cache()
    grant = keys.grant(token_of_key)
    assert grant is not None
    invitation, _ = invitations.invite(Actor(key=grant), organization, ADA, Role.EDITOR)
    assert invitations.stands(Invitation.objects.get(pk=invitation.pk))

    keys.revoke(key)

    assert not invitations.stands(Invitation.objects.get(pk=invitation.pk))


def test_the_page_is_kept_by_nobody_and_sends_no_referrer_elsewhere(organization: Organization, owner: User) -> None:
    _, token = invited(owner, organization)

    answer = Client().get(page(token))

    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
