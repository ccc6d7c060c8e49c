"""Real gspread against the running emulator."""

from typing import Any

import gspread
import pytest
import requests
from gspread.exceptions import APIError
from gspread.utils import ValueRenderOption

from sheets_emulator import discovery
from sheets_emulator.emulator import SheetsEmulator
from sheets_emulator.faults import Fault
from sheets_emulator.tests.conftest import connect

pytestmark = pytest.mark.services

BATCH = "spreadsheets.batchUpdate"


@pytest.fixture
def sheet(spreadsheet: gspread.Spreadsheet) -> gspread.Spreadsheet:
    return spreadsheet


def append(sheet_id: int, *rows: list[str]) -> dict[str, Any]:
    values = [{"values": [{"userEnteredValue": {"stringValue": text}} for text in row]} for row in rows]
    return {"appendCells": {"sheetId": sheet_id, "rows": values, "fields": "userEnteredValue"}}


def marker(number: int, value: str) -> dict[str, Any]:
    metadata = {"metadataId": number, "metadataKey": "batch", "metadataValue": value, "visibility": "PROJECT"}
    return {"createDeveloperMetadata": {"developerMetadata": {**metadata, "location": {"spreadsheet": True}}}}


def test_gspread_reads_what_it_wrote(sheet: gspread.Spreadsheet) -> None:
    tab = sheet.sheet1
    tab.update([["name", "age"], ["Zoë", 12]], "A1")
    tab.append_rows([["=1+1", 3.5], ["'x", True]])

    assert tab.get_all_values() == [["name", "age"], ["Zoë", "12"], ["=1+1", "3.5"], ["'x", "TRUE"]]
    assert tab.get_all_records()[0] == {"name": "Zoë", "age": 12}
    assert [found["values"] for found in sheet.values_batch_get(["A1:A2", "B2"])["valueRanges"]] == [
        [["name"], ["Zoë"]],
        [["12"]],
    ]
    assert tab.batch_get(["A2:B2"])[0] == [["Zoë", "12"]]


def test_user_entered_text_is_read_as_typed_and_raw_text_is_not(sheet: gspread.Spreadsheet) -> None:
    sheet.sheet1.update([["=SUM(A1)", "007", "2026-01-02"]], "A1", raw=False)
    sheet.sheet1.update([["=SUM(A1)", "007", "2026-01-02"]], "A2", raw=True)

    unformatted = sheet.sheet1.get("A1:C1", value_render_option=ValueRenderOption.unformatted)
    assert unformatted == [["=SUM(A1)", 7, 46024]]
    assert sheet.sheet1.get("A1:C2")[1] == ["=SUM(A1)", "007", "2026-01-02"]


def test_appended_cells_go_below_the_last_row_with_data_anywhere(sheet: gspread.Spreadsheet) -> None:
    sheet.sheet1.update([["note"]], "D5")

    sheet.batch_update({"requests": [append(0, ["a", "b"])]})

    assert sheet.sheet1.get("A6:B6") == [["a", "b"]]


def test_the_grid_grows_with_appended_cells(sheet: gspread.Spreadsheet) -> None:
    properties = {"sheetId": 0, "gridProperties": {"rowCount": 1, "columnCount": 1}}
    resize = {"updateSheetProperties": {"properties": properties, "fields": "gridProperties"}}
    sheet.batch_update({"requests": [resize]})

    sheet.batch_update({"requests": [append(0, ["a", "b"], ["c", "d"])]})

    assert sheet.sheet1.get_all_values() == [["a", "b"], ["c", "d"]]


def test_a_repeated_marker_refuses_the_whole_batch(sheet: gspread.Spreadsheet) -> None:
    batch = {"requests": [marker(7, "first"), append(0, ["once"])]}
    sheet.batch_update(batch)

    with pytest.raises(APIError) as caught:
        sheet.batch_update(batch)

    assert caught.value.response.status_code == 400
    assert sheet.sheet1.get_all_values() == [["once"]]


def test_one_invalid_request_leaves_nothing_of_the_others(sheet: gspread.Spreadsheet) -> None:
    with pytest.raises(APIError, match=r"requests\[1\]"):
        sheet.batch_update({"requests": [append(0, ["a"]), append(99, ["b"])]})

    assert sheet.sheet1.get_all_values() == [[]]


