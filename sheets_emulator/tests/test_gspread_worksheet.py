"""gspread's Worksheet: cells, rows and columns, formats, notes, names, groups."""

import re
from typing import Any

import gspread
import pytest
from gspread.cell import Cell
from gspread.exceptions import APIError
from gspread.utils import (
    DateTimeOption,
    Dimension,
    InsertDataOption,
    MergeType,
    PasteOrientation,
    PasteType,
    ValidationConditionType,
    ValueInputOption,
    ValueRenderOption,
)

from sheets_emulator.emulator import SheetsEmulator
from sheets_emulator.tests.covering import covers

pytestmark = pytest.mark.services

RAW = ValueRenderOption.unformatted


def again(tab: gspread.Worksheet) -> gspread.Worksheet:
    """The tab as it is now: gspread keeps what it once read."""
    return tab.spreadsheet.get_worksheet_by_id(tab.id)


@covers(
    "Worksheet.id",
    "Worksheet.spreadsheet",
    "Worksheet.title",
    "Worksheet.url",
    "Worksheet.index",
    "Worksheet.row_count",
    "Worksheet.col_count",
    "Worksheet.column_count",
    "Worksheet.resize",
    "Worksheet.add_rows",
    "Worksheet.add_cols",
)
def test_a_tab_has_its_size_and_takes_another(spreadsheet: gspread.Spreadsheet) -> None:
    tab = spreadsheet.add_worksheet("Small", 3, 2)
    tab.update([["a", "b"], ["c", "d"], ["e", "f"]], "A1")

    tab.resize(rows=2, cols=1)
    assert again(tab).get_all_values() == [["a"], ["c"]]
    tab.add_rows(3)
    tab.add_cols(1)

    found = again(tab)
    assert (found.title, found.index, found.row_count, found.col_count, found.column_count) == ("Small", 1, 5, 2, 2)
    assert str(found.id) in found.url
    assert found.spreadsheet.id == spreadsheet.id


@covers(
    "Worksheet.acell",
    "Worksheet.cell",
    "Worksheet.range",
    "Worksheet.get_all_cells",
    "Worksheet.update_acell",
    "Worksheet.update_cell",
    "Worksheet.update_cells",
)
def test_single_cells_are_written_and_read(spreadsheet: gspread.Spreadsheet) -> None:
    tab = spreadsheet.add_worksheet("Cells", 2, 2)
    tab.update_acell("A1", "=1+1")
    tab.update_cell(1, 2, "7")
    tab.update_cells([Cell(2, 1, "x"), Cell(2, 2, "7")])

    assert tab.acell("A1", ValueRenderOption.formula).value == "=1+1"
    assert [tab.cell(1, 2, RAW).value, tab.cell(2, 2, RAW).value] == [7, "7"]
    assert [cell.value for cell in tab.range("A2:B2")] == ["x", "7"]
    assert len(tab.get_all_cells()) == 4


@covers(
    "Worksheet.get",
    "Worksheet.get_values",
    "Worksheet.get_all_values",
    "Worksheet.get_all_records",
    "Worksheet.row_values",
    "Worksheet.col_values",
    "Worksheet.update",
    "Worksheet.batch_get",
    "Worksheet.batch_update",
    "Worksheet.expand",
)
def test_many_cells_are_written_and_read(tab: gspread.Worksheet) -> None:
    tab.update([["name", "age"], ["Zoë", 12], ["Ali"]], "A1")
    tab.batch_update([{"range": "B3", "values": [[9]]}, {"range": "D5", "values": [["far"]]}])

    assert tab.get("A1:B2") == [["name", "age"], ["Zoë", "12"]]
    assert tab.get("C1:C9") == [[]]
    assert tab.get_values("A2:B3", value_render_option=RAW) == [["Zoë", 12], ["Ali", 9]]
    assert len(tab.get_all_values()) == 5
    assert tab.get_all_records(expected_headers=["name", "age"])[0]["age"] == 12
    assert tab.row_values(2) == ["Zoë", "12"]
    assert tab.col_values(2) == ["age", "12", "9"]
    assert tab.get("A1:B3", major_dimension=Dimension.cols) == [["name", "Zoë", "Ali"], ["age", "12", "9"]]
    assert tab.batch_get(["A1", "D5"]) == [[["name"]], [["far"]]]
    assert tab.expand("A1") == [["name", "age"], ["Zoë", "12"], ["Ali", "9"]]


