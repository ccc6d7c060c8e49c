"""The rules of membership, by themselves and through the admin's pages."""

import threading
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from apps.orgs import members
from apps.orgs.access import Actor
from apps.orgs.keys import KeyGrant
from apps.orgs.models import AuditEntry, Membership, Organization, Role, User
from apps.orgs.tests.people import a_member, a_user, an_organization, signed_in

pytestmark = [pytest.mark.services, pytest.mark.django_db]
OWNER, ADMIN, EDITOR, VIEWER = Role.OWNER, Role.ADMIN, Role.EDITOR, Role.VIEWER
LIST = reverse("admin:orgs_membership_changelist")
ADD = reverse("admin:orgs_membership_add")
INVITE = reverse("admin:orgs_invitation_add")


@pytest.fixture
def organization() -> Organization:
    return an_organization()


def membership(user: User, organization: Organization | None = None) -> Membership:
    found = Membership.objects.filter(user=user)
    return (found.filter(organization=organization) if organization else found).get()


def page_of(row: Membership, verb: str = "change") -> str:
    return reverse(f"admin:orgs_membership_{verb}", args=[row.pk])


def owners(organization: Organization) -> list[User]:
    return [row.user for row in organization.memberships.filter(role=OWNER).select_related("user")]


def errors_of(page: Any) -> str:
    assert page.status_code == 200
    return str(page.context["adminform"].form.errors)


def may(who: Actor, organization: Organization, before: Role | None, after: Role | None) -> bool:
    try:
        members.check_role(who, organization, before, after)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("after", [None, *Role])
@pytest.mark.parametrize("before", [None, *Role])
@pytest.mark.parametrize("role", Role)
def test_nobody_makes_changes_or_removes_somebody_above_themselves(
    organization: Organization, role: Role, before: Role | None, after: Role | None
) -> None:
    who = Actor(user=a_member(organization, role))

    needs_owner = OWNER in {before, after}
    allowed = before == after or role == OWNER or (role == ADMIN and not needs_owner)

    assert may(who, organization, before, after) is allowed


@pytest.mark.parametrize("after", Role)
def test_rights_in_one_organization_are_none_in_another(organization: Organization, after: Role) -> None:
    stranger = a_member(an_organization("Other"), OWNER)

    assert not may(Actor(user=stranger), organization, None, after)
    assert not may(Actor(), organization, None, after)


def test_a_key_makes_no_owner(organization: Organization) -> None:
    manage = Actor(key=KeyGrant(1, organization.pk, frozenset({"manage"}), None, None))

    assert may(manage, organization, VIEWER, ADMIN)
    assert not may(manage, organization, ADMIN, OWNER)
    assert not may(manage, organization, OWNER, None)


@pytest.mark.parametrize("role", Role)
def test_nobody_is_made_a_member_without_their_doing(organization: Organization, role: Role) -> None:
    client, known = signed_in(a_member(organization, role)), a_user()

    for email in (known.email, "new@example.org"):
        client.post(ADD, {"organization": organization.pk, "email": email, "user": known.pk, "role": VIEWER})

    assert organization.memberships.count() == 1
    assert not User.objects.filter(email="new@example.org").exists()


