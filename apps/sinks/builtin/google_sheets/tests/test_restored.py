"""A ledger that is older than the spreadsheet, and markers that can no longer be seen: the column of ids decides."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from apps.sinks.builtin.google_sheets import ids
from apps.sinks.builtin.google_sheets.tests.conftest import BATCH_UPDATE, Desk
from apps.sinks.conformance import make_submission
from apps.sinks.contract import RetryableError, Submission
from formhub.core.ids import uuid7
from sheets_emulator.faults import Fault

pytestmark = pytest.mark.services


def again(desk: Desk, *submissions: Submission) -> None:
    """What a restored ledger makes of them: a batch with an id of its own, and the sequence from where it stands."""
    desk.deliver(replace(desk.rows_of(*submissions), id=uuid7()))


def standing(desk: Desk, submissions: list[Submission]) -> list[int]:
    found = desk.ids()
    return [found.count(str(submission.id)) for submission in submissions]


def test_every_batch_of_a_restored_ledger_is_compared_with_what_stands_there(desk: Desk) -> None:
    rows = [make_submission(number) for number in range(9)]
    for row in rows[:8]:
        desk.send(row)
    desk.sequence, desk.state = 2, {}

    for start in (2, 4, 6):
        again(desk, *rows[start : start + 2])
    again(desk, rows[8])

    assert standing(desk, rows) == [1] * 9


def test_what_was_accepted_after_the_ledger_was_restored_is_written_without_comparing(desk: Desk) -> None:
    desk.send(make_submission(1))
    desk.send(make_submission(2))
    desk.sequence, desk.state = 0, {}
    again(desk, make_submission(3))
    reads = desk.emulator.calls["spreadsheets.values.get"]

    later = replace(make_submission(4), accepted_at=desk.clock.now() + timedelta(hours=1))
    desk.send(later)

    assert desk.emulator.calls["spreadsheets.values.get"] == reads


def test_a_restored_ledger_is_noticed_though_its_memory_is_a_moment_old(desk: Desk) -> None:
    rows = [make_submission(number) for number in range(4)]
    desk.send(rows[0])
    sequence, state = desk.sequence, dict(desk.state)
    for row in rows[1:3]:
        desk.send(row)
    desk.sequence, desk.state = sequence, state

    for row in rows[1:]:
        again(desk, row)

    assert standing(desk, rows) == [1] * 4


def test_a_batch_that_waited_until_its_marker_was_pruned_does_not_land_again(desk: Desk) -> None:
    desk.send(make_submission(0))
    desk.emulator.faults.plan(BATCH_UPDATE, Fault.LOSE_ANSWER)
    lost = desk.unanswered(desk.rows_of(make_submission(1)))
    for number in range(2, 104):
        desk.send(make_submission(number))
    desk.clock.advance(700)
    desk.send(make_submission(104))
    desk.send(make_submission(105))

    desk.deliver(lost)

    assert desk.ids().count(str(lost.ids[0])) == 1


def test_a_late_batch_writes_only_what_is_not_there(desk: Desk) -> None:
    sent = desk.send(make_submission(1), make_submission(2))
    [gone, kept] = sent.parts[0].submissions
    place = {"sheetId": desk.tab_id(), "dimension": "ROWS", "startIndex": 1, "endIndex": 2}
    desk.edit({"deleteDimension": {"range": place}})

    desk.deliver(replace(desk.rows_of(gone, kept), late=True))

    assert standing(desk, [gone, kept]) == [1, 1]


def present(desk: Desk, **config: str) -> list[UUID]:
    return [id for page in desk.sink(desk.config(**config)).present() for id in page]


def test_the_ids_that_stand_there_are_told_in_pages(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "PAGE", 2)
    batch = desk.send(*(make_submission(number) for number in range(5)))
    start = {"sheetId": desk.tab_id(), "rowIndex": 8, "columnIndex": 0}
    note = [{"values": [{"userEnteredValue": {"stringValue": "a note"}}]}]
    desk.edit({"appendDimension": {"sheetId": desk.tab_id(), "dimension": "ROWS", "length": 10}})
    desk.edit({"updateCells": {"start": start, "rows": note, "fields": "userEnteredValue"}})

    assert present(desk) == batch.ids
    assert present(desk, worksheet="Nowhere") == []


def test_a_column_that_moves_while_it_is_read_says_nothing_of_what_is_there(desk: Desk) -> None:
    desk.send(make_submission(1))
    pages = desk.sink().present()
    assert pages is not None
    next(pages)
    place = {"sheetId": desk.tab_id(), "dimension": "COLUMNS", "startIndex": 0, "endIndex": 1}
    desk.edit({"insertDimension": {"range": place}})

    with pytest.raises(RetryableError):
        next(pages)
