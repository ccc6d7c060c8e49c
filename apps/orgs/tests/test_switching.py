"""Choosing one of several organizations narrows lists, and gives nobody a right."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.orgs.models import Membership, Organization, Role, User
from apps.orgs.tests.people import a_form, a_member, a_user, an_organization, signed_in

pytestmark = [pytest.mark.services, pytest.mark.django_db]
FORMS = reverse("admin:forms_form_changelist")


@pytest.fixture
def here() -> Organization:
    return an_organization("Here")


@pytest.fixture
def there() -> Organization:
    return an_organization("There")


@pytest.fixture
def user(here: Organization, there: Organization) -> User:
    user = a_member(here, Role.EDITOR)
    return a_member(there, Role.VIEWER, user)


def choose(client: Client, organization: Organization | None, then: str = FORMS) -> Any:
    return client.post("/switch/", {"organization": organization.pk if organization else "", "next": then})


def listed(client: Client, address: str = FORMS) -> set[str]:
    return {str(row) for row in client.get(address).context["cl"].result_list}


def test_a_chosen_organization_narrows_the_lists(user: User, here: Organization, there: Organization) -> None:
    a_form(here, "Ours"), a_form(there, "Theirs")
    client = signed_in(user)
    assert listed(client) == {"Ours", "Theirs"}

    assert choose(client, there).headers["Location"] == FORMS

    assert listed(client) == {"Theirs"}
    assert "Only what belongs to <strong>There</strong>" in client.get(FORMS).content.decode()
    assert len(listed(client, reverse("admin:orgs_organization_changelist"))) == 2
    choose(client, None)
    assert listed(client) == {"Ours", "Theirs"}


def test_what_is_asked_for_by_itself_is_found_all_the_same(user: User, here: Organization, there: Organization) -> None:
    form = a_form(here)
    client = signed_in(user)
    choose(client, there)

    assert client.get(reverse("admin:forms_form_change", args=[form.pk])).status_code == 200


def test_choosing_gives_no_right(user: User, here: Organization, there: Organization) -> None:
    foreign = an_organization("Foreign")
    a_form(foreign, "Secret")
    form = a_form(there)
    client = signed_in(user)

    choose(client, foreign)
    assert listed(client) == {"Guests"}
    assert "organization" not in client.session
    choose(client, there)
    assert client.post(reverse("admin:forms_form_delete", args=[form.pk]), {"post": "yes"}).status_code == 403


def test_who_is_no_member_any_more_has_nothing_chosen(user: User, here: Organization, there: Organization) -> None:
    a_form(here, "Ours"), a_form(there, "Theirs")
    client = signed_in(user)
    choose(client, there)

    Membership.objects.filter(user=user, organization=there).delete()

    assert listed(client) == {"Ours"}


def test_the_api_knows_nothing_of_it(user: User, here: Organization, there: Organization) -> None:
    a_form(here, "Ours"), a_form(there, "Theirs")
    client = signed_in(user)
    choose(client, there)

    assert len(client.get("/api/v1/forms").json()["results"]) == 2


def test_only_members_of_several_are_offered_a_choice(user: User, here: Organization) -> None:
    assert 'name="organization"' in signed_in(user).get(FORMS).content.decode()
    assert "fh-organization" not in signed_in(a_member(here)).get(FORMS).content.decode()


def test_a_new_form_begins_in_the_chosen_organization(user: User, here: Organization, there: Organization) -> None:
    Membership.objects.filter(user=user).update(role=Role.EDITOR)
    client = signed_in(user)
    choose(client, there)

    page = client.get(reverse("admin:forms_form_add"))

    assert page.context["adminform"].form.initial["organization"] == there.pk


@pytest.mark.parametrize("then", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_it_leads_nowhere_else(user: User, here: Organization, then: str) -> None:
    assert choose(signed_in(user), here, then).headers["Location"] == "/admin/"


def test_it_is_for_people_who_are_signed_in_and_by_post(here: Organization) -> None:
    assert choose(Client(), here).headers["Location"].startswith("/admin/login/")
    assert signed_in(a_user()).get("/switch/").status_code == 405