def test_an_update_answers_with_what_it_wrote_if_asked(tab: gspread.Worksheet) -> None:
    written = tab.update(
        [["2026-01-02", "1,234.5", "50%", "'007", "007"]],
        "A1",
        value_input_option=ValueInputOption.user_entered,
        include_values_in_response=True,
        response_value_render_option=RAW,
    )

    assert written["updatedData"]["values"] == [[46024, 1234.5, 0.5, "007", 7]]
    assert tab.get("A1:C1") == [["2026-01-02", "1,234.5", "50%"]]
    as_text = tab.get("A1", value_render_option=RAW, date_time_render_option=DateTimeOption.formatted_string)
    assert as_text == [["2026-01-02"]]


def test_writing_beyond_the_range_or_the_grid_is_refused_in_googles_words(spreadsheet: gspread.Spreadsheet) -> None:
    tab = spreadsheet.add_worksheet("Full", 3, 2)

    with pytest.raises(APIError, match=r"Range \(Full!A4\) exceeds grid limits. Max rows: 3, max columns: 2"):
        tab.update([["a"]], "A4")
    with pytest.raises(APIError, match=r"within range \['Full'!A3\], but tried writing to row \[4\]"):
        tab.update([["a"], ["b"]], "A3")
    with pytest.raises(APIError, match=r"within range \['Full'!A1:A2\], but tried writing to column \[B\]"):
        tab.update([["a", "b"]], "A1:A2")
    with pytest.raises(APIError, match=r"Invalid data\[1\]: Range"):
        tab.batch_update([{"range": "A1", "values": [["a"]]}, {"range": "A9", "values": [["b"]]}])
    with pytest.raises(APIError, match="Unable to parse range: Nowhere!A1"):
        spreadsheet.values_get("Nowhere!A1")
    assert tab.get_all_values() == [[]]


@covers("Worksheet.append_row", "Worksheet.append_rows")
def test_appended_rows_go_below_the_table_of_the_range(tab: gspread.Worksheet) -> None:
    empty = tab.append_row(["x", "", "y"])
    assert "tableRange" not in empty
    assert empty["updates"]["updatedCells"] == 3

    shifted = tab.append_row(["a"])
    assert (shifted["tableRange"], shifted["updates"]["updatedRange"]) == ("Sheet1!C1", "Sheet1!C2")
    aligned = tab.append_rows([["b"], ["c"]], table_range="A1", insert_data_option=InsertDataOption.insert_rows)
    assert (aligned["tableRange"], aligned["updates"]["updatedRange"]) == ("Sheet1!A1", "Sheet1!A2:A3")

    assert tab.get_all_values() == [["x", "", "y"], ["b", "", ""], ["c", "", ""], ["", "", "a"]]


@covers("Worksheet.insert_row", "Worksheet.insert_rows", "Worksheet.insert_cols")
def test_rows_and_columns_are_put_between_others(tab: gspread.Worksheet) -> None:
    tab.update([["a", "b"], ["c", "d"]], "A1")

    tab.insert_row(["first"], 1)
    tab.insert_rows([["x"], ["y"]], 3)
    tab.insert_cols([["left"]], 1)

    assert tab.get_all_values() == [
        ["left", "first", ""],
        ["", "a", "b"],
        ["", "x", ""],
        ["", "y", ""],
        ["", "c", "d"],
    ]


