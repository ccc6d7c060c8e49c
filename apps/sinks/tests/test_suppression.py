"""Whoever wants no more mails of an organization gets none, and nobody else decides that."""

from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from apps.orgs.models import Organization
from apps.sinks import suppression
from apps.sinks.models import Suppression
from formhub.core import secrets

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _public(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://forms.example.org"


def an_organization(name: str = "Acme") -> Organization:
    return Organization.objects.create(name=name, slug=name.lower())


def path_of(link: str) -> str:
    return link.removeprefix("https://forms.example.org")


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["of"][0]


def test_one_click_is_enough_and_needs_no_session() -> None:
    acme = an_organization()
    link = suppression.link(acme.pk, "Ada@example.com")
    program = Client(enforce_csrf_checks=True)

    answer = program.post(path_of(link), {"List-Unsubscribe": "One-Click"})

    assert answer.status_code == 200
    assert suppression.among(acme.pk, ["ADA@example.com", "bob@example.com"]) == {"ADA@example.com"}


def test_a_program_that_follows_links_changes_nothing() -> None:
    link = path_of(suppression.link(an_organization().pk, "ada@example.com"))

    page = Client().get(link)

    assert "Send me no more mails" in page.content.decode()
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert Suppression.objects.count() == 0


def test_asking_twice_is_asking_once() -> None:
    link = path_of(suppression.link(an_organization().pk, "ada@example.com"))
    for _ in range(2):
        assert "You get no more mails" in Client().post(link).content.decode()

    assert Suppression.objects.get().reason == Suppression.Reason.UNSUBSCRIBED
    assert "You get no more mails" in Client().get(link).content.decode()


def test_other_organizations_and_other_people_are_not_concerned() -> None:
    acme, other = an_organization(), an_organization("Other")
    Client().post(path_of(suppression.link(acme.pk, "ada@example.com")))

    assert suppression.among(other.pk, ["ada@example.com"]) == set()
    assert suppression.among(acme.pk, ["adam@example.com"]) == set()


@pytest.mark.parametrize(
    "case", ["made up", "changed", "for another purpose", "of an organization that is gone", "long", "nothing"]
)
def test_a_link_that_was_not_made_here_does_nothing(case: str) -> None:
    token = token_of(suppression.link(an_organization().pk, "ada@example.com"))
    wrong = {
        "made up": "gAAAAABnothing",
        "changed": token[:-6] + "AAAAA=",
        "for another purpose": secrets.encrypt({"organization": str(uuid4()), "address": "ada@example.com"}),
        "of an organization that is gone": token_of(suppression.link(uuid4(), "a@b.org")),
        "long": "A" * 3000,
        "nothing": "",
    }[case]

    answer = Client().post(f"/unsubscribe/?{urlencode({'of': wrong})}")

    assert answer.status_code == 404
    assert "This link does not work" in answer.content.decode()
    assert Suppression.objects.count() == 0


def test_the_link_tells_nobody_whose_it_is() -> None:
    acme = an_organization()
    link = suppression.link(acme.pk, "ada@example.com")

    assert "example.com" not in link
    assert str(acme.pk) not in link
    assert "example.com" not in str(Suppression(organization=acme, address="ada@example.com"))
