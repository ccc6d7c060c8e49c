"""What people do with their sheet, and what becomes of the columns."""

from dataclasses import replace
from typing import Any

import pytest

from apps.sinks.builtin.google_sheets.sink import GoogleSheets
from apps.sinks.builtin.google_sheets.tests.conftest import AGE, COUNT, NAME, Desk
from apps.sinks.conformance import make_submission
from apps.sinks.contract import ConfigurationError, RetryableError
from formhub.core.layout import Column, Kind, Layout

pytestmark = pytest.mark.services

HEADER = ["Submission ID", "Accepted at", "Name", "Count"]


def columns_of(desk: Desk, start: int, end: int | None = None) -> dict[str, Any]:
    return {"sheetId": desk.tab_id(), "dimension": "COLUMNS", "startIndex": start, "endIndex": end or start + 1}


def later(desk: Desk) -> None:
    """Beyond the time for which the sink trusts what it saw."""
    desk.clock.advance(61)


def test_the_first_batch_makes_a_narrow_tab_with_a_frozen_bold_header(desk: Desk) -> None:
    first, second = make_submission(1), make_submission(2)

    desk.send(first, second)

    assert desk.table() == [
        HEADER,
        [str(first.id), "2026-01-01 12:00:01", "Ada 1", 1],
        [str(second.id), "2026-01-01 12:00:02", "Ada 2", 2],
    ]
    tab = desk.emulator.spreadsheet(desk.spreadsheet).titled("Submissions")
    assert tab is not None
    assert (tab.column_count, tab.row_count) == (4, 3)
    assert tab.properties["gridProperties"] == {"frozenRowCount": 1}


def test_answers_of_every_kind_arrive_as_what_they_are(desk: Desk) -> None:
    layout = Layout(
        (
            Column("text", "Text", Kind.TEXT),
            Column("agreed", "Agreed", Kind.BOOLEAN),
            Column("day", "Day", Kind.DATE),
            Column("choice", "Choice", Kind.CHOICE, {"a": "First"}),
            Column("many", "Many", Kind.CHOICES, {"a": "First", "b": "Second"}),
        )
    )
    answers = {"text": "=1+1", "agreed": True, "day": "2026-12-31", "choice": "a", "many": ["a", "b"]}

    desk.send(make_submission(1, **answers), layout=layout)

    assert desk.table()[1][2:] == ["=1+1", True, "2026-12-31", "First", "First, Second"]


def test_an_added_field_gets_a_column_at_the_right_end(desk: Desk) -> None:
    desk.send(make_submission(1))

    desk.send(make_submission(2, name="Bob", count=2, age=33), layout=Layout((AGE, NAME, COUNT)))

    assert desk.table()[0] == [*HEADER, "Age"]
    assert desk.column("Name", "Age") == [["Ada 1", ""], ["Bob", 33]]


def test_a_removed_field_leaves_its_column_and_comes_back_to_it(desk: Desk) -> None:
    desk.send(make_submission(1))
    desk.send(make_submission(2), layout=Layout((NAME,)))
    desk.send(make_submission(3))

    assert desk.table()[0] == HEADER
    assert desk.column("Name", "Count") == [["Ada 1", 1], ["Ada 2", ""], ["Ada 3", 3]]


def test_a_renamed_field_renames_the_header_it_wrote(desk: Desk) -> None:
    desk.send(make_submission(1))

    desk.send(make_submission(2), layout=Layout((Column("name", "Full name", Kind.TEXT), COUNT)))

    assert desk.table()[0] == ["Submission ID", "Accepted at", "Full name", "Count"]


def test_a_field_that_is_sent_under_another_name_keeps_its_column(desk: Desk) -> None:
    desk.send(make_submission(1))

    desk.send(make_submission(2, who="Ada 2"), layout=Layout((replace(NAME, key="who", origin="name"),)))

    assert desk.table()[0] == HEADER
    assert desk.column("Name") == [["Ada 1"], ["Ada 2"]]


def test_a_header_that_the_owner_changed_stays_the_owners(desk: Desk) -> None:
    desk.send(make_submission(1))
    cell = {"values": [{"userEnteredValue": {"stringValue": "Guest"}}]}
    start = {"sheetId": desk.tab_id(), "rowIndex": 0, "columnIndex": 2}
    desk.edit({"updateCells": {"start": start, "rows": [cell], "fields": "userEnteredValue"}})

    desk.send(make_submission(2), layout=Layout((Column("name", "Full name", Kind.TEXT), COUNT)))

    assert desk.column("Guest") == [["Ada 1"], ["Ada 2"]]


def test_rows_follow_columns_that_were_moved_and_inserted(desk: Desk) -> None:
    desk.send(make_submission(1))
    desk.edit({"insertDimension": {"range": columns_of(desk, 0, 2)}})
    desk.edit({"moveDimension": {"source": columns_of(desk, 5), "destinationIndex": 0}})
    later(desk)

    second = make_submission(2)
    desk.send(second)

    assert desk.table()[0] == ["Count", "", "", "Submission ID", "Accepted at", "Name"]
    assert desk.column("Submission ID", "Name", "Count")[1] == [str(second.id), "Ada 2", 2]


