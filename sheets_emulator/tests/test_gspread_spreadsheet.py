"""gspread's Spreadsheet: its tabs, its values by range, its properties, its owner."""

from typing import Any

import gspread
import pytest
from gspread.exceptions import APIError, WorksheetNotFound
from gspread.utils import ExportFormat

from sheets_emulator.tests.covering import covers

pytestmark = pytest.mark.services


def titles(spreadsheet: gspread.Spreadsheet) -> list[str]:
    return [tab.title for tab in spreadsheet.worksheets()]


@covers("Spreadsheet.id", "Spreadsheet.title", "Spreadsheet.url", "Spreadsheet.timezone", "Spreadsheet.locale")
def test_a_new_file_is_as_google_makes_one(spreadsheet: gspread.Spreadsheet) -> None:
    [tab] = spreadsheet.worksheets()

    assert (tab.id, tab.title, tab.row_count, tab.col_count) == (0, "Sheet1", 1000, 26)
    assert (spreadsheet.title, spreadsheet.locale, spreadsheet.timezone) == ("Answers", "en_US", "Etc/GMT")
    assert spreadsheet.url.endswith(spreadsheet.id)


@covers("Spreadsheet.creationTime", "Spreadsheet.lastUpdateTime", "Spreadsheet.get_lastUpdateTime")
def test_a_change_moves_the_time_of_the_last_one(spreadsheet: gspread.Spreadsheet) -> None:
    with pytest.warns(DeprecationWarning, match="lastUpdateTime"):
        before = spreadsheet.lastUpdateTime

    spreadsheet.sheet1.update([["a"]], "A1")

    assert spreadsheet.creationTime <= before < spreadsheet.get_lastUpdateTime()


@covers(
    "Spreadsheet.add_worksheet",
    "Spreadsheet.duplicate_sheet",
    "Spreadsheet.del_worksheet",
    "Spreadsheet.del_worksheet_by_id",
    "Spreadsheet.worksheets",
)
def test_tabs_are_added_doubled_and_deleted(spreadsheet: gspread.Spreadsheet) -> None:
    first = spreadsheet.add_worksheet("First", 10, 5, index=0)
    first.update([["a"]], "A1")
    twin = spreadsheet.duplicate_sheet(first.id, insert_sheet_index=2, new_sheet_name="Twin")
    assert titles(spreadsheet) == ["First", "Sheet1", "Twin"]
    assert twin.get_all_values() == [["a"]]

    spreadsheet.del_worksheet(first)
    spreadsheet.del_worksheet_by_id(twin.id)

    assert titles(spreadsheet) == ["Sheet1"]
    with pytest.raises(APIError, match="remove all the sheets"):
        spreadsheet.del_worksheet(spreadsheet.sheet1)


def test_a_title_is_given_once(spreadsheet: gspread.Spreadsheet) -> None:
    with pytest.raises(
        APIError, match=r'Invalid requests\[0\].addSheet: A sheet with the name "SHEET1" already exists'
    ):
        spreadsheet.add_worksheet("SHEET1", 1, 1)


@covers("Spreadsheet.reorder_worksheets")
def test_tabs_take_the_order_that_is_asked_for(spreadsheet: gspread.Spreadsheet) -> None:
    made = [spreadsheet.add_worksheet(title, 1, 1) for title in "abc"]

    spreadsheet.reorder_worksheets([made[2], made[0]])

    assert titles(spreadsheet) == ["c", "a", "Sheet1", "b"]


@covers("Spreadsheet.sheet1", "Spreadsheet.get_worksheet", "Spreadsheet.get_worksheet_by_id", "Spreadsheet.worksheet")
def test_a_tab_is_found_by_place_id_and_title(spreadsheet: gspread.Spreadsheet) -> None:
    made = spreadsheet.add_worksheet("P1", 3, 3)

    assert spreadsheet.sheet1.id == 0
    assert {spreadsheet.get_worksheet(1).id, spreadsheet.get_worksheet_by_id(made.id).id} == {made.id}
    assert spreadsheet.worksheet("P1").id == made.id
    with pytest.raises(WorksheetNotFound):
        spreadsheet.worksheet("P2")