class TestChanging:
    def change(self, client: Client, row: Membership, role: Role, **more: Any) -> Any:
        return client.post(page_of(row), {"role": role, **more})

    def test_a_role_is_changed_and_nothing_else(self, organization: Organization) -> None:
        client, other = signed_in(a_member(organization, ADMIN)), an_organization("Other")
        row = membership(a_member(organization))

        self.change(client, row, EDITOR, organization=other.pk, email="else@example.org", user=1)

        after = Membership.objects.get(pk=row.pk)
        assert (after.role, after.organization, after.user) == (EDITOR, organization, row.user)
        assert AuditEntry.objects.get(action="changed").changes == {"role": ["viewer", "editor"]}

    def test_an_admin_neither_becomes_nor_touches_an_owner(self, organization: Organization) -> None:
        admin, owner = a_member(organization, ADMIN), a_member(organization, OWNER)
        client = signed_in(admin)

        self.change(client, membership(admin), OWNER)
        self.change(client, membership(owner), VIEWER)

        assert membership(admin).role == ADMIN
        assert membership(owner).role == OWNER

    def test_an_owner_hands_over_and_steps_back(self, organization: Organization) -> None:
        owner, heir = a_member(organization, OWNER), a_member(organization, ADMIN)
        client = signed_in(owner)

        assert "needs an owner" in errors_of(self.change(client, membership(owner), VIEWER))
        self.change(client, membership(heir), OWNER)
        self.change(client, membership(owner), VIEWER)

        assert owners(organization) == [heir]

    def test_an_owner_who_cannot_sign_in_is_none(self, organization: Organization) -> None:
        owner = a_member(organization, OWNER)
        a_member(organization, OWNER, a_user(is_active=False))

        page = self.change(signed_in(owner), membership(owner), ADMIN)

        assert "needs an owner" in errors_of(page)


class TestRemoving:
    def remove(self, client: Client, *rows: Membership) -> Any:
        """By the list's own action, with the confirmation."""
        chosen = {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"}
        return client.post(LIST, chosen)

    def test_a_member_is_removed_and_the_trail_says_so(self, organization: Organization) -> None:
        member = a_member(organization, EDITOR)

        signed_in(a_member(organization, ADMIN)).post(page_of(membership(member), "delete"), {"post": "yes"})

        assert not Membership.objects.filter(user=member).exists()
        assert AuditEntry.objects.get(action="deleted").organization == organization
        assert User.objects.filter(pk=member.pk).exists()

    def test_several_members_are_removed_at_once(self, organization: Organization) -> None:
        rows = [membership(a_member(organization, EDITOR)) for _ in range(3)]

        self.remove(signed_in(a_member(organization, ADMIN)), *rows)

        assert organization.memberships.count() == 1
        assert AuditEntry.objects.filter(action="deleted").count() == 3

    def test_the_last_owner_stays(self, organization: Organization) -> None:
        owner = a_member(organization, OWNER)
        client = signed_in(owner)

        assert client.post(page_of(membership(owner), "delete"), {"post": "yes"}).status_code == 403
        self.remove(client, membership(owner))

        assert owners(organization) == [owner]

    def test_all_owners_at_once_stay_too(self, organization: Organization) -> None:
        first, second = a_member(organization, OWNER), a_member(organization, OWNER)
        viewer = a_member(organization)

        page = self.remove(signed_in(first), membership(first), membership(second), membership(viewer))

        assert set(owners(organization)) == {first, second}
        assert "An organization needs an owner" in page.content.decode()
        assert not AuditEntry.objects.filter(action="deleted").exists()

    def test_one_of_two_owners_may_go(self, organization: Organization) -> None:
        first, second = a_member(organization, OWNER), a_member(organization, OWNER)

        self.remove(signed_in(first), membership(second))

        assert owners(organization) == [first]

    @pytest.mark.parametrize("role", [EDITOR, VIEWER])
    def test_who_is_an_admin_elsewhere_removes_nobody_here(self, organization: Organization, role: Role) -> None:
        user = a_member(an_organization("Other"), OWNER)
        a_member(organization, role, user)
        row = membership(a_member(organization))

        self.remove(signed_in(user), row)
        signed_in(user).post(page_of(row, "delete"), {"post": "yes"})

        assert Membership.objects.filter(pk=row.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_two_owners_who_step_back_at_the_same_time_leave_one(organization: Organization) -> None:
    both = [membership(a_member(organization, OWNER)) for _ in range(2)]
    ready, refused = threading.Barrier(2), []

    def step_back(row: Membership) -> None:
        try:
            with transaction.atomic():
                ready.wait(10)
                members.check_owner_stays(organization, row)
                Membership.objects.filter(pk=row.pk).update(role=VIEWER)
        except ValidationError as error:
            refused.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=step_back, args=(row,)) for row in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert refused == ["last_owner"]
    assert len(owners(organization)) == 1