def test_a_deleted_column_stays_deleted(desk: Desk) -> None:
    desk.send(make_submission(1))
    desk.edit({"deleteDimension": {"range": columns_of(desk, 2)}})
    later(desk)

    desk.send(make_submission(2))

    assert desk.table()[0] == ["Submission ID", "Accepted at", "Count"]
    assert desk.column("Count") == [[1], [2]]


def test_a_deleted_column_is_made_again_where_the_settings_say_so(desk: Desk) -> None:
    desk.send(make_submission(1))
    desk.edit({"deleteDimension": {"range": columns_of(desk, 2)}})
    later(desk)

    desk.send(make_submission(2), restore_columns=True)

    assert desk.column("Count", "Name") == [[1, ""], [2, "Ada 2"]]


def test_the_column_of_ids_is_made_again_in_any_case(desk: Desk) -> None:
    desk.send(make_submission(1))
    desk.edit({"deleteDimension": {"range": columns_of(desk, 0)}})
    later(desk)
    second = make_submission(2)

    desk.send(second)

    assert desk.ids() == ["", str(second.id)]


def test_a_renamed_tab_is_still_the_tab(desk: Desk) -> None:
    desk.send(make_submission(1))
    properties = {"sheetId": desk.tab_id(), "title": "Guests 2026"}
    desk.edit({"updateSheetProperties": {"properties": properties, "fields": "title"}})
    later(desk)

    desk.send(make_submission(2))

    assert len(desk.ids("Guests 2026")) == 2
    assert len(desk.emulator.spreadsheet(desk.spreadsheet).sheets) == 2


def test_a_deleted_tab_pauses_the_action_and_resuming_begins_a_new_one(desk: Desk) -> None:
    desk.send(make_submission(1))
    desk.edit({"deleteSheet": {"sheetId": desk.tab_id()}})
    later(desk)
    batch = desk.rows_of(make_submission(2), number=7)

    with pytest.raises(ConfigurationError) as caught:
        desk.deliver(batch)
    assert (caught.value.part, "resume to begin a new one" in caught.value.remedy) == (7, True)

    desk.deliver(batch)
    assert desk.ids() == [str(id) for id in batch.ids]


def test_a_tab_deleted_behind_our_back_is_noticed_at_the_refusal(desk: Desk) -> None:
    desk.send(make_submission(1))
    desk.edit({"deleteSheet": {"sheetId": desk.tab_id()}})

    with pytest.raises(ConfigurationError, match="was deleted"):
        desk.send(make_submission(2))


def test_an_existing_tab_keeps_its_columns_and_ours_stand_to_the_right(desk: Desk) -> None:
    rows = [{"values": [{"userEnteredValue": {"stringValue": text}} for text in row]} for row in (["Note"], ["a", "b"])]
    start = {"sheetId": 0, "rowIndex": 0, "columnIndex": 0}
    desk.edit({"updateCells": {"start": start, "rows": rows, "fields": "userEnteredValue"}})

    desk.send(make_submission(1), worksheet="Sheet1")

    table = desk.table("Sheet1")
    assert table[0] == ["Note", "", *HEADER]
    assert table[2][:2] == ["", ""]
    assert table[2][4] == "Ada 1"


def test_a_blank_existing_tab_is_filled_from_its_first_column(desk: Desk) -> None:
    desk.send(make_submission(1), worksheet="sheet1")

    assert desk.table("Sheet1")[0] == HEADER


def test_headers_that_somebody_prepared_are_used(desk: Desk) -> None:
    row = {"values": [{"userEnteredValue": {"stringValue": text}} for text in ("Count", "Mine", "Name")]}
    start = {"sheetId": 0, "rowIndex": 0, "columnIndex": 0}
    desk.edit({"updateCells": {"start": start, "rows": [row], "fields": "userEnteredValue"}})

    desk.send(make_submission(1), worksheet="Sheet1")

    assert desk.table("Sheet1")[0] == ["Count", "Mine", "Name", "Submission ID", "Accepted at"]
    assert desk.table("Sheet1")[1][:3] == [1, "", "Ada 1"]


def test_two_questions_with_the_same_words_have_a_column_each(desk: Desk) -> None:
    layout = Layout((Column("a", "Why?", Kind.TEXT), Column("b", "Why?", Kind.TEXT)))

    desk.send(make_submission(1, a="one", b="two"), layout=layout)

    assert desk.table()[0][2:] == ["Why?", "Why?"]
    assert desk.table()[1][2:] == ["one", "two"]


def test_forms_of_one_spreadsheet_go_in_one_call(desk: Desk) -> None:
    before = desk.emulator.calls.get("spreadsheets.batchUpdate", 0)
    parts = [desk.part(make_submission(n), number=n, worksheet=f"Form {n}") for n in (1, 2, 3)]

    desk.deliver(desk.batch(*parts))

    assert [len(desk.ids(f"Form {n}")) for n in (1, 2, 3)] == [1, 1, 1]
    assert desk.emulator.calls["spreadsheets.batchUpdate"] == before + 1