@covers("Worksheet.delete_dimension", "Worksheet.delete_rows", "Worksheet.delete_columns")
def test_rows_and_columns_are_deleted(tab: gspread.Worksheet) -> None:
    tab.update([["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]], "A1")

    tab.delete_rows(1)
    tab.delete_columns(1, 2)
    tab.delete_dimension(Dimension.rows, 2)

    assert tab.get_all_values() == [["f"]]
    assert (again(tab).row_count, again(tab).col_count) == (998, 24)


@covers("Worksheet.clear", "Worksheet.batch_clear")
def test_cleared_cells_are_gone_and_the_grid_stays(tab: gspread.Worksheet) -> None:
    tab.update([["a", "b"], ["c", "d"]], "A1")

    tab.batch_clear(["A1", "B2:B2"])
    assert tab.get_all_values() == [["", "b"], ["c", ""]]
    assert tab.clear()["clearedRange"] == "Sheet1!A1:Z1000"

    assert tab.get_all_values() == [[]]


@covers("Worksheet.find", "Worksheet.findall")
def test_cells_are_found_by_text_and_pattern(tab: gspread.Worksheet) -> None:
    tab.update([["apple", "Pear"], ["pear", "apple"]], "A1")

    found = tab.find("pear", case_sensitive=False)

    assert found is not None
    assert found.address == "B1"
    assert [cell.address for cell in tab.findall(re.compile("^a"))] == ["A1", "B2"]
    assert tab.find("plum") is None


@covers("Worksheet.sort")
def test_a_sort_below_the_frozen_header_puts_blanks_last_both_ways(tab: gspread.Worksheet) -> None:
    tab.update([["head"], [2], [""], ["b"], [10], ["A"]], "A1")
    tab.freeze(rows=1)

    tab.sort((1, "asc"))
    assert tab.col_values(1) == ["head", "2", "10", "A", "b"]
    tab.sort((1, "des"))
    assert tab.col_values(1) == ["head", "b", "A", "10", "2"]


def test_a_sort_of_some_columns_leaves_the_others(tab: gspread.Worksheet) -> None:
    tab.update([[1, "b", "x"], [2, "a", "y"]], "A1")

    tab.sort((2, "asc"), range="B1:B2")

    assert tab.get_all_values() == [["1", "a", "x"], ["2", "b", "y"]]


@covers(
    "Worksheet.freeze",
    "Worksheet.frozen_row_count",
    "Worksheet.frozen_col_count",
    "Worksheet.hide_gridlines",
    "Worksheet.show_gridlines",
    "Worksheet.is_gridlines_hidden",
)
def test_a_grid_is_frozen_and_its_lines_hidden(tab: gspread.Worksheet) -> None:
    tab.freeze(rows=1, cols=2)
    tab.hide_gridlines()
    found = again(tab)
    assert (found.frozen_row_count, found.frozen_col_count, found.is_gridlines_hidden) == (1, 2, True)

    tab.show_gridlines()

    assert again(tab).is_gridlines_hidden is False
    with pytest.raises(APIError, match="can't freeze all"):
        tab.freeze(rows=1000)


@covers(
    "Worksheet.update_title",
    "Worksheet.update_index",
    "Worksheet.hide",
    "Worksheet.show",
    "Worksheet.isSheetHidden",
    "Worksheet.update_tab_color",
    "Worksheet.get_tab_color",
    "Worksheet.tab_color",
    "Worksheet.clear_tab_color",
)
def test_a_tab_is_renamed_moved_hidden_and_coloured(spreadsheet: gspread.Spreadsheet) -> None:
    tab = spreadsheet.add_worksheet("Tab", 2, 2)
    tab.update_title("It's a tab")
    tab.update_index(0)
    tab.hide()
    tab.update_tab_color("#ff0080")

    found = again(tab)
    assert (found.title, found.index, found.isSheetHidden) == ("It's a tab", 0, True)
    assert found.tab_color == found.get_tab_color() == "#FF0080"
    tab.update([["quoted"]], "A1")
    assert tab.acell("A1").value == "quoted"
    tab.show()
    tab.clear_tab_color()
    assert (again(tab).isSheetHidden, again(tab).tab_color) == (False, None)


@covers("Worksheet.format", "Worksheet.batch_format")
def test_a_format_changes_what_it_names_and_keeps_the_rest(emulator: SheetsEmulator, tab: gspread.Worksheet) -> None:
    tab.update([[0.25]], "A1")
    tab.format("A1:B2", {"textFormat": {"bold": True}})
    tab.batch_format([{"range": "A1", "format": {"numberFormat": {"type": "PERCENT", "pattern": "0%"}}}])

    found = tab.spreadsheet.fetch_sheet_metadata({"includeGridData": "true", "ranges": "Sheet1!A1"})
    [cell] = found["sheets"][0]["data"][0]["rowData"][0]["values"]

    assert cell["userEnteredFormat"]["textFormat"] == {"bold": True}
    assert (cell["formattedValue"], tab.acell("A1").value) == ("25%", "25%")


@covers("Worksheet.columns_auto_resize", "Worksheet.rows_auto_resize")
def test_sizes_fit_themselves(tab: gspread.Worksheet) -> None:
    assert tab.columns_auto_resize(0, 2)["replies"] == [{}]
    assert tab.rows_auto_resize(0, 2)["replies"] == [{}]


@covers("Worksheet.hide_columns", "Worksheet.unhide_columns", "Worksheet.hide_rows", "Worksheet.unhide_rows")
def test_rows_and_columns_are_hidden(emulator: SheetsEmulator, tab: gspread.Worksheet) -> None:
    def hidden() -> tuple[list[bool], list[bool]]:
        found = tab.spreadsheet.fetch_sheet_metadata({"includeGridData": "true", "ranges": "Sheet1!A1:B2"})
        [data] = found["sheets"][0]["data"]
        rows, columns = (data[name] for name in ("rowMetadata", "columnMetadata"))
        return [each.get("hiddenByUser", False) for each in rows], [each.get("hiddenByUser", False) for each in columns]

    tab.hide_columns(0, 1)
    tab.hide_rows(1, 2)
    assert hidden() == ([False, True], [True, False])

    tab.unhide_columns(0, 1)
    tab.unhide_rows(1, 2)

    assert hidden() == ([False, False], [False, False])


@covers("Worksheet.add_protected_range", "Worksheet.delete_protected_range")
def test_a_protected_range_keeps_others_out_until_it_is_deleted(
    spreadsheet: gspread.Spreadsheet, other: gspread.Client, emulator: SheetsEmulator, keys: list[dict[str, Any]]
) -> None:
    emulator.share(spreadsheet.id, keys[1]["client_email"], "writer")
    made = spreadsheet.sheet1.add_protected_range("A1:B2", description="ours")
    number = made["replies"][0]["addProtectedRange"]["protectedRange"]["protectedRangeId"]
    theirs = other.open_by_key(spreadsheet.id).sheet1
    theirs.update([["free"]], "C1")
    with pytest.raises(APIError, match="protected cell or object") as error:
        theirs.update([["a"]], "B2")
    assert error.value.response.status_code == 400
    with pytest.raises(APIError, match="protected cell or object"):
        theirs.delete_protected_range(number)

    spreadsheet.sheet1.delete_protected_range(number)

    theirs.update([["a"]], "B2")


@covers("Worksheet.set_basic_filter", "Worksheet.clear_basic_filter")
def test_a_filter_is_set_and_cleared(tab: gspread.Worksheet) -> None:
    tab.set_basic_filter("A1:B5")
    [sheet] = tab.spreadsheet.fetch_sheet_metadata()["sheets"]
    assert sheet["basicFilter"]["range"]["endRowIndex"] == 5

    tab.clear_basic_filter()

    assert "basicFilter" not in tab.spreadsheet.fetch_sheet_metadata()["sheets"][0]


@covers("Worksheet.duplicate", "Worksheet.copy_to")
def test_a_tab_is_copied_here_and_into_another_file(client: gspread.Client, tab: gspread.Worksheet) -> None:
    tab.update([["a"]], "A1")
    tab.merge_cells("B1:C1")
    target = client.create("Target")

    twin = tab.duplicate(new_sheet_id=77)
    copied = tab.copy_to(target.id)

    assert (twin.id, twin.title, twin.get_all_values()) == (77, "Copy of Sheet1", [["a"]])
    assert copied["title"] == "Copy of Sheet1"
    assert target.get_worksheet_by_id(copied["sheetId"]).get_all_values() == [["a"]]
    merged = target.fetch_sheet_metadata()["sheets"][1]["merges"]
    assert [each["sheetId"] for each in merged] == [copied["sheetId"]]


@covers("Worksheet.merge_cells", "Worksheet.unmerge_cells", "Worksheet.batch_merge")
def test_merged_cells_keep_the_first_value(tab: gspread.Worksheet) -> None:
    tab.update([["a", "b"], ["c", "d"]], "A1")
    tab.merge_cells("A1:B1")
    assert tab.get_values("A1:B2", combine_merged_cells=True) == [["a", "a"], ["c", "d"]]
    with pytest.raises(APIError, match="select all cells in a merged range"):
        tab.unmerge_cells("A1")

    tab.batch_merge([{"range": "A1:B3", "mergeType": MergeType.merge_columns}])
    [sheet] = tab.spreadsheet.fetch_sheet_metadata()["sheets"]
    assert [(each["startColumnIndex"], each["endRowIndex"]) for each in sheet["merges"]] == [(0, 3), (1, 3)]
    tab.unmerge_cells("A1:B3")

    assert "merges" not in tab.spreadsheet.fetch_sheet_metadata()["sheets"][0]


@covers(
    "Worksheet.get_note",
    "Worksheet.get_notes",
    "Worksheet.update_note",
    "Worksheet.update_notes",
    "Worksheet.insert_note",
    "Worksheet.insert_notes",
    "Worksheet.clear_note",
    "Worksheet.clear_notes",
)
def test_notes_are_written_read_and_cleared(tab: gspread.Worksheet) -> None:
    tab.update([["a"]], "A1")
    tab.insert_note("A1", "first")
    tab.update_note("A1", "changed")
    tab.insert_notes({"B2": "second"})
    tab.update_notes({"B3": "third"})

    assert (tab.get_note("A1"), tab.get_note("Z9"), tab.acell("A1").value) == ("changed", "", "a")
    assert tab.get_notes() == [["changed"], ["", "second"], ["", "third"]]
    tab.clear_note("A1")
    tab.clear_notes(["B2", "B3"])
    assert {note for row in tab.get_notes() for note in row} <= {""}


@covers("Worksheet.define_named_range", "Worksheet.delete_named_range")
def test_a_named_range_grows_with_the_rows_put_into_it(tab: gspread.Worksheet) -> None:
    made = tab.define_named_range("A2:A3", "answers")
    named = made["replies"][0]["addNamedRange"]["namedRange"]["namedRangeId"]
    with pytest.raises(APIError, match="already exists"):
        tab.define_named_range("B1", "Answers")
    tab.insert_row(["x"], 3)
    assert tab.spreadsheet.values_get("answers")["range"] == "Sheet1!A2:A4"

    tab.delete_named_range(named)

    with pytest.raises(APIError, match="Unable to parse range: answers"):
        tab.spreadsheet.values_get("answers")


@covers(
    "Worksheet.add_dimension_group_columns",
    "Worksheet.add_dimension_group_rows",
    "Worksheet.delete_dimension_group_columns",
    "Worksheet.delete_dimension_group_rows",
    "Worksheet.list_dimension_group_columns",
    "Worksheet.list_dimension_group_rows",
)
def test_groups_lie_in_one_another(tab: gspread.Worksheet) -> None:
    tab.add_dimension_group_rows(1, 6)
    inner = tab.add_dimension_group_rows(2, 4)["replies"][0]["addDimensionGroup"]["dimensionGroups"]
    tab.add_dimension_group_columns(0, 2)
    assert inner == tab.list_dimension_group_rows()
    assert [(each["range"]["startIndex"], each["range"]["endIndex"], each["depth"]) for each in inner] == [
        (1, 6, 1),
        (2, 4, 2),
    ]
    assert len(tab.list_dimension_group_columns()) == 1

    tab.delete_dimension_group_rows(2, 4)
    tab.delete_dimension_group_columns(0, 2)

    assert [each["depth"] for each in tab.list_dimension_group_rows()] == [1]
    assert tab.list_dimension_group_columns() == []


@covers("Worksheet.copy_range", "Worksheet.cut_range")
def test_cells_are_copied_and_cut(tab: gspread.Worksheet) -> None:
    tab.update([["a", "b"]], "A1")

    tab.copy_range("A1:B1", "D1:D2", PasteType.values, PasteOrientation.transpose)
    tab.copy_range("A1", "A3:B3")
    tab.cut_range("A1:B1", "A5")

    assert tab.get_all_values() == [
        ["", "", "", "a"],
        ["", "", "", "b"],
        ["a", "a", "", ""],
        ["", "", "", ""],
        ["a", "b", "", ""],
    ]


@covers("Worksheet.add_validation")
def test_a_rule_is_shown_with_its_cell(tab: gspread.Worksheet) -> None:
    tab.add_validation("A1", ValidationConditionType.one_of_list, ["yes", "no"], showCustomUi=True)

    found = tab.spreadsheet.fetch_sheet_metadata({"includeGridData": "true", "ranges": "Sheet1!A1"})
    [cell] = found["sheets"][0]["data"][0]["rowData"][0]["values"]

    assert cell["dataValidation"]["condition"]["type"] == "ONE_OF_LIST"
