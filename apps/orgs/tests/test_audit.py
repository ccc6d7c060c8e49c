"""The trail: who did what to which row, with what before and after, and never a secret."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from apps.forms.models import Form
from apps.orgs import audit, keys
from apps.orgs.access import Actor
from apps.orgs.keys import KeyGrant
from apps.orgs.models import ApiKey, AuditEntry, Organization, Role
from apps.orgs.tests.people import a_form, a_member, a_user, an_organization, signed_in

pytestmark = [pytest.mark.services, pytest.mark.django_db]
LIST = reverse("admin:orgs_auditentry_changelist")


@pytest.fixture
def organization() -> Organization:
    return an_organization()


@pytest.fixture
def editor(organization: Organization) -> Client:
    return signed_in(a_member(organization, Role.EDITOR))


def form_page(form: Form) -> str:
    return reverse("admin:forms_form_change", args=[form.pk])


class TestRecording:
    def test_a_person_is_named(self, organization: Organization) -> None:
        user, form = a_user(), a_form(organization)

        entry = audit.record(Actor(user=user), organization.pk, "closed", form, {"closed": [False, True]})

        entry.refresh_from_db()
        assert (entry.user, entry.api_key, entry.organization) == (user, None, organization)
        assert (entry.action, entry.object_type, entry.object_id) == ("closed", "forms.form", str(form.pk))
        assert (entry.object_label, entry.changes) == ("Guests", {"closed": [False, True]})
        assert (datetime.now(UTC) - entry.created_at).total_seconds() < 60

    def test_a_key_is_named(self, organization: Organization) -> None:
        key, _ = keys.create(organization=organization, name="Website", scopes=["manage"])
        grant = KeyGrant(key.pk, organization.pk, frozenset({"manage"}), None, None)

        entry = audit.record(Actor(key=grant), organization.pk, "added", a_form(organization))

        assert (entry.user, entry.api_key) == (None, key)

    def test_what_nobody_did_the_system_did(self, organization: Organization) -> None:
        entry = audit.record(Actor(), organization.pk, "paused", a_form(organization))

        assert (entry.user, entry.api_key, entry.changes) == (None, None, {})

    @pytest.mark.parametrize("name", sorted(audit.HIDDEN))
    def test_of_a_secret_only_that_it_changed(self, organization: Organization, name: str) -> None:
        changes = {name: ["the old one", "the new one"], "title": ["A", "B"]}

        entry = audit.record(Actor(), organization.pk, "changed", a_form(organization), changes)

        assert entry.changes == {name: ["hidden", "hidden"], "title": ["A", "B"]}

    def test_a_long_name_is_cut(self, organization: Organization) -> None:
        user = a_user(name="x" * 200)
        user.name = "x" * 1000

        assert audit.record(Actor(), organization.pk, "added", user).object_label == "x" * 300

    def test_values_of_every_kind_are_kept_as_text_or_numbers(self, organization: Organization) -> None:
        form = a_form(organization)
        names = ["id", "organization", "title", "key_required", "settings", "closed_at", "created_at", "no such column"]

        shown = audit.snapshot(form, names)
        entry = audit.record(Actor(), organization.pk, "added", form, audit.differences({}, shown))

        entry.refresh_from_db()
        assert entry.changes["organization"] == [None, str(organization.pk)]
        assert entry.changes["title"] == [None, "Guests"]
        assert set(shown) == set(names) - {"no such column"}
        assert audit.snapshot(None, names) == {}

    def test_differences_are_what_is_new(self) -> None:
        before, after = {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": None, "e": 5}

        assert audit.differences(before, after) == {"b": [2, 4], "e": [None, 5]}

    def test_an_entry_outlives_who_and_what_it_names(self, organization: Organization) -> None:
        user, form = a_user(), a_form(organization)
        entry = audit.record(Actor(user=user), organization.pk, "added", form)

        form.delete()
        user.delete()

        entry.refresh_from_db()
        assert (entry.user, entry.object_label) == (None, "Guests")


class TestPagesOfTheAdmin:
    """Every change of a tenant's rows leaves an entry, whoever's admin class it went through."""

    def test_adding(self, organization: Organization, editor: Client) -> None:
        data = {"title": "New", "organization": organization.pk, "default_language": "en", "region": ""}
        editor.post(reverse("admin:forms_form_add"), data)

        entry = AuditEntry.objects.get(action="added")
        assert (entry.organization, entry.object_id) == (organization, str(Form.objects.get().pk))
        assert entry.changes["title"] == [None, "New"]

    def test_changing_says_what_it_was_before(self, organization: Organization, editor: Client) -> None:
        form = a_form(organization)
        fields: dict[str, Any] = {f"fields-{name}_FORMS": 0 for name in ("TOTAL", "INITIAL")}
        plain = {"title": "Renamed", "slug": form.slug, "default_language": "en", "region": "", **fields}

        editor.post(form_page(form), plain)

        assert AuditEntry.objects.get(action="changed").changes["title"] == ["Guests", "Renamed"]

    def test_deleting(self, organization: Organization, editor: Client) -> None:
        form = a_form(organization)

        editor.post(reverse("admin:forms_form_delete", args=[form.pk]), {"post": "yes"})

        entry = AuditEntry.objects.get(action="deleted")
        assert (entry.object_id, entry.object_label, entry.organization) == (str(form.pk), "Guests", organization)

    def test_deleting_several(self, organization: Organization, editor: Client) -> None:
        forms = [a_form(organization) for _ in range(3)]
        chosen = {"action": "delete_selected", "_selected_action": [form.pk for form in forms], "post": "yes"}

        editor.post(reverse("admin:forms_form_changelist"), chosen)

        entries = AuditEntry.objects.filter(action="deleted")
        assert {UUID(entry.object_id) for entry in entries} == {form.pk for form in forms}

    def test_an_organization_that_is_gone_leaves_one_for_operators(self, organization: Organization) -> None:
        owner = a_member(organization, Role.OWNER)
        address = reverse("admin:orgs_organization_delete", args=[organization.pk])

        signed_in(owner).post(address, {"post": "yes"})

        entry = AuditEntry.objects.get(action="deleted", object_type="orgs.organization")
        assert (entry.organization_id, entry.user, entry.object_label) == (None, owner, "Acme")

    def test_a_new_key_without_its_token(self, organization: Organization) -> None:
        admin = a_member(organization, Role.ADMIN)
        data = {"organization": organization.pk, "name": "Website", "scopes": ["read"]}

        page = signed_in(admin).post(reverse("admin:orgs_apikey_add"), data)

        token = page.context["key"].token
        entry = AuditEntry.objects.get(action="added")
        assert entry.changes == {"name": [None, "Website"], "scopes": [None, ["read"]]}
        assert token not in str(AuditEntry.objects.values())
        assert ApiKey.objects.get().hash not in str(AuditEntry.objects.values())

    def test_nothing_where_nothing_was_done(self, organization: Organization) -> None:
        form = a_form(organization)
        viewer = signed_in(a_member(organization, Role.VIEWER))

        viewer.get(form_page(form))
        viewer.post(form_page(form), {"title": "Renamed"})
        viewer.post(reverse("admin:forms_form_delete", args=[form.pk]), {"post": "yes"})

        assert not AuditEntry.objects.exists()


class TestReading:
    def test_members_read_their_own_trail_newest_first(self, organization: Organization) -> None:
        other = an_organization("Other")
        form, foreign = a_form(organization), a_form(other, "Secret guests")
        for action in ("added", "published"):
            audit.record(Actor(), organization.pk, action, form)
        audit.record(Actor(), other.pk, "added", foreign)
        audit.record(Actor(), None, "deleted", foreign)

        page = signed_in(a_member(organization, Role.VIEWER)).get(LIST)

        assert [entry.action for entry in page.context["cl"].result_list] == ["published", "added"]
        assert "Secret guests" not in page.content.decode()

    def test_entries_are_only_ever_added(self, organization: Organization) -> None:
        entry = audit.record(Actor(), organization.pk, "added", a_form(organization))
        before = AuditEntry.objects.values().get()
        superuser = signed_in(a_user(is_superuser=True))

        for verb in ("change", "delete"):
            address = reverse(f"admin:orgs_auditentry_{verb}", args=[entry.pk])
            assert superuser.post(address, {"post": "yes", "action": "nothing"}).status_code == 403
        superuser.post(LIST, {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"})

        assert superuser.get(reverse("admin:orgs_auditentry_add")).status_code == 403
        assert AuditEntry.objects.values().get() == before

    def test_a_label_is_shown_as_text(self, organization: Organization) -> None:
        bad = "<script>alert(1)</script>"
        entry = audit.record(Actor(), organization.pk, "added", a_form(organization, bad), {bad: [bad, bad]})
        client = signed_in(a_member(organization))

        for address in (LIST, reverse("admin:orgs_auditentry_change", args=[entry.pk])):
            text = client.get(address).content.decode()
            assert bad not in text
            assert "&lt;script&gt;" in text
