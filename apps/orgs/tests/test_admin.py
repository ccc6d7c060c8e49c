"""Organizations, keys and people in the admin. Who sees what of whom: tests/test_admin_tenancy.py."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.archive.tests.rows import rows
from apps.forms import definition
from apps.forms.models import Form, FormVersion
from apps.orgs import keys
from apps.orgs.models import ApiKey, Membership, Organization, Role, User
from apps.orgs.tests.people import a_form, a_member, a_user, an_organization, signed_in
from apps.sinks.models import Binding
from formhub.core.clock import SystemClock

pytestmark = [pytest.mark.services, pytest.mark.django_db]
KEYS, NEW_KEY = reverse("admin:orgs_apikey_changelist"), reverse("admin:orgs_apikey_add")
PEOPLE = reverse("admin:orgs_user_changelist")


@pytest.fixture
def organization() -> Organization:
    return an_organization()


@pytest.fixture
def admin(organization: Organization) -> Client:
    return signed_in(a_member(organization, Role.ADMIN))


def errors_of(page: Any) -> dict[str, list[str]]:
    assert page.status_code == 200
    return {name: list(errors) for name, errors in page.context["adminform"].form.errors.items()}


def in_words(when: Any) -> dict[str, str]:
    return {"expires_at_0": when.strftime("%Y-%m-%d"), "expires_at_1": when.strftime("%H:%M:%S")}


class TestKeys:
    def add(self, client: Client, organization: Organization, **changes: Any) -> Any:
        data = {"organization": organization.pk, "name": "Website", "scopes": ["submit"], **changes}
        return client.post(NEW_KEY, data)

    def test_a_token_is_shown_once_and_works(self, organization: Organization, admin: Client) -> None:
        page = self.add(admin, organization, scopes=["read", "submit"])

        token = page.context["key"].token
        assert page.content.decode().count(token) == 1
        assert "no-store" in page.headers["Cache-Control"]
        grant = keys.KeyCache(SystemClock()).grant(token)
        assert grant is not None
        assert (grant.organization, sorted(grant.scopes)) == (organization.pk, ["read", "submit"])

    def test_afterwards_it_stands_nowhere(self, organization: Organization, admin: Client) -> None:
        token = self.add(admin, organization).context["key"].token
        key = ApiKey.objects.get()

        for address in (KEYS, *(reverse(f"admin:orgs_apikey_{verb}", args=[key.pk]) for verb in ("change", "history"))):
            text = admin.get(address).content.decode()
            assert token not in text
            assert key.hash not in text
        stored = [str(list(model.objects.values())) for model in (ApiKey, LogEntry, Session)]
        assert not any(token in text for text in stored)
        assert not any(token in cookie.value for cookie in admin.cookies.values())

    def test_reloading_the_page_shows_no_token_again(self, organization: Organization, admin: Client) -> None:
        first = self.add(admin, organization).context["key"].token

        assert first not in admin.get(NEW_KEY).content.decode()
        assert self.add(admin, organization).context["key"].token != first

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            pytest.param({"scopes": []}, "scopes", id="no rights"),
            pytest.param({"scopes": ["everything"]}, "scopes", id="rights that do not exist"),
            pytest.param({"name": ""}, "name", id="no name"),
            pytest.param(in_words(timezone.now() - timedelta(minutes=1)), "expires_at", id="a time that has passed"),
        ],
    )
    def test_what_is_wrong_is_said_at_its_input(
        self, organization: Organization, admin: Client, wrong: dict[str, Any], field: str
    ) -> None:
        assert list(errors_of(self.add(admin, organization, **wrong))) == [field]
        assert not ApiKey.objects.exists()

    def test_a_form_of_another_organization_of_ones_own_is_refused(
        self, organization: Organization, admin: Client
    ) -> None:
        other = an_organization("Other")
        user = Membership.objects.get(organization=organization).user
        a_member(other, Role.ADMIN, user)

        page = self.add(admin, organization, form=a_form(other).pk)

        assert errors_of(page) == {"form": ["Choose a form of the same organization."]}

    def test_a_form_of_strangers_is_no_choice(self, organization: Organization, admin: Client) -> None:
        page = self.add(admin, organization, form=a_form(an_organization("Other")).pk)

        assert list(errors_of(page)) == ["form"]

    def test_a_key_is_bound_to_a_form_and_a_time(self, organization: Organization, admin: Client) -> None:
        form, later = a_form(organization), timezone.now().replace(microsecond=0) + timedelta(days=1)

        self.add(admin, organization, form=form.pk, **in_words(later))

        key = ApiKey.objects.get()
        assert (key.form_id, key.expires_at) == (form.pk, later)

    def test_who_is_an_admin_here_and_a_viewer_there_sees_the_keys_from_here(
        self, organization: Organization, admin: Client
    ) -> None:
        other = an_organization("Other")
        a_member(other, Role.VIEWER, Membership.objects.get(organization=organization).user)
        keys.create(organization=organization, name="Of ours", scopes=["read"])
        keys.create(organization=other, name="Of theirs", scopes=["read"])

        text = admin.get(KEYS).content.decode()

        assert "Of ours" in text
        assert "Of theirs" not in text

    def test_revoking_says_how_many_and_counts_none_twice(self, organization: Organization, admin: Client) -> None:
        made = [keys.create(organization=organization, name=f"{n}", scopes=["read"])[0] for n in range(3)]
        chosen = {"action": "revoke", "_selected_action": [key.pk for key in made[:2]]}

        assert "2 keys no longer work." in admin.post(KEYS, chosen, follow=True).content.decode()
        assert "0 keys no longer work." in admin.post(KEYS, chosen, follow=True).content.decode()

        assert ApiKey.objects.filter(revoked_at=None).get() == made[2]

    def test_a_key_never_changes_under_its_user(self, organization: Organization, admin: Client) -> None:
        key, _ = keys.create(organization=organization, name="Website", scopes=["read"])

        answer = admin.post(reverse("admin:orgs_apikey_change", args=[key.pk]), {"name": "x", "scopes": ["manage"]})

        assert answer.status_code == 403
        key.refresh_from_db()
        assert (key.name, key.scopes) == ("Website", ["read"])


class TestOrganizations:
    def page(self, organization: Organization, verb: str = "change") -> str:
        return reverse(f"admin:orgs_organization_{verb}", args=[organization.pk])

    def test_who_makes_one_is_its_first_owner(self) -> None:
        superuser = a_user(is_superuser=True)

        signed_in(superuser).post(reverse("admin:orgs_organization_add"), {"name": "New", "slug": "new"})

        assert Membership.objects.get(organization__slug="new", role=Role.OWNER).user == superuser

    def test_a_short_name_is_given_once(self, organization: Organization, admin: Client) -> None:
        taken = an_organization("Other").slug

        assert list(errors_of(admin.post(self.page(organization), {"name": "Acme", "slug": taken}))) == ["slug"]

    @pytest.mark.parametrize("chosen", [True, False], ids=["chosen in the list", "by its page"])
    def test_an_owner_deletes_it_with_all_that_hangs_on_it(self, organization: Organization, chosen: bool) -> None:
        owner = signed_in(a_member(organization, Role.OWNER))
        form = a_form(organization)
        definition.load(form, DOCUMENT)
        definition.publish(form)
        keys.create(organization=organization, name="Website", scopes=["read"], form_id=form.pk)
        rows(form, [1])

        if chosen:
            data = {"action": "delete_selected", "_selected_action": [organization.pk], "post": "yes"}
            owner.post(reverse("admin:orgs_organization_changelist"), data)
        else:
            owner.post(self.page(organization, "delete"), {"post": "yes"})

        left = [
            model for model in (Organization, Membership, ApiKey, Form, FormVersion, Binding) if model.objects.exists()
        ]
        assert left == []

    def test_an_owner_elsewhere_deletes_nothing_here(self, organization: Organization) -> None:
        user = a_member(an_organization("Other"), Role.OWNER)
        a_member(organization, Role.ADMIN, user)
        data = {"action": "delete_selected", "_selected_action": [organization.pk], "post": "yes"}

        signed_in(user).post(reverse("admin:orgs_organization_changelist"), data)

        assert Organization.objects.filter(pk=organization.pk).exists()


DOCUMENT = {
    "format": "formhub/1",
    "title": "Guests",
    "languages": ["en"],
    "pages": [{"key": "p1", "elements": [{"type": "short_text", "key": "name", "label": "Name"}]}],
}


class TestPeople:
    def page(self, user: User) -> str:
        return reverse("admin:orgs_user_change", args=[user.pk])

    def test_members_see_their_colleagues_and_nobody_else(self, organization: Organization, admin: Client) -> None:
        colleague, stranger = a_member(organization), a_member(an_organization("Other"))
        nobody = a_user()

        text = admin.get(PEOPLE).content.decode()

        assert colleague.email in text
        assert stranger.email not in text
        assert nobody.email not in text
        assert admin.get(self.page(stranger)).status_code == 302

    def test_members_see_no_rights_of_operators(self, organization: Organization, admin: Client) -> None:
        page = admin.get(self.page(a_member(organization)))

        shown = [name for _, options in page.context["adminform"].fieldsets for name in options["fields"]]
        assert shown == ["email", "name", "is_active"]
        assert "new_password" not in page.content.decode()

    @pytest.mark.parametrize("changed", [{"name": "x"}, {"new_password": "another long one"}, {"is_superuser": "on"}])
    def test_members_change_nobody_not_even_themselves(
        self, organization: Organization, changed: dict[str, str]
    ) -> None:
        user = a_member(organization, Role.OWNER)
        before = User.objects.values("name", "password", "is_superuser").get(pk=user.pk)
        client = signed_in(user)

        assert client.post(self.page(user), {"email": user.email, "is_active": "on", **changed}).status_code == 403

        assert User.objects.values("name", "password", "is_superuser").get(pk=user.pk) == before

    def operator(self) -> Client:
        return signed_in(a_user(is_superuser=True))

    def test_an_operator_sets_a_password(self) -> None:
        user = a_user()

        self.operator().post(
            self.page(user), {"email": user.email, "is_active": "on", "new_password": "correct horse battery"}
        )

        user.refresh_from_db()
        assert user.check_password("correct horse battery")

    def test_without_one_the_present_stays(self) -> None:
        user = User.objects.create_user("ada@example.org", "correct horse battery")

        self.operator().post(self.page(user), {"email": user.email, "name": "Ada", "is_active": "on"})

        user.refresh_from_db()
        assert (user.name, user.check_password("correct horse battery")) == ("Ada", True)

    def test_somebody_new_without_one_cannot_sign_in(self) -> None:
        self.operator().post(reverse("admin:orgs_user_add"), {"email": "new@example.org", "is_active": "on"})

        assert not User.objects.get(email="new@example.org").has_usable_password()

    @pytest.mark.parametrize("password", ["zq5", "password123", "ada@example.org"])
    def test_a_weak_password_is_refused(self, password: str) -> None:
        user = User.objects.create_user("ada@example.org")

        page = self.operator().post(self.page(user), {"email": user.email, "is_active": "on", "new_password": password})

        assert list(errors_of(page)) == ["new_password"]
        assert page.context["adminform"].form["new_password"].value() == password
        assert f'value="{password}"' not in page.content.decode().replace(f'value="{user.email}"', "")

    def test_one_address_is_one_person_however_it_is_written(self) -> None:
        User.objects.create_user("ada@example.org")

        page = self.operator().post(reverse("admin:orgs_user_add"), {"email": "ADA@example.org", "is_active": "on"})

        assert "There is a person with this e-mail address already." in str(errors_of(page))


def test_groups_are_no_part_of_it() -> None:
    """Rights are memberships."""
    superuser = signed_in(a_user(is_superuser=True))

    assert "/auth/group/" not in superuser.get(reverse("admin:index")).content.decode()


def test_a_page_asks_for_rights_once_each(organization: Organization, django_assert_max_num_queries: Any) -> None:
    client = signed_in(a_member(organization, Role.OWNER))
    client.get(PEOPLE)

    with django_assert_max_num_queries(30):
        assert client.get(PEOPLE).status_code == 200