@covers(
    "Spreadsheet.values_append",
    "Spreadsheet.values_batch_clear",
    "Spreadsheet.values_batch_get",
    "Spreadsheet.values_batch_update",
    "Spreadsheet.values_clear",
    "Spreadsheet.values_get",
    "Spreadsheet.values_update",
)
def test_values_are_written_read_and_cleared_by_range(spreadsheet: gspread.Spreadsheet) -> None:
    raw: dict[str, Any] = {"valueInputOption": "RAW"}
    written = spreadsheet.values_update("D4:A1", params=raw, body={"values": [["a", ""], [None, "b"]]})
    assert written == {
        "spreadsheetId": spreadsheet.id,
        "updatedRange": "Sheet1!A1:B2",
        "updatedRows": 2,
        "updatedColumns": 2,
        "updatedCells": 3,
    }
    appended = spreadsheet.values_append("Sheet1", params=raw, body={"values": [["c"]]})
    assert (appended["tableRange"], appended["updates"]["updatedRange"]) == ("Sheet1!B2", "Sheet1!B3")
    both = spreadsheet.values_batch_update(
        {**raw, "data": [{"range": "A5", "values": [["d"]]}, {"range": "B5", "values": [["e"]]}]}
    )
    assert (both["totalUpdatedCells"], both["totalUpdatedSheets"], len(both["responses"])) == (2, 1, 2)

    found = spreadsheet.values_batch_get(["Sheet1", "A5:B5"], params={"majorDimension": "COLUMNS"})["valueRanges"]
    assert found[0] == {
        "range": "Sheet1!A1:Z1000",
        "majorDimension": "COLUMNS",
        "values": [["a", "", "", "", "d"], ["", "b", "c", "", "e"]],
    }
    assert spreadsheet.values_clear("A5:B5") == {"spreadsheetId": spreadsheet.id, "clearedRange": "Sheet1!A5:B5"}
    cleared = spreadsheet.values_batch_clear(body={"ranges": ["A1", "B:B"]})
    assert cleared["clearedRanges"] == ["Sheet1!A1", "Sheet1!B1:B1000"]
    assert spreadsheet.values_get("Sheet1") == {"range": "Sheet1!A1:Z1000", "majorDimension": "ROWS"}


@covers("Spreadsheet.batch_update", "Spreadsheet.fetch_sheet_metadata")
def test_a_batch_answers_each_request_in_its_place(spreadsheet: gspread.Spreadsheet) -> None:
    clear, add = {"clearBasicFilter": {"sheetId": 0}}, {"addSheet": {"properties": {"title": "New"}}}

    replies = spreadsheet.batch_update({"requests": [clear, add]})["replies"]

    assert replies[0] == {}
    assert replies[1]["addSheet"]["properties"]["gridProperties"] == {"rowCount": 1000, "columnCount": 26}
    assert len(spreadsheet.fetch_sheet_metadata()["sheets"]) == 2


@covers(
    "Spreadsheet.share",
    "Spreadsheet.list_permissions",
    "Spreadsheet.remove_permissions",
    "Spreadsheet.transfer_ownership",
    "Spreadsheet.accept_ownership",
)
def test_a_file_passes_to_another_owner_who_accepts_it(
    client: gspread.Client, other: gspread.Client, keys: list[dict[str, Any]]
) -> None:
    me, you = (key["client_email"] for key in keys)
    made = client.create("Passed on")
    shared = made.share(you, perm_type="user", role="reader").json()
    theirs = other.open_by_key(made.id)
    with pytest.raises(APIError):
        theirs.accept_ownership(shared["id"])

    made.transfer_ownership(shared["id"])
    theirs.accept_ownership(shared["id"])

    roles = {each["emailAddress"]: each["role"] for each in made.list_permissions()}
    assert roles == {me: "writer", you: "owner"}
    assert len(theirs.remove_permissions(me)) == 1
    with pytest.raises(PermissionError):
        client.open_by_key(made.id)


@covers("Spreadsheet.named_range", "Spreadsheet.list_named_ranges")
def test_a_name_stands_for_its_cells(spreadsheet: gspread.Spreadsheet) -> None:
    spreadsheet.sheet1.update([["a", "b"]], "B2")
    spreadsheet.sheet1.define_named_range("B2:C2", "pair")

    assert [cell.value for cell in spreadsheet.named_range("pair")] == ["a", "b"]
    [listed] = spreadsheet.list_named_ranges()
    assert (listed["name"], listed["range"]["startRowIndex"]) == ("pair", 1)


@covers("Spreadsheet.list_protected_ranges")
def test_a_protected_range_shows_its_editors_to_its_editors(
    spreadsheet: gspread.Spreadsheet, key: dict[str, Any]
) -> None:
    spreadsheet.sheet1.add_protected_range("A1:B2")

    [listed] = spreadsheet.list_protected_ranges(0)

    assert listed["editors"]["users"] == [key["client_email"], "owner@example.org"]
    assert listed["requestingUserCanEdit"] is True


@covers(
    "Spreadsheet.update_title",
    "Spreadsheet.update_timezone",
    "Spreadsheet.update_locale",
    "Spreadsheet.update_drive_metadata",
)
def test_the_properties_of_a_file_change(client: gspread.Client, spreadsheet: gspread.Spreadsheet) -> None:
    spreadsheet.update_title("Renamed")
    spreadsheet.update_timezone("Europe/Berlin")
    spreadsheet.update_locale("de")

    found = client.open_by_key(spreadsheet.id)
    found.update_drive_metadata()

    assert (found.title, found.timezone, found.locale) == ("Renamed", "Europe/Berlin", "de")


@covers("Spreadsheet.export")
def test_a_file_leaves_as_text(spreadsheet: gspread.Spreadsheet) -> None:
    spreadsheet.sheet1.update([[1, True]], "A1")

    assert spreadsheet.export(ExportFormat.CSV) == b"1,TRUE"
