from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from apps.archive import writer
from apps.archive.tests.rows import a_form, a_row, rows
from apps.archive.writer import Row
from apps.console.tests.cast import a_key, a_member
from apps.forms.models import Form
from apps.orgs.models import Role
from apps.sinks import actions
from apps.sinks.config import Settings
from apps.sinks.models import Parked
from apps.sinks.tests.kinds import Shelf

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def page_of(form: Form, row: Row) -> str:
    return reverse("submission", args=[form.public_id, row.id])


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize("role", Role.values)
def test_every_member_sees_a_submission_in_the_words_of_its_form(role: Role) -> None:
    form = a_form()
    [row] = rows(form, [7])

    answer = a_member(form, role).get(page_of(form, row))

    text = text_of(answer)
    assert all(words in text for words in ("What is your name?", "Person 7", "Age", "40", str(row.id)))
    assert "no-store" in answer.headers["Cache-Control"]


def test_others_find_nothing_and_nobody_is_asked_to_sign_in() -> None:
    form = a_form()
    [row] = rows(form, [7])
    address = page_of(form, row)

    assert a_member(a_form("other"), Role.OWNER).get(address).status_code == 404
    assert a_member(None).get(address).status_code == 404
    for client in (Client(), a_key(form, "read")):
        assert client.get(address).headers["Location"].startswith(reverse("admin:login"))
    assert a_member(form).post(address).status_code == 405


def test_an_unknown_submission_is_not_found() -> None:
    form = a_form()

    client = a_member(form)

    assert client.get(reverse("submission", args=[form.public_id, uuid4()])).status_code == 404
    assert client.get(reverse("submission", args=["nothing", uuid4()])).status_code == 404


def test_it_says_where_the_submission_stands_and_what_to_do(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    form = a_form()
    [row] = rows(form, [7])
    made = [
        actions.create(
            organization_id=form.organization_id,
            form_id=form.pk,
            sink=Shelf,
            name=name,
            settings=Settings({"shelf": name}, {}),
            position=position,
        )
        for name, position in [("Oak", 0), ("Elm", 0), ("Ash", 0), ("Fir", 8)]
    ]
    actions.pause(made[1], "The shelf is gone.", "Buy a shelf.")
    Parked.objects.create(
        organization_id=form.organization_id,
        binding=made[2],
        form_id=form.pk,
        submission_id=row.id,
        position=7,
        code="too_long",
        message="A cell is too long.",
    )
    client = a_member(form)
    client.get(page_of(form, row))

    with django_assert_max_num_queries(12):
        text = text_of(client.get(page_of(form, row)))

    assert "waiting: the action is paused" in text
    assert "The shelf is gone. Buy a shelf." in text
    assert "A cell is too long." in text
    assert f"{reverse('deliveries-failed', args=[form.public_id])}?submission={row.id}" in text
    assert "not for this action" in text


def test_a_form_without_actions_offers_the_first_one() -> None:
    form = a_form()
    [row] = rows(form, [7])

    assert f"{reverse('admin:sinks_binding_add')}?form={form.pk}" in text_of(a_member(form).get(page_of(form, row)))


def test_answers_are_text_whatever_they_hold() -> None:
    form = a_form()
    bad = "<script>alert(1)</script>"
    row = a_row(form=form.pk, organization=form.organization_id, answers={"name": bad, bad: bad}, meta={bad: bad})
    writer.write([row])

    text = text_of(a_member(form).get(page_of(form, row)))

    assert bad not in text
    assert text.count("&lt;script&gt;") == 5
