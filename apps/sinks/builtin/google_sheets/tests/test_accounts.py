"""Several accounts of one Cloud project."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from apps.sinks.builtin.google_sheets.sink import GoogleSheets
from apps.sinks.builtin.google_sheets.tests.conftest import BATCH_UPDATE, Desk
from apps.sinks.conformance import make_submission
from apps.sinks.contract import ConfigurationError, RetryableError
from sheets_emulator.faults import Fault

pytestmark = pytest.mark.services

Folder = Callable[..., list[str]]


@pytest.fixture(scope="session")
def second(emulator: Any, account: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = emulator.new_account("second@formhub-demo.iam.gserviceaccount.com")
    return made


@pytest.fixture
def both(desk: Desk, second: dict[str, Any], settings: Settings, tmp_path: Path) -> Desk:
    """The desk of an installation with two accounts, of which the second may not write yet."""
    for name, key in (("a.json", desk.key), ("b.json", second)):
        (tmp_path / name).write_text(json.dumps(key))
    settings.SHEETS_SERVICE_ACCOUNT_FILE = str(tmp_path)
    return desk


def names(desk: Desk) -> list[str]:
    return [account.name for account in GoogleSheets.accounts(desk.config(service_account=""), desk.state)]


def send_as(desk: Desk, email: str, *, number: int = 1) -> None:
    desk.deliver(replace(desk.rows_of(make_submission(number), service_account=""), account=email))


def test_each_account_is_counted_by_itself_and_all_by_their_project(both: Desk, second: dict[str, Any]) -> None:
    first, other = GoogleSheets.accounts(both.config(service_account=""), {})

    assert [first.name, other.name] == [both.email, second["client_email"]]
    assert first.rate_keys["write"] != other.rate_keys["write"]
    assert first.rate_keys["write_project"] == other.rate_keys["write_project"]
    assert first.rate_keys["spreadsheet"] == other.rate_keys["spreadsheet"]


def test_an_account_of_another_project_is_left_out(both: Desk, settings: Settings, tmp_path: Path) -> None:
    stranger = both.key | {"client_email": "c@x", "project_id": "another"}
    (tmp_path / "c.json").write_text(json.dumps(stranger))

    assert len(names(both)) == 2

    settings.SHEETS_SERVICE_ACCOUNT_FILE = f"{tmp_path / 'c.json'}, {tmp_path / 'a.json'}"
    assert names(both) == ["c@x"]


def test_the_chosen_account_writes(both: Desk, second: dict[str, Any]) -> None:
    both.emulator.share(both.spreadsheet, second["client_email"], "writer")
    both.emulator.share(both.spreadsheet, both.email, None)

    send_as(both, second["client_email"])

    assert len(both.ids()) == 1


def test_one_that_was_refused_leaves_the_work_to_the_others(both: Desk, second: dict[str, Any]) -> None:
    with pytest.raises(RetryableError):
        send_as(both, second["client_email"])

    assert names(both) == [both.email]
    [notice] = GoogleSheets.notices(both.config(service_account=""), both.state)
    assert second["client_email"] in notice

    send_as(both, both.email)
    both.clock.advance(3700)
    send_as(both, both.email, number=2)
    assert names(both) == [both.email, second["client_email"]]


def test_when_all_were_refused_the_action_pauses(both: Desk, second: dict[str, Any]) -> None:
    both.emulator.share(both.spreadsheet, both.email, None)

    with pytest.raises(RetryableError):
        send_as(both, second["client_email"])
    with pytest.raises(ConfigurationError, match="may not write"):
        send_as(both, both.email)

    assert len(names(both)) == 2  # resuming begins with all of them


def test_a_batch_that_may_have_landed_is_not_given_to_another_account(both: Desk) -> None:
    both.emulator.faults.plan(BATCH_UPDATE, Fault.LOSE_ANSWER)
    batch = both.unanswered(replace(both.rows_of(service_account=""), account=both.email))
    both.emulator.share(both.spreadsheet, both.email, None)

    with pytest.raises(ConfigurationError):
        both.deliver(batch)

    assert names(both)[0] == both.email


def test_an_account_that_was_taken_away_is_replaced_by_one_of_its_project(both: Desk) -> None:
    both.emulator.faults.plan(BATCH_UPDATE, Fault.LOSE_ANSWER)
    batch = both.unanswered(replace(both.rows_of(service_account=""), account="gone@formhub-demo"))

    both.deliver(batch)

    assert len(both.ids()) == 1


def test_the_check_names_the_accounts_that_are_not_shared_with(both: Desk, second: dict[str, Any]) -> None:
    said = both.sink(both.config(service_account="")).check()

    assert f"as {both.email}" in said
    assert f"Not shared yet with {second['client_email']}" in said


def test_the_check_fails_where_none_is(both: Desk) -> None:
    both.emulator.share(both.spreadsheet, both.email, None)

    with pytest.raises(ConfigurationError) as caught:
        both.sink(both.config(service_account="")).check()

    assert f"Share the spreadsheet with {both.email}" in caught.value.remedy
