"""Settings are checked against the form that they are for, in the admin and over the API alike."""

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from apps.forms.models import Form
from apps.sinks.models import Binding
from apps.sinks.tests import test_admin, test_manage_api
from formhub.core.layout import Column, Kind, Layout

pytestmark = [pytest.mark.services, pytest.mark.django_db]
ADD = f"{test_admin.ADD}?kind=email_notification"
SENT = {"recipients": "ann@example.org", "subject": "New", "text": "{{ nmae }}"}


@pytest.fixture(autouse=True)
def _columns(settings: Settings) -> Iterator[None]:
    settings.SINKS_LAYOUT = f"{__name__}.layout"
    layouts.clear()
    yield
    layouts.clear()


layouts: dict[Any, Layout] = {}


def layout(form_id: Any) -> Layout | None:
    return layouts.get(form_id)


def a_form(*keys: str) -> Form:
    form = test_admin.a_form()
    if keys:
        layouts[form.pk] = Layout(tuple(Column(key, key.title(), Kind.TEXT) for key in keys))
    return form


def saved(form: Form, **changes: str) -> Any:
    common = {"form": form.pk, "name": "To the team", "condition": "null", "flush_seconds": ""}
    settings = {f"settings-{name}": value for name, value in {**SENT, **changes}.items()}
    return test_admin.signed_in(form).post(ADD, {**common, **settings})


def created(form: Form, **changes: str) -> Any:
    body = {"kind": "email_notification", "name": "To the team", "settings": {**SENT, **changes}}
    return test_manage_api.send(test_manage_api.a_program(form), "POST", test_manage_api.address(form), body)


def test_the_admin_shows_what_does_not_fit_at_its_input() -> None:
    page = saved(a_form("name"))

    assert "{{ nmae }}" in page.context["adminform"].form.errors["settings-text"][0]
    assert Binding.objects.count() == 0


def test_the_api_names_the_setting() -> None:
    answer = created(a_form("name"))

    assert test_manage_api.errors_in(answer) == {("settings.text", "does_not_fit")}
    assert "name" in answer.json()["errors"][0]["message"]


def test_what_fits_is_saved() -> None:
    form = a_form("name")
    saved(form, text="{{ name }}")
    assert created(form, text="{{ name }}").status_code == 201

    assert [action.config["text"] for action in Binding.objects.all()] == ["{{ name }}"] * 2


def test_a_change_is_checked_against_the_actions_own_form() -> None:
    form = a_form("name")
    made = created(form, text="{{ name }}").json()
    program = test_manage_api.a_program(form)
    address = test_manage_api.address(form, made["id"])

    answer = test_manage_api.send(program, "PATCH", address, {"settings": {"text": "{{ nmae }}"}})

    assert test_manage_api.errors_in(answer) == {("settings.text", "does_not_fit")}


def test_of_a_form_that_is_not_published_nothing_is_known_yet() -> None:
    assert created(a_form()).status_code == 201
