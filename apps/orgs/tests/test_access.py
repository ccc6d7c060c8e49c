"""The door to a tenant's rows, tried by everybody with the rows of everybody else."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.test import RequestFactory
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from apps.forms.models import Form, FormVersion
from apps.orgs import access
from apps.orgs.access import Actor, Right
from apps.orgs.keys import KeyGrant
from apps.orgs.models import ApiKey, Membership, Organization, Role
from apps.orgs.tests.people import a_form, a_member, a_user, an_organization
from apps.sinks.models import Destination

pytestmark = [pytest.mark.services, pytest.mark.django_db]

MAY = {
    Role.OWNER: {Right.VIEW, Right.EDIT, Right.ADMIN, Right.OWN},
    Role.ADMIN: {Right.VIEW, Right.EDIT, Right.ADMIN},
    Role.EDITOR: {Right.VIEW, Right.EDIT},
    Role.VIEWER: {Right.VIEW},
}
KEY_MAY: dict[str, set[Right]] = {
    "submit": set(),
    "read": {Right.VIEW},
    "manage": {Right.VIEW, Right.EDIT, Right.ADMIN},
}


def a_grant(organization: Organization, *scopes: str, form: Form | None = None) -> KeyGrant:
    return KeyGrant(1, organization.pk, frozenset(scopes), form.pk if form else None, None)


def found(who: Actor, right: Right) -> set[Any]:
    return set(access.organizations(who, right))


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("role", Role)
def test_a_role_carries_its_rights_in_its_own_organization_alone(role: Role, right: Right) -> None:
    ours, theirs = an_organization(), an_organization("Other")
    who = Actor(user=a_member(ours, role))
    a_member(theirs, Role.OWNER)

    assert found(who, right) == ({ours} if right in MAY[role] else set())
    assert access.allowed(who, ours.pk, right) is (right in MAY[role])
    assert not access.allowed(who, theirs.pk, right)


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("scope", KEY_MAY)
def test_a_scope_carries_its_rights_in_the_keys_organization_alone(scope: str, right: Right) -> None:
    ours, theirs = an_organization(), an_organization("Other")
    who = Actor(key=a_grant(ours, scope))

    assert found(who, right) == ({ours} if right in KEY_MAY[scope] else set())
    assert access.allowed(who, ours.pk, right) is (right in KEY_MAY[scope])
    assert not access.allowed(who, theirs.pk, right)


def test_rights_are_listed_for_one_organization() -> None:
    ours, theirs = an_organization(), an_organization("Other")
    who = Actor(user=a_member(ours, Role.EDITOR))

    assert access.rights(who, ours.pk) == {Right.VIEW, Right.EDIT}
    assert access.rights(who, theirs.pk) == set()
    assert access.rights(who, uuid4()) == set()


def test_roles_in_two_organizations_are_kept_apart() -> None:
    first, second = an_organization("First"), an_organization("Second")
    user = a_member(first, Role.EDITOR)
    a_member(second, Role.VIEWER, user)

    assert found(Actor(user=user), Right.VIEW) == {first, second}
    assert found(Actor(user=user), Right.EDIT) == {first}


def test_a_removed_member_has_nothing_left() -> None:
    ours = an_organization()
    user = a_member(ours, Role.OWNER)
    a_form(ours)
    Membership.objects.get(user=user).delete()

    assert found(Actor(user=user), Right.VIEW) == set()
    assert not access.scoped(Form.objects.all(), Actor(user=user)).exists()


def test_a_superuser_has_everything_and_no_key_makes_one() -> None:
    ours = an_organization()
    a_form(ours)
    superuser = a_user(is_superuser=True)

    assert ours in found(Actor(user=superuser), Right.OWN)
    assert access.scoped(Form.objects.all(), Actor(user=superuser), Right.OWN).exists()
    # A key decides alone, whoever's session came with it.
    both = Actor(user=superuser, key=a_grant(an_organization("Other"), "manage"))
    assert not access.scoped(Form.objects.all(), both).exists()
    assert not access.allowed(both, ours.pk, Right.VIEW)


def test_nobody_has_nothing() -> None:
    a_form(an_organization())

    assert found(Actor(), Right.VIEW) == set()
    assert not access.scoped(Form.objects.all(), Actor()).exists()


def rows_of(organization: Organization) -> dict[str, QuerySet[Any]]:
    """One row by each kind of path to its organization."""
    form = a_form(organization)
    FormVersion.objects.create(form=form, number=1, definition={}, schema={}, layout=[])
    ApiKey.objects.create(organization=organization, name="k", prefix="fh", hash=uuid4().hex)
    Destination.objects.create(organization_id=organization.pk, kind="k", key="k")
    return {
        "organization": ApiKey.objects.all(),
        "form__organization": FormVersion.objects.all(),
        "organization_id": Destination.objects.all(),
        "pk": Organization.objects.all(),
    }


def owner_of(row: Any, path: str) -> Any:
    value = row
    for name in path.split("__"):
        value = getattr(value, name)
    return getattr(value, "pk", value)


@pytest.mark.parametrize("path", ["organization", "form__organization", "organization_id", "pk"])
def test_rows_are_scoped_by_every_kind_of_path(path: str) -> None:
    ours, theirs = an_organization(), an_organization("Other")
    rows_of(theirs)
    everything = rows_of(ours)[path]
    assert everything.count() == 2

    for who in (Actor(user=a_member(ours, Role.VIEWER)), Actor(key=a_grant(ours, "read"))):
        assert [owner_of(row, path) for row in access.scoped(everything, who, Right.VIEW, path)] == [ours.pk]
        assert not access.scoped(everything, who, Right.EDIT, path).exists()


def test_scoped_rows_come_once_and_can_be_narrowed_further() -> None:
    ours = an_organization()
    user = a_member(ours, Role.OWNER)
    for _ in range(3):
        a_member(ours, Role.OWNER)
    forms = [a_form(ours) for _ in range(2)]

    rows = access.scoped(Form.objects.all(), Actor(user=user))

    assert rows.count() == 2
    assert set(rows.exclude(pk=forms[0].pk)) == {forms[1]}


def test_a_key_bound_to_a_form_sees_no_other() -> None:
    ours = an_organization()
    form, other = a_form(ours), a_form(ours)

    bound = Actor(key=a_grant(ours, "read", form=form))

    assert access.form_allowed(bound, form.pk)
    assert not access.form_allowed(bound, other.pk)
    assert access.form_allowed(Actor(key=a_grant(ours, "read")), other.pk)
    assert access.form_allowed(Actor(user=a_user()), other.pk)


class TestWhoMadeTheRequest:
    def test_a_signed_in_person(self, rf: RequestFactory) -> None:
        request = rf.get("/")
        request.user = a_user()

        assert access.actor(request) == Actor(user=request.user)
        framed = Request(request, authenticators=[SessionAuthentication()])
        assert access.actor(framed) == Actor(user=request.user)

    @pytest.mark.parametrize("who", ["anonymous", "inactive", "unknown"])
    def test_nobody(self, rf: RequestFactory, who: str) -> None:
        request = rf.get("/")
        if who != "unknown":
            request.user = AnonymousUser() if who == "anonymous" else a_user(is_active=False)

        assert access.actor(request) == Actor()

    def test_a_key_alone_whatever_session_came_with_it(self, rf: RequestFactory) -> None:
        grant = a_grant(an_organization(), "read")
        plain = rf.get("/")
        plain.user = a_user(is_superuser=True)
        request = Request(plain)
        request.auth = grant

        assert access.actor(request) == Actor(key=grant)

    def test_what_another_scheme_left_behind_is_no_key(self, rf: RequestFactory) -> None:
        request = Request(rf.get("/"))
        request.auth = "a token of somebody else's"

        assert access.actor(request) == Actor()
