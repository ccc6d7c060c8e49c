import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from apps.console import samples
from apps.console.tests.cast import a_key
from apps.forms.models import Field, Form
from apps.orgs import keys
from apps.orgs.models import ApiKey, Membership, Organization, Role
from apps.sinks import actions
from apps.sinks.models import Binding, BindingState
from sheets_emulator.emulator import SheetsEmulator

pytestmark = [pytest.mark.services, pytest.mark.django_db]
PASSWORD = "correct horse battery staple"


Sheets = Callable[[str], str]


@pytest.fixture
def a_sheet(settings: Settings, tmp_path: Path) -> Iterator[Sheets]:
    """Makes spreadsheets that this installation's service account may write to."""
    with SheetsEmulator() as running:
        key = running.new_account()
        (tmp_path / "account.json").write_text(json.dumps(key))
        settings.SHEETS_BASE_URL = running.url
        settings.SHEETS_SERVICE_ACCOUNT_FILE = str(tmp_path / "account.json")
        yield lambda title: running.create(title, {key["client_email"]: "writer"})


def university() -> Organization:
    return samples.organization("Demo University", "demo-university")


def student_form() -> Form:
    return samples.student_form(university(), "student-data", "Student data")


def test_an_organization_is_made_once() -> None:
    assert university() == university()


def test_the_owner_signs_in_and_sees_the_status_of_the_installation() -> None:
    owner = samples.owner(university(), "owner@example.org", "Olivia Owner", PASSWORD)

    assert Client().login(username="owner@example.org", password=PASSWORD)
    assert owner.is_staff
    assert not owner.is_superuser
    assert Membership.objects.get(user=owner).role == Role.OWNER


def test_an_owner_who_is_there_gets_the_password_and_the_role_back() -> None:
    owner = samples.owner(university(), "owner@example.org", "Olivia Owner", "an older password")
    Membership.objects.update(role=Role.VIEWER)

    again = samples.owner(university(), "owner@example.org", "Somebody", PASSWORD)

    assert (again.pk, again.name) == (owner.pk, "Olivia Owner")
    assert again.check_password(PASSWORD)
    assert Membership.objects.get().role == Role.OWNER


def test_the_student_form_is_live_and_takes_what_it_asks_for() -> None:
    form = student_form()

    assert form.live is not None
    assert form.live.number == 1
    assert Client().get(f"/api/v1/forms/{form.public_id}/schema").json()["title"] == "Student data"


def test_a_form_that_people_changed_is_left_as_it_is() -> None:
    form = student_form()
    Field.objects.filter(form=form, key="cgpa").update(label="Grade")

    again = student_form()

    assert again.pk == form.pk
    assert Field.objects.get(form=form, key="cgpa").label == "Grade"
    assert form.versions.count() == 1


def test_its_sheet_is_bound_once_from_the_end_of_the_log(a_sheet: Sheets) -> None:
    spreadsheet = a_sheet("Students")

    action = samples.sheet_action(student_form(), spreadsheet)

    assert samples.sheet_action(student_form(), spreadsheet) == action
    assert (action.config["spreadsheet"], action.config["worksheet"]) == (spreadsheet, "Submissions")
    assert (action.state, action.since) == (BindingState.ON, -1)


def test_another_spreadsheet_takes_the_action_over_and_it_goes_on(a_sheet: Sheets) -> None:
    action = samples.sheet_action(student_form(), a_sheet("Old"))
    actions.pause(action, "The sheet is gone.")

    moved = samples.sheet_action(student_form(), newer := a_sheet("New"))
    moved.refresh_from_db()

    assert moved.pk == action.pk
    assert (moved.config["spreadsheet"], moved.state) == (newer, BindingState.ON)


def test_a_sheet_that_nobody_could_write_to_is_refused_in_words(settings: Settings) -> None:
    settings.SHEETS_SERVICE_ACCOUNT_FILE = ""

    with pytest.raises(ValueError, match="service account"):
        samples.sheet_action(student_form(), "x" * 30)


def test_a_key_that_still_works_is_kept() -> None:
    token = samples.api_key(university(), "")
    keys.clear_cache()

    assert samples.api_key(university(), token) == token
    assert ApiKey.objects.count() == 1
    grant = keys.grant(token)
    assert grant is not None
    assert grant.scopes == {"submit", "read", "manage"}


def a_revoked_key() -> str:
    key, token = keys.create(organization=university(), name="gone", scopes=samples.SCOPES)
    keys.revoke(key)
    return token


@pytest.mark.parametrize(
    "former",
    [
        pytest.param(a_revoked_key, id="revoked"),
        pytest.param(lambda: samples.api_key(samples.organization("Other", "other"), ""), id="of another"),
        pytest.param(lambda: keys.create(organization=university(), name="weak", scopes=["submit"])[1], id="too weak"),
        pytest.param(lambda: "fh_live_unknown", id="unknown"),
    ],
)
def test_a_key_that_does_not_do_is_replaced(former: Callable[[], str]) -> None:
    token = former()
    keys.clear_cache()

    assert samples.api_key(university(), token) != token


def test_the_demo_is_set_up_once_and_found_again(a_sheet: Sheets, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    arguments: dict[str, Any] = {
        "output": tmp_path / "demo.json",
        "web": "http://127.0.0.1:8000/",
        "password_file": tmp_path / "password",
        "spreadsheet": a_sheet("Students"),
    }

    call_command("setup_demo", **arguments)
    found = json.loads(arguments["output"].read_text())
    call_command("setup_demo", **arguments)

    assert json.loads(arguments["output"].read_text()) == found
    assert arguments["output"].stat().st_mode & 0o077 == 0
    assert (Form.objects.count(), Binding.objects.count(), ApiKey.objects.count()) == (1, 1, 1)
    reader = Client(headers={"Authorization": f"Bearer {found['api_key']}"})
    address = found["submit_url"].removeprefix("http://127.0.0.1:8000")
    assert reader.get(address).json()["results"] == []
    assert Client().login(username=found["admin"]["user"], password=PASSWORD)


def test_many_forms_are_set_up_with_a_spreadsheet_each(a_sheet: Sheets, tmp_path: Path) -> None:
    spreadsheets = [a_sheet(f"Sheet {number}") for number in range(3)]
    (tmp_path / "spreadsheets.json").write_text(json.dumps(spreadsheets))
    output = tmp_path / "forms.json"

    for _ in range(2):
        call_command("setup_load", web="http://web/", spreadsheets=tmp_path / "spreadsheets.json", output=output)

    found = json.loads(output.read_text())
    assert [form["spreadsheet_id"] for form in found] == spreadsheets
    assert len({form["submit_url"] for form in found}) == Form.objects.count() == 3
    assert sorted(Binding.objects.values_list("config__spreadsheet", flat=True)) == sorted(spreadsheets)


def test_a_load_is_never_put_on_google(settings: Settings, tmp_path: Path) -> None:
    settings.SHEETS_BASE_URL = ""

    with pytest.raises(CommandError, match="emulator"):
        call_command("setup_load", web="http://web", spreadsheets=tmp_path / "none", output=tmp_path / "out")


def test_the_demos_key_reads_what_was_submitted() -> None:
    form = student_form()

    assert a_key(form, *samples.SCOPES).get(f"/api/v1/forms/{form.public_id}/submissions").status_code == 200