def test_tags_of_columns_move_with_their_columns(emulator: SheetsEmulator, sheet: gspread.Spreadsheet) -> None:
    place = {"dimensionRange": {"sheetId": 0, "dimension": "COLUMNS", "startIndex": 1, "endIndex": 2}}
    tag = {"metadataKey": "field", "metadataValue": "name", "visibility": "PROJECT", "location": place}
    sheet.batch_update({"requests": [{"createDeveloperMetadata": {"developerMetadata": tag}}]})

    columns = {"sheetId": 0, "dimension": "COLUMNS"}
    emulator.edit(sheet.id, {"insertDimension": {"range": {**columns, "startIndex": 0, "endIndex": 2}}})
    source = {**columns, "startIndex": 3, "endIndex": 4}
    emulator.edit(sheet.id, {"moveDimension": {"source": source, "destinationIndex": 1}})

    [entry] = emulator.spreadsheet(sheet.id).metadata.values()
    assert entry.start == 1
    emulator.edit(sheet.id, {"deleteDimension": {"range": {**columns, "startIndex": 1, "endIndex": 2}}})
    assert emulator.spreadsheet(sheet.id).metadata == {}


def test_a_body_that_does_not_fit_googles_schema_names_the_field(sheet: gspread.Spreadsheet) -> None:
    with pytest.raises(APIError) as caught:
        sheet.batch_update({"requests": [{"appendCells": {"sheetId": "zero", "nope": 1}}]})

    [details] = caught.value.response.json()["error"]["details"]
    assert {found["field"] for found in details["fieldViolations"]} == {
        "requests[0].appendCells",
        "requests[0].appendCells.sheetId",
    }


@pytest.mark.parametrize(("role", "status"), [(None, 403), ("reader", 403)], ids=["not shared", "may only look"])
def test_writing_needs_the_right_role(
    emulator: SheetsEmulator, key: dict[str, Any], sheet: gspread.Spreadsheet, role: str | None, status: int
) -> None:
    emulator.share(sheet.id, key["client_email"], role)

    with pytest.raises(APIError) as caught:
        sheet.batch_update({"requests": [append(0, ["a"])]})

    assert caught.value.response.status_code == status


def test_an_unknown_file_is_not_found(client: gspread.Client) -> None:
    with pytest.raises(gspread.SpreadsheetNotFound):
        client.open_by_key("nobody-knows-this-id")


def test_a_token_needs_a_signature_of_a_registered_key(emulator: SheetsEmulator, key: dict[str, Any]) -> None:
    stranger = SheetsEmulator().new_account(key["client_email"]) | {"token_uri": emulator.token_uri}

    with pytest.raises(Exception, match="Invalid JWT Signature"):
        connect(emulator, stranger).open_by_key("any")


def test_a_protected_range_refuses_editors_of_the_file(emulator: SheetsEmulator, sheet: gspread.Spreadsheet) -> None:
    protection = {"protectedRange": {"range": {"sheetId": 0}, "editors": {"users": []}}}
    emulator.edit(sheet.id, {"addProtectedRange": protection})

    with pytest.raises(APIError, match="protected"):
        sheet.batch_update({"requests": [append(0, ["a"])]})


@pytest.mark.parametrize(
    ("fault", "rows"),
    [(Fault.REJECT, 0), (Fault.LOSE_ANSWER, 1), (Fault.HTML, 1), (Fault.DROP, 1), (Fault.UNAUTHORIZED, 1)],
)
def test_a_planned_fault_is_met_once(
    emulator: SheetsEmulator, sheet: gspread.Spreadsheet, fault: Fault, rows: int
) -> None:
    emulator.faults.plan(BATCH, fault)

    try:
        sheet.batch_update({"requests": [append(0, ["a"])]})
    except (APIError, requests.ConnectionError):
        assert fault is not Fault.UNAUTHORIZED  # the client asks for another token and repeats

    assert len(emulator.rows(sheet.id, "Sheet1")) == rows


def test_what_is_not_served_says_so(sheet: gspread.Spreadsheet) -> None:
    with pytest.raises(APIError) as caught:
        sheet.batch_update({"requests": [{"addChart": {"chart": {}}}]})

    assert caught.value.response.status_code == 501


def test_every_answer_fits_googles_own_schema(emulator: SheetsEmulator, sheet: gspread.Spreadsheet) -> None:
    batch = {"requests": [marker(3, "x"), append(0, ["a"])], "includeSpreadsheetInResponse": True}

    assert discovery.check("BatchUpdateSpreadsheetResponse", sheet.batch_update(batch)) == []
    assert discovery.check("Spreadsheet", sheet.fetch_sheet_metadata({"includeGridData": "true"})) == []
    assert discovery.check("ValueRange", sheet.values_get("A1:B2")) == []
    assert discovery.check("AppendValuesResponse", sheet.sheet1.append_row(["b"])) == []
    assert discovery.check("UpdateValuesResponse", sheet.sheet1.update([["c"]], "A1")) == []


def test_a_field_mask_keeps_what_it_names(sheet: gspread.Spreadsheet) -> None:
    found = sheet.fetch_sheet_metadata({"fields": "sheets.properties(sheetId,title)", "includeGridData": "false"})

    assert found == {"sheets": [{"properties": {"sheetId": 0, "title": "Sheet1"}}]}
