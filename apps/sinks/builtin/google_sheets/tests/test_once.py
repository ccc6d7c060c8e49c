"""However a call ends, each submission stands in the sheet once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from google.auth import _helpers
from google.oauth2.service_account import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.sinks.builtin.google_sheets import client
from apps.sinks.builtin.google_sheets.draft import MARKERS_FROM
from apps.sinks.builtin.google_sheets.tests.conftest import AGE, BATCH_UPDATE, COUNT, NAME, Desk
from apps.sinks.conformance import SinkConformance, make_submission
from apps.sinks.contract import (
    AmbiguousError,
    BackpressureError,
    Batch,
    ConfigurationError,
    Confirmation,
    Context,
    PermanentError,
    RetryableError,
    Sink,
    Submission,
)
from formhub.core.ids import uuid7
from formhub.core.layout import Column, Kind, Layout
from sheets_emulator.emulator import SheetsEmulator
from sheets_emulator.faults import Fault

pytestmark = pytest.mark.services


class TestConformance(SinkConformance):
    @pytest.fixture(autouse=True)
    def _desk(self, desk: Desk) -> None:
        self.desk = desk

    def make_sink(self, context: Context) -> Sink:
        return self.desk.sink(context=context)

    def times_seen(self, submission: UUID) -> int:
        return self.desk.ids().count(str(submission))

    def break_service(self) -> bool:
        self.desk.emulator.faults.plan(BATCH_UPDATE, Fault.LOSE_ANSWER)
        return True


def standing(desk: Desk, *ids: UUID) -> list[int]:
    found = desk.ids()
    return [found.count(str(id)) for id in ids]


@pytest.mark.parametrize("fault", [Fault.LOSE_ANSWER, Fault.HTML, Fault.DROP, Fault.HANG])
def test_a_batch_whose_answer_was_lost_stands_once_after_the_repeat(desk: Desk, fault: Fault) -> None:
    desk.emulator.faults.plan(BATCH_UPDATE, fault)
    batch = desk.unanswered(desk.rows_of(make_submission(1), make_submission(2)))

    desk.deliver(batch)

    assert standing(desk, *batch.ids) == [1, 1]


def test_a_batch_that_was_never_applied_lands_at_the_repeat(desk: Desk) -> None:
    desk.emulator.faults.plan(BATCH_UPDATE, Fault.REJECT)
    batch = desk.unanswered(desk.rows_of())

    desk.deliver(batch)

    assert standing(desk, *batch.ids) == [1]


def test_an_attempt_that_is_applied_late_does_not_double_the_repeat(desk: Desk) -> None:
    desk.emulator.faults.plan(BATCH_UPDATE, Fault.LATE)
    desk.emulator.faults.late_seconds = 0.05
    batch = desk.unanswered(desk.rows_of())

    desk.deliver(batch)  # before or after the late one: the marker lets one of them in
    desk.emulator.faults.late_seconds = 0.3
    desk.deliver(batch)

    assert standing(desk, *batch.ids) == [1]


def test_a_repeat_goes_into_the_columns_as_they_are_by_then(desk: Desk) -> None:
    desk.send(make_submission(0))
    desk.emulator.faults.plan(BATCH_UPDATE, Fault.REJECT)
    batch = desk.unanswered(desk.rows_of())
    place = {"sheetId": desk.tab_id(), "dimension": "COLUMNS", "startIndex": 0, "endIndex": 1}
    desk.edit({"insertDimension": {"range": place}})

    desk.deliver(batch)

    assert standing(desk, *batch.ids) == [1]


def test_a_worker_that_knows_nothing_finds_what_another_one_wrote(desk: Desk) -> None:
    desk.emulator.faults.plan(BATCH_UPDATE, Fault.LOSE_ANSWER)
    batch = desk.unanswered(desk.rows_of())
    desk.state.clear()

    desk.deliver(batch)

    assert standing(desk, *batch.ids) == [1]


def test_rows_sorted_by_people_change_nothing(desk: Desk) -> None:
    first = desk.send(make_submission(2), make_submission(1))
    area = {"sheetId": desk.tab_id(), "startRowIndex": 1}
    desk.edit({"sortRange": {"range": area, "sortSpecs": [{"dimensionIndex": 2}]}})

    second = desk.send(make_submission(3))

    assert standing(desk, *first.ids, *second.ids) == [1, 1, 1]


def test_a_row_that_somebody_deleted_does_not_come_back(desk: Desk) -> None:
    desk.emulator.faults.plan(BATCH_UPDATE, Fault.LOSE_ANSWER)
    batch = desk.unanswered(desk.rows_of(make_submission(1), make_submission(2)))
    place = {"sheetId": desk.tab_id(), "dimension": "ROWS", "startIndex": 1, "endIndex": 2}
    desk.edit({"deleteDimension": {"range": place}})

    desk.deliver(batch)

    assert standing(desk, *batch.ids) == [0, 1]


def test_a_refusal_after_a_lost_answer_is_believed_only_when_nothing_can_land_any_more(desk: Desk) -> None:
    desk.send(make_submission(0))
    desk.emulator.faults.plan(BATCH_UPDATE, Fault.REJECT)
    batch = desk.unanswered(desk.rows_of())
    protection = {"range": {"sheetId": desk.tab_id()}, "editors": {"users": []}}
    desk.edit({"addProtectedRange": {"protectedRange": protection}})

    with pytest.raises(RetryableError) as caught:
        desk.deliver(batch)
    assert 0 < (caught.value.after or 0) <= 200

    desk.clock.advance(201)
    with pytest.raises(ConfigurationError, match="protected range"):
        desk.deliver(batch)


def test_rows_that_landed_are_found_by_their_ids_where_the_marker_is_gone(desk: Desk) -> None:
    """As with an account that was moved to another project: it cannot see the markers of the old one."""
    desk.send(make_submission(0))
    desk.emulator.faults.plan(BATCH_UPDATE, Fault.LOSE_ANSWER)
    batch = desk.unanswered(desk.rows_of(make_submission(1), make_submission(2)))
    found = desk.emulator.spreadsheet(desk.spreadsheet)
    for entry in [entry for entry in found.metadata.values() if entry.id == MARKERS_FROM + batch.sequence]:
        found.metadata[entry.id] = replace(entry, project="another")
    desk.clock.advance(201)

    desk.deliver(batch)

    assert standing(desk, *batch.ids) == [1, 1]


def test_a_ledger_restored_from_a_backup_does_not_write_rows_again(desk: Desk) -> None:
    sent = desk.send(make_submission(1), make_submission(2))
    desk.send(make_submission(3))
    desk.sequence, desk.state = 0, {}
    again = replace(desk.rows_of(*sent.parts[0].submissions, make_submission(4)), id=uuid7())

    desk.deliver(again)
    after = desk.send(make_submission(5))

    assert standing(desk, *again.ids, *after.ids) == [1, 1, 1, 1]


def test_a_marker_of_somebody_else_under_our_id_is_told_apart(desk: Desk) -> None:
    desk.send(make_submission(0))
    metadata = {"metadataId": MARKERS_FROM + 2, "metadataKey": "theirs", "visibility": "DOCUMENT"}
    location = {"location": {"spreadsheet": True}}
    desk.edit({"createDeveloperMetadata": {"developerMetadata": metadata | location}})

    batch = desk.send(make_submission(1))

    assert standing(desk, *batch.ids) == [1]


def test_an_id_taken_by_somebody_we_cannot_see_is_left_to_them(desk: Desk) -> None:
    desk.send(make_submission(0))
    metadata = {"metadataId": MARKERS_FROM + 2, "metadataKey": "theirs", "visibility": "PROJECT"}
    location = {"location": {"spreadsheet": True}}
    desk.edit({"createDeveloperMetadata": {"developerMetadata": metadata | location}})

    first, second = desk.send(make_submission(1)), desk.send(make_submission(2))

    assert standing(desk, *first.ids, *second.ids) == [1, 1]


def test_old_markers_are_removed_and_a_hundred_kept(desk: Desk) -> None:
    for number in range(110):
        desk.send(make_submission(number))
    desk.clock.advance(601)

    desk.send(make_submission(111))

    markers = [entry for entry in desk.emulator.spreadsheet(desk.spreadsheet).metadata.values() if entry.sheet is None]
    assert len(markers) == 101
    assert len(desk.ids()) == 111


def test_a_range_protected_against_us_pauses_the_action_it_concerns(desk: Desk) -> None:
    parts = [desk.part(make_submission(n), number=n, worksheet=f"Form {n}") for n in (1, 2)]
    desk.deliver(desk.batch(*parts))
    protection = {"range": {"sheetId": desk.tab_id("Form 2")}, "editors": {"users": []}}
    desk.edit({"addProtectedRange": {"protectedRange": protection}})

    with pytest.raises(ConfigurationError) as caught:
        desk.deliver(desk.batch(*parts))

    assert caught.value.part == 2
    assert desk.email in caught.value.remedy
    assert [len(desk.ids(f"Form {n}")) for n in (1, 2)] == [1, 1]


@pytest.mark.parametrize("role", [None, "reader"], ids=["not shared any more", "shared for looking only"])
def test_a_sheet_we_may_not_write_to_pauses_with_the_address_to_share_with(desk: Desk, role: str | None) -> None:
    desk.emulator.share(desk.spreadsheet, desk.email, role)

    with pytest.raises(ConfigurationError) as caught:
        desk.send()

    assert f"Share the spreadsheet with {desk.email}" in caught.value.remedy


def test_a_deleted_spreadsheet_pauses(desk: Desk) -> None:
    desk.emulator.delete(desk.spreadsheet)

    with pytest.raises(ConfigurationError, match="no such spreadsheet"):
        desk.send()


def test_a_revoked_key_pauses_and_says_how_to_make_another(desk: Desk) -> None:
    other = replace(desk, key=desk.emulator.new_account())
    desk.emulator.accounts.remove(other.email)

    with pytest.raises(ConfigurationError) as caught:
        other.send()

    assert "Make a new key" in caught.value.remedy


def test_a_worker_whose_clock_is_wrong_tries_again_and_pauses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(desk, key=desk.emulator.new_account())
    sign: Any = Credentials._make_authorization_grant_assertion
    now: Any = _helpers.utcnow

    def sign_later(self: Credentials) -> bytes:
        with monkeypatch.context() as clock:
            clock.setattr(_helpers, "utcnow", lambda: now() + timedelta(hours=3))
            signed: bytes = sign(self)
            return signed

    monkeypatch.setattr(Credentials, "_make_authorization_grant_assertion", sign_later)

    with pytest.raises(RetryableError, match="clock of this worker"):
        other.send()


def test_a_token_that_ended_early_is_renewed_without_anybody_noticing(desk: Desk) -> None:
    desk.send(make_submission(1))
    desk.emulator.accounts.forget_tokens()

    batch = desk.send(make_submission(2))

    assert standing(desk, *batch.ids) == [1]


def test_a_used_up_quota_waits_for_the_next_minute(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with SheetsEmulator(quota_scale=1 / 60) as small:  # one write a minute
        small.quota.clock = lambda: 0.0
        monkeypatch.setattr("django.conf.settings.SHEETS_BASE_URL", small.url)
        key = small.new_account()
        sheet = small.create("Small", {key["client_email"]: "writer"})
        other = replace(desk, emulator=small, key=key, spreadsheet=sheet, state={}, kept={})
        other.send(make_submission(1))

        with pytest.raises(BackpressureError) as caught:
            other.send(make_submission(2))

    assert 0 < caught.value.after <= 61
    assert caught.value.rates == {"write"}


def test_a_service_that_cannot_be_reached_is_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with SheetsEmulator() as gone:
        key = gone.new_account()
    monkeypatch.setattr("django.conf.settings.SHEETS_BASE_URL", gone.url)

    with pytest.raises(RetryableError):
        replace(desk, key=key, state={}).send()


def test_a_full_spreadsheet_pauses_before_google_refuses(desk: Desk) -> None:
    desk.edit({"appendDimension": {"sheetId": 0, "dimension": "ROWS", "length": 370_000}})

    with pytest.raises(ConfigurationError, match="full"):
        desk.send()


def test_a_row_that_google_refuses_is_refused_for_its_data(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.sinks.builtin.google_sheets.cells.CELL_TEXT_MAX", 10**9)

    with pytest.raises(PermanentError) as caught:
        desk.send(make_submission(1, name="x" * 60_000, count=1), number=5)

    assert (caught.value.code, caught.value.part) == ("refused_by_google", 5)
    assert "xxx" not in str(caught.value)


def test_a_row_is_not_put_aside_for_what_somebody_changed_that_very_second(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.send(make_submission(1))
    desk.clock.advance(61)
    send = client.SheetsClient.batch_update

    def too_late(sender: client.SheetsClient, body: bytes) -> None:
        """The tab goes between our look and our write."""
        if desk.table():
            desk.edit({"deleteSheet": {"sheetId": desk.tab_id()}})
        send(sender, body)

    monkeypatch.setattr(client.SheetsClient, "batch_update", too_late)

    with pytest.raises(ConfigurationError, match="was deleted"):
        desk.send(make_submission(2))


@pytest.mark.parametrize(("fault", "found"), [(Fault.LOSE_ANSWER, "landed"), (Fault.REJECT, "unknown")])
def test_it_confirms_what_it_can_know(desk: Desk, fault: Fault, found: str) -> None:
    desk.emulator.faults.plan(BATCH_UPDATE, fault)
    batch = desk.unanswered(desk.rows_of())

    assert desk.sink().confirm(replace(batch, kept=desk.kept[batch.id])) == Confirmation(found)


def test_after_a_while_it_can_say_that_nothing_landed(desk: Desk) -> None:
    desk.emulator.faults.plan(BATCH_UPDATE, Fault.REJECT)
    batch = desk.unanswered(desk.rows_of())
    desk.clock.advance(201)

    assert desk.sink().confirm(replace(batch, kept=desk.kept[batch.id])) == Confirmation.ABSENT


def test_the_check_finds_the_sheet_and_leaves_nothing_in_it(desk: Desk) -> None:
    assert "Connected to “Answers”" in desk.sink().check()
    assert desk.emulator.spreadsheet(desk.spreadsheet).metadata == {}


def test_the_check_finds_that_we_may_only_look(desk: Desk) -> None:
    desk.emulator.share(desk.spreadsheet, desk.email, "reader")

    with pytest.raises(ConfigurationError, match="may not write"):
        desk.sink().check()


def test_calls_beyond_the_first_of_a_rate_are_paid_for(desk: Desk) -> None:
    spent: list[str] = []
    context = Context(UUID(int=1), spend=spent.append, clock=desk.clock)

    desk.sink(context=context).deliver(desk.rows_of())

    assert spent == []  # one look, one write: the engine has charged them

    desk.emulator.faults.plan(BATCH_UPDATE, Fault.LOSE_ANSWER)
    batch = desk.unanswered(desk.rows_of())
    desk.sink(context=context).deliver(replace(batch, kept=desk.kept[batch.id]))
    assert spent == []  # one write refused, one search

    context.state.clear()
    metadata = {"metadataId": MARKERS_FROM + 3, "metadataKey": "theirs", "visibility": "DOCUMENT"}
    desk.edit({"createDeveloperMetadata": {"developerMetadata": metadata | {"location": {"spreadsheet": True}}}})
    desk.sink(context=context).deliver(desk.rows_of())
    assert {"read", "read_project", "write", "write_project"} <= set(spent)


def test_a_service_that_stays_silent_is_given_up_in_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SECONDS", (1, 0.2))
    desk.key["private_key_id"] = "another"  # a client of its own, which has not met the long wait yet
    desk.emulator.faults.plan(BATCH_UPDATE, Fault.HANG)

    batch = desk.unanswered(desk.rows_of())

    assert standing(desk, *batch.ids) == [1]


PEOPLE = st.sampled_from(
    [
        "insert column", "move column", "sort", "delete row", "insert row", "rename", "filter", "delete a column",
        "new question", "wait", "forget", "restore the database",
    ]
)  # fmt: skip
FAULTS = st.sampled_from([None, None, *(fault for fault in Fault if fault not in {Fault.HANG, Fault.LATE})])
QUESTIONS = (NAME, COUNT, AGE, *(Column(f"extra_{number}", f"Extra {number}", Kind.TEXT) for number in range(12)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(FAULTS, PEOPLE), min_size=1, max_size=12), st.booleans())
def test_whatever_happens_every_submission_stands_once_or_was_deleted_by_people(
    desk: Desk, steps: list[tuple[Fault | None, str]], newest_first: bool
) -> None:
    fresh = desk.emulator.create("Mixed", {desk.email: "writer"})
    desk = replace(desk, spreadsheet=fresh, state={}, sequence=0, kept={})
    expected: dict[str, str] = {}  # id -> the answer in its row
    deleted: set[str] = set()
    sent: list[Submission] = []
    questions = 2
    for number, (fault, act) in enumerate(steps):
        if act == "restore the database":  # to a time when half of it had not been sent
            desk = replace(desk, state={}, sequence=desk.sequence // 2)
            again, sent = sent[len(sent) // 2 :], sent[: len(sent) // 2]
            again = [submission for submission in again if str(submission.id) not in deleted]
        else:
            again = []
        questions += act == "new question"
        rows = [*again, *(make_submission(at, name=f"Ada {at}", count=at) for at in (2 * number, 2 * number + 1))]
        layout = Layout(QUESTIONS[: min(questions, len(QUESTIONS))])
        batch = desk.rows_of(*rows, layout=layout, newest_first=newest_first)
        expected |= {str(row.id): row.answers["name"] for row in rows}
        sent += rows
        if fault is not None:
            desk.emulator.faults.plan(BATCH_UPDATE, fault)
        deleted |= insist(desk, batch, act)
        desk.emulator.faults.clear()

    found = rows_by_id(desk)
    assert sorted(id for id, _ in found) == sorted(expected.keys() - deleted)
    assert {id: name for id, name in found if name} == {id: expected[id] for id, name in found if name}


def insist(desk: Desk, batch: Batch, act: str) -> set[str]:
    """Offer the batch until it is taken, as the engine does; people act once, as soon as the first offer ended."""
    deleted: set[str] | None = None
    for _ in range(6):
        try:
            desk.deliver(batch)
        except AmbiguousError:
            batch = replace(batch, attempt=batch.attempt + 1, ambiguous=desk.clock.now())
        except RetryableError as error:
            desk.clock.advance(error.after or 1)
        else:
            return people(desk, act) if deleted is None else deleted
        if deleted is None:
            deleted = people(desk, act)
    pytest.fail("The batch was not taken.")


def rows_by_id(desk: Desk) -> list[tuple[str, str]]:
    """Each row's id, and what stands below "Name" in it; nothing where that column was deleted."""
    [tab] = [sheet.title for sheet in desk.emulator.spreadsheet(desk.spreadsheet).sheets if sheet.title != "Sheet1"]
    table = desk.table(tab)
    at, name = table[0].index("Submission ID"), table[0].index("Name") if "Name" in table[0] else None
    cells = [
        (row[at] if at < len(row) else "", row[name] if name is not None and name < len(row) else "")
        for row in table[1:]
    ]
    return [(str(id), str(name)) for id, name in cells if id]


