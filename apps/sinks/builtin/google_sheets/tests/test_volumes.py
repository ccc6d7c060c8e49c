"""A spreadsheet that is full, or whose month is over, and the one that takes its place."""

from dataclasses import replace
from datetime import timedelta

import pytest

from apps.sinks.builtin.google_sheets.config import GoogleSheetsConfig
from apps.sinks.builtin.google_sheets.sink import GoogleSheets
from apps.sinks.builtin.google_sheets.tests.conftest import BATCH_UPDATE, Desk
from apps.sinks.conformance import make_submission
from apps.sinks.contract import ConfigurationError, RelocatedError, RetryableError
from formhub.core.ids import uuid7
from sheets_emulator.faults import Fault

pytestmark = pytest.mark.services


@pytest.fixture
def further(desk: Desk) -> str:
    return desk.emulator.create("Volume 2", {desk.email: "writer"})


def fill(desk: Desk, part: float) -> None:
    """Blank rows, until so much of the spreadsheet is used."""
    length = int((part * 10_000_000 - 26_000) / 26)
    desk.edit({"appendDimension": {"sheetId": 0, "dimension": "ROWS", "length": length}})
    desk.clock.advance(61)


def moved(desk: Desk, **config: object) -> RelocatedError:
    with pytest.raises(RelocatedError) as caught:
        desk.send(make_submission(2), **config)
    return caught.value


def test_at_four_fifths_its_owner_is_told(desk: Desk, further: str) -> None:
    fill(desk, 0.85)
    desk.send(make_submission(1))

    [notice] = GoogleSheets.notices(desk.config(), desk.state)

    assert "85 % full" in notice
    assert GoogleSheets.notices(desk.config(further=further), desk.state) == []
    assert GoogleSheets.notices(desk.config(), {}) == []


def test_a_full_one_is_followed_by_the_next_and_leads_there(desk: Desk, further: str) -> None:
    desk.send(make_submission(1))
    fill(desk, 0.96)

    error = moved(desk, further=f"{further}\nthird", former="zeroth")

    assert error.part == 1
    assert error.changes == {"spreadsheet": further, "further": "third", "former": f"zeroth\n{desk.spreadsheet}"}
    assert further in desk.table()[-1][0]
    assert len(desk.table()) == 3  # header, the row, the link


def test_one_that_google_finds_full_is_followed_by_the_next_as_well(
    desk: Desk, further: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody filled it up between our look and our write."""
    monkeypatch.setattr("apps.sinks.builtin.google_sheets.delivery.FULL", 2)
    desk.send(make_submission(1))
    fill(desk, 0.9999)
    later = [make_submission(number) for number in range(2, 600)]

    with pytest.raises(RelocatedError) as caught:
        desk.send(*later, further=further)

    assert caught.value.changes["spreadsheet"] == further
    assert not set(desk.ids()) & {str(each.id) for each in later}


def test_the_rows_go_on_in_the_next_one(desk: Desk, further: str) -> None:
    desk.send(make_submission(1))
    fill(desk, 0.96)
    error = moved(desk, further=further)

    following = replace(desk, spreadsheet=further, state={}, sequence=0)
    batch = following.send(make_submission(2), **error.changes)

    assert following.ids() == [str(id) for id in batch.ids]
    ids = [id for page in following.sink(following.config(**error.changes)).present() or () for id in page]
    assert len(ids) == 2


@pytest.mark.parametrize("fault", [Fault.REJECT, Fault.LOSE_ANSWER])
def test_the_link_stands_there_once_though_its_answer_was_lost(desk: Desk, further: str, fault: Fault) -> None:
    desk.send(make_submission(1))
    fill(desk, 0.96)
    desk.emulator.faults.plan(BATCH_UPDATE, fault)

    with pytest.raises(RetryableError):
        desk.send(make_submission(2), further=further)
    moved(desk, further=further)

    assert len(desk.table()) == 3


def test_a_row_that_stands_in_the_full_one_is_not_written_into_the_next(desk: Desk, further: str) -> None:
    """The ledger was restored to a time before the spreadsheet was full."""
    sent = desk.send(make_submission(1))
    desk.send(make_submission(2))
    fill(desk, 0.96)
    desk.sequence, desk.state = 0, {}

    desk.deliver(replace(desk.rows_of(*sent.parts[0].submissions, further=further), id=uuid7()))

    assert desk.ids().count(str(sent.ids[0])) == 1


def test_a_batch_that_may_have_landed_is_settled_before_anything_moves(desk: Desk, further: str) -> None:
    desk.send(make_submission(1), further=further)
    desk.emulator.faults.plan(BATCH_UPDATE, Fault.LOSE_ANSWER)
    batch = desk.unanswered(desk.rows_of(make_submission(2), further=further))
    fill(desk, 0.96)

    desk.deliver(batch)

    assert desk.ids().count(str(batch.ids[0])) == 1


def test_an_action_without_a_next_one_pauses(desk: Desk, further: str) -> None:
    fill(desk, 0.96)
    parts = [desk.part(make_submission(1)), desk.part(make_submission(2), number=2, further=further)]

    with pytest.raises(RelocatedError) as caught:
        desk.deliver(desk.batch(*parts))
    assert caught.value.part == 2
    with pytest.raises(ConfigurationError, match="full"):
        desk.deliver(desk.batch(parts[0]))


def test_a_new_month_begins_in_the_next_one(desk: Desk, further: str) -> None:
    desk.send(make_submission(1), monthly=True, further=further)
    desk.send(make_submission(2), monthly=True, further=further)
    desk.clock.advance(timedelta(days=32).total_seconds())

    assert moved(desk, monthly=True, further=further).changes["spreadsheet"] == further


def test_without_a_next_one_a_new_month_goes_on_in_the_same(desk: Desk) -> None:
    desk.send(make_submission(1), monthly=True)
    desk.clock.advance(timedelta(days=32).total_seconds())

    desk.send(make_submission(2), monthly=True)

    assert len(desk.ids()) == 2


def test_the_next_ones_are_given_by_their_addresses(desk: Desk, further: str) -> None:
    third = "1aBcDeFgHiJkLmNoPqRsTuVwXyZ-0123456789_abcd"
    text = f"https://docs.google.com/spreadsheets/d/{further}/edit\n{third}\n{third}"
    form = GoogleSheetsConfig(desk.config(further=text))
    own = GoogleSheetsConfig(desk.config(further=desk.spreadsheet))

    assert form.is_valid(), form.errors
    assert form.cleaned_data["further"] == f"{further}\n{third}"
    assert "name others" in str(own.errors["further"])


def test_the_check_tries_the_next_ones_too(desk: Desk, further: str) -> None:
    assert "Connected" in desk.sink(desk.config(further=further)).check()
    desk.emulator.share(further, desk.email, None)

    with pytest.raises(ConfigurationError, match="to go on in"):
        desk.sink(desk.config(further=further)).check()