def test_two_forms_may_share_a_tab(desk: Desk) -> None:
    other = desk.part(make_submission(2, name="Bob", age=4), number=2, layout=Layout((NAME, AGE)))

    desk.deliver(desk.batch(desk.part(make_submission(1)), other))

    assert desk.column("Name", "Count", "Age") == [["Ada 1", 1, ""], ["Bob", "", 4]]


def test_six_hundred_fields_with_long_keys_fit(desk: Desk) -> None:
    layout = Layout(tuple(Column(f"{'k' * 55}_{n:04}", f"Question {n}", Kind.TEXT) for n in range(600)))
    answers = {column.key: column.key[-4:] for column in layout.columns}

    desk.send(make_submission(1, **answers), layout=layout)
    later(desk)
    desk.send(make_submission(2, **answers), layout=layout)

    assert desk.table()[2][2:] == [f"{n:04}" for n in range(600)]


def test_losing_the_memory_costs_nothing_but_a_look(desk: Desk) -> None:
    desk.send(make_submission(1))
    desk.state.clear()

    desk.send(make_submission(2))

    assert desk.table()[0] == HEADER
    assert len(desk.ids()) == 2


def test_a_memory_that_cannot_be_read_is_no_memory(desk: Desk) -> None:
    desk.state.update({"tabs": "nonsense", "markers": None})

    desk.send(make_submission(1))

    assert len(desk.ids()) == 1


def test_the_spreadsheet_is_looked_at_once_a_second_at_most(desk: Desk) -> None:
    desk.send(make_submission(1))
    looks = desk.emulator.calls["spreadsheets.get"]

    desk.send(make_submission(2))
    assert desk.emulator.calls["spreadsheets.get"] == looks

    desk.clock.advance(2)
    desk.send(make_submission(3))
    assert desk.emulator.calls["spreadsheets.get"] == looks + 1


def test_a_header_that_cannot_be_read_any_more_is_looked_for_again(desk: Desk) -> None:
    desk.send(make_submission(1))
    properties = {"sheetId": desk.tab_id(), "title": "Guests"}
    desk.edit({"updateSheetProperties": {"properties": properties, "fields": "title"}})
    batch = desk.rows_of(make_submission(2, age=3), layout=Layout((AGE, NAME, COUNT)))

    with pytest.raises(RetryableError):
        desk.deliver(batch)
    desk.deliver(batch)

    assert desk.table("Guests")[0] == [*HEADER, "Age"]


def test_deleted_columns_are_told_to_the_owner(desk: Desk) -> None:
    desk.send(make_submission(1))
    desk.edit({"deleteDimension": {"range": columns_of(desk, 2)}})
    later(desk)
    desk.send(make_submission(2))

    [notice] = GoogleSheets.notices(desk.config(), desk.state)

    assert notice.endswith("deleted in the sheet: Name.")
    assert GoogleSheets.notices(desk.config(restore_columns=True), desk.state) == []


def test_the_newest_row_stands_on_top_where_the_settings_say_so(desk: Desk) -> None:
    first = desk.send(make_submission(1), make_submission(2), newest_first=True)
    second = desk.send(make_submission(3), newest_first=True)

    assert desk.ids() == [str(id) for id in (*second.ids, *reversed(first.ids))]
    assert desk.table()[0] == HEADER


def test_a_tab_of_one_row_takes_the_newest_on_top_as_well(desk: Desk) -> None:
    grid = {"sheetId": 0, "gridProperties": {"rowCount": 1, "columnCount": 1}}
    desk.edit({"updateSheetProperties": {"properties": grid, "fields": "gridProperties(rowCount,columnCount)"}})

    batch = desk.send(make_submission(1), make_submission(2), worksheet="Sheet1", newest_first=True)

    assert desk.ids("Sheet1") == [str(id) for id in reversed(batch.ids)]


def test_rows_that_a_filter_hides_are_not_written_over(desk: Desk) -> None:
    first = desk.send(make_submission(1), make_submission(2, name="Bob", count=2))
    hidden = {"2": {"hiddenValues": ["Bob"]}}
    area = {"sheetId": desk.tab_id(), "startRowIndex": 0, "startColumnIndex": 0, "endColumnIndex": 4}
    desk.edit({"setBasicFilter": {"filter": {"range": area, "criteria": hidden}}})
    later(desk)

    second = desk.send(make_submission(3))
    third = desk.send(make_submission(4))

    assert desk.ids() == [str(id) for id in (*first.ids, *second.ids, *third.ids)]


def test_an_answer_that_is_cut_leads_to_the_whole_of_it(desk: Desk) -> None:
    submission = make_submission(1, name="x" * 60_000, count=1)
    part = replace(desk.part(submission), pages="https://hub.example/submissions/frm/")

    desk.deliver(desk.batch(part))

    text = desk.table()[1][2]
    assert len(text) == 50_000
    assert text.endswith(f"the full answer is at https://hub.example/submissions/frm/{submission.id}/]")