def people(desk: Desk, act: str) -> set[str]:
    """Do it; the ids of the submissions whose rows were deleted by it."""
    tabs = [sheet for sheet in desk.emulator.spreadsheet(desk.spreadsheet).sheets if sheet.title != "Sheet1"]
    if act == "wait":
        desk.clock.advance(61)
    elif act == "forget":
        desk.state.clear()
    elif tabs and act not in {"new question", "restore the database"}:
        tab = tabs[0]
        if act == "delete a column" and "Count" not in desk.table(tab.title)[0]:
            return set()
        lost = set(desk.ids(tab.title)[:1]) if act == "delete row" else set()
        if act == "delete a column":
            at = desk.table(tab.title)[0].index("Count")
            place = {"sheetId": tab.id, "dimension": "COLUMNS", "startIndex": at, "endIndex": at + 1}
            desk.edit({"deleteDimension": {"range": place}})
        elif act != "delete row" or lost:
            desk.edit(request_for(act, tab.id))
        desk.clock.advance(2)  # what is changed in the very second of a look is met as it was
        return lost
    return set()


def request_for(act: str, tab: int) -> dict[str, Any]:
    columns: dict[str, Any] = {"sheetId": tab, "dimension": "COLUMNS", "startIndex": 0, "endIndex": 1}
    rows = {"sheetId": tab, "dimension": "ROWS", "startIndex": 1, "endIndex": 2}
    requests: dict[str, dict[str, Any]] = {
        "insert column": {"insertDimension": {"range": columns}},
        "move column": {"moveDimension": {"source": columns, "destinationIndex": 3}},
        "sort": {"sortRange": {"range": {"sheetId": tab, "startRowIndex": 1}, "sortSpecs": [{"dimensionIndex": 2}]}},
        "delete row": {"deleteDimension": {"range": rows}},
        "insert row": {"insertDimension": {"range": rows}},
        "filter": {
            "setBasicFilter": {"filter": {"range": {"sheetId": tab}, "criteria": {"2": {"hiddenValues": ["Ada 1"]}}}}
        },
        "rename": {"updateSheetProperties": {"properties": {"sheetId": tab, "title": "Renamed"}, "fields": "title"}},
    }
    return requests[act]
