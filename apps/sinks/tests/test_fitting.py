"""Settings are checked against the form that they are for, in the admin and over the API alike."""

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from apps.forms.models import Form
from apps.orgs.models import Role
from apps.sinks.models import Binding
from apps.sinks.tests import test_admin, test_manage_api
from formhub.core.layout import Column, Kind, Layout

pytestmark = [pytest.mark.services, pytest.mark.django_db]
ADD = f"{test_admin.ADD}?kind=email_notification"
WITHOUT_NOTE = {"fields": [{"key": "note", "send": False}], "others": True}
BOTH = {"selection-shown": "1", "selection-name-send": "on", "selection-note-send": "on", "selection-others": "on"}
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


def a_form(*keys: str, name: str = "Acme") -> Form:
    form = test_admin.a_form(name)
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


def test_the_admin_offers_the_forms_fields_and_keeps_what_was_chosen() -> None:
    client, page = an_action_of(a_form("name", "note"))
    assert 'name="selection-note-send" checked' in client.get(page).content.decode()

    client.post(page, common() | {"selection-shown": "1", "selection-name-send": "on", "selection-name-label": "Who"})

    kept = {"fields": [{"key": "name", "send": True, "label": "Who"}, {"key": "note", "send": False}], "others": False}
    assert Binding.objects.get().selection == kept


def test_a_form_sent_without_the_rows_leaves_the_choice_alone() -> None:
    client, page = an_action_of(a_form("name", "note"))
    Binding.objects.update(selection=WITHOUT_NOTE)

    client.post(page, common() | {"name": "Renamed"})

    action = Binding.objects.get()
    assert (action.name, action.selection) == ("Renamed", WITHOUT_NOTE)


def test_a_new_action_is_asked_which_fields_where_its_form_is_known_and_theirs() -> None:
    ours, theirs = a_form("name"), a_form("secret", name="Other")
    client = test_admin.signed_in(ours)

    assert "selection-name-send" in client.get(f"{ADD}&form={ours.pk}").content.decode()
    assert "selection-secret-send" not in client.get(f"{ADD}&form={theirs.pk}").content.decode()


def test_who_may_only_look_sees_the_choice() -> None:
    form = a_form("name", "note")
    _, page = an_action_of(form)
    Binding.objects.update(selection=WITHOUT_NOTE)

    answer = test_admin.signed_in(form, Role.VIEWER).get(page)

    assert (answer.status_code, "selection-note-send" in answer.content.decode()) == (200, False)


def test_the_admin_refuses_one_name_for_two_fields() -> None:
    client, page = an_action_of(a_form("name", "note"))

    answer = client.post(page, common() | BOTH | {"selection-name-name": "note"})

    assert "“note”" in answer.context["adminform"].form.errors["selection"][0]


def test_a_setting_that_needs_a_field_says_that_it_is_not_sent() -> None:
    client, page = an_action_of(a_form("name", "note"), text="{{ name }}")

    answer = client.post(page, common(text="{{ name }}") | {"selection-shown": "1", "selection-note-send": "on"})

    assert "{{ name }}" in answer.context["adminform"].form.errors["settings-text"][0]


def test_the_api_keeps_and_shows_a_selection() -> None:
    program, url = a_stored_one(a_form("name", "note"))

    kept = test_manage_api.send(program, "PATCH", url, {"selection": WITHOUT_NOTE}).json()["selection"]
    ended = test_manage_api.send(program, "PATCH", url, {"selection": None}).json()["selection"]

    assert (kept, ended) == (WITHOUT_NOTE, None)


@pytest.mark.parametrize(
    ("selection", "error"),
    [
        pytest.param(
            {"fields": [{"key": "name"}, {"key": "age"}]},
            ("selection.fields[1].key", "unknown_field"),
            id="a field that the form lacks",
        ),
        pytest.param(
            {"fields": [{"key": "name", "name": "note"}]},
            ("selection.fields[0].name", "name_taken"),
            id="the name of another",
        ),
        pytest.param(
            {"fields": [{"key": "name", "name": "1st"}]}, ("selection.fields[0].name", "invalid"), id="what is no name"
        ),
        pytest.param({"fields": [{"send": False}]}, ("selection.fields[0].key", "required"), id="no key"),
        pytest.param(
            {"fields": [{"key": "name"}, {"key": "name"}]}, ("selection.fields", "named_twice"), id="a field twice"
        ),
        pytest.param({"only": []}, ("selection.only", "unknown_field"), id="a member that there is not"),
        pytest.param({"fields": [{"key": "name", "send": False}]}, ("settings.text", "does_not_fit"), id="needed"),
    ],
)
def test_the_api_names_what_is_wrong_with_a_selection(selection: Any, error: tuple[str, str]) -> None:
    program, url = a_stored_one(a_form("name", "note"), text="{{ name }}")

    answer = test_manage_api.send(program, "PATCH", url, {"selection": selection})

    assert error in test_manage_api.errors_in(answer)
    assert Binding.objects.get().selection is None


def common(**settings: str) -> dict[str, Any]:
    own = {f"settings-{name}": value for name, value in {**SENT, "text": "New", **settings}.items()}
    return {"name": "To the team", "condition": "", "flush_seconds": "", **own}


def an_action_of(form: Form, **settings: str) -> tuple[Any, str]:
    """Somebody who may change it, and its page."""
    client = test_admin.signed_in(form)
    client.post(ADD, {**common(**settings), "form": form.pk})
    return client, test_admin.page_of(Binding.objects.get())


def a_stored_one(form: Form, **changes: str) -> tuple[Any, str]:
    """A program that may change it, and its address."""
    answer = created(form, **{"text": "New", **changes})
    return test_manage_api.a_program(form), test_manage_api.address(form, answer.json()["id"])
