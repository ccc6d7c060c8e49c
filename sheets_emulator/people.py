"""What people do to a file in their browser, in their own terms: tabs by title, rows from 1, columns by letter."""

from collections.abc import Callable, Mapping
from typing import Any

from sheets_emulator import a1
from sheets_emulator.errors import ApiError, invalid
from sheets_emulator.model import Json, Sheet, Spreadsheet
from sheets_emulator.service import Service

Steps = list[Json]
Act = Callable[[Sheet, Json], Steps]


def do(service: Service, spreadsheet_id: str, action: str, given: Json) -> None:
    """Raises ApiError: 404 for a file or an action that is not there, 400 for what people cannot do."""
    found = service.find(spreadsheet_id)
    try:
        if action in ON_FILES:
            ON_FILES[action](service, found, given)
        elif action in ON_TABS:
            service.edit(spreadsheet_id, *ON_TABS[action](_tab(found, given), given))
        else:
            raise ApiError(404, f"People do not {action}. They do: {', '.join(sorted([*ON_FILES, *ON_TABS]))}.")
    except KeyError as error:
        raise invalid(f"{action} needs {error.args[0]}.") from None


def _tab(found: Spreadsheet, given: Json) -> Sheet:
    sheet = found.titled(given["tab"]) if "tab" in given else found.sheets[0]
    if sheet is None:
        raise invalid(f"There is no tab {given['tab']}.")
    return sheet


def _column(given: Json, name: str = "column") -> int:
    text = str(given[name])
    if not text.isalpha():
        raise invalid(f"{name} is the letter of a column.")
    return a1.column_index(text)


def _line(sheet: Sheet, given: Json, dimension: str) -> Json:
    start = int(given["row"]) - 1 if dimension == "ROWS" else _column(given)
    return {
        "sheetId": sheet.id,
        "dimension": dimension,
        "startIndex": start,
        "endIndex": start + int(given.get("count", 1)),
    }


def _area(sheet: Sheet, given: Json) -> Json:
    """`range` in A1 without a tab; all of the tab without one."""
    area = a1.parse_area(given.get("range", ""), given.get("range", ""))
    names = ("startRowIndex", "startColumnIndex", "endRowIndex", "endColumnIndex")
    sides = (area.row, area.column, area.end_row, area.end_column)
    return {"sheetId": sheet.id} | {name: side for name, side in zip(names, sides, strict=True) if side is not None}


def _cell(sheet: Sheet, given: Json, data: Json, fields: str) -> Steps:
    start = {"sheetId": sheet.id, "rowIndex": int(given["row"]) - 1, "columnIndex": _column(given)}
    return [{"updateCells": {"start": start, "rows": [{"values": [data]}], "fields": fields}}]


def _sort(sheet: Sheet, given: Json) -> Steps:
    """Below the header."""
    order = "DESCENDING" if given.get("descending") else "ASCENDING"
    specs = [{"dimensionIndex": _column(given), "sortOrder": order}]
    return [{"sortRange": {"range": {"sheetId": sheet.id, "startRowIndex": 1}, "sortSpecs": specs}}]


def _move_columns(sheet: Sheet, given: Json) -> Steps:
    to = _column(given, "to")
    return [{"moveDimension": {"source": _line(sheet, given, "COLUMNS"), "destinationIndex": to}}]


def _filter(sheet: Sheet, given: Json) -> Steps:
    """Hide the rows whose cell in `column` shows one of the texts in `hidden`."""
    criteria = {str(_column(given)): {"hiddenValues": list(given["hidden"])}}
    return [{"setBasicFilter": {"filter": {"range": {"sheetId": sheet.id}, "criteria": criteria}}}]


def _protect(sheet: Sheet, given: Json) -> Steps:
    protection = {"range": _area(sheet, given), "editors": {"users": list(given.get("editors", []))}}
    return [{"addProtectedRange": {"protectedRange": protection}}]


def _unprotect(sheet: Sheet, given: Json) -> Steps:
    return [{"deleteProtectedRange": {"protectedRangeId": number}} for number in sheet.protections]


def _hide(sheet: Sheet, given: Json, dimension: str, hidden: bool) -> Steps:
    update = {"range": _line(sheet, given, dimension), "properties": {"hiddenByUser": hidden}, "fields": "hiddenByUser"}
    return [{"updateDimensionProperties": update}]


def _checkboxes(sheet: Sheet, given: Json) -> Steps:
    return [{"setDataValidation": {"range": _area(sheet, given), "rule": {"condition": {"type": "BOOLEAN"}}}}]


def _rename_tab(sheet: Sheet, given: Json) -> Steps:
    properties = {"sheetId": sheet.id, "title": given["title"]}
    return [{"updateSheetProperties": {"properties": properties, "fields": "title"}}]


def _lines(verb: str, dimension: str) -> Act:
    return lambda sheet, given: [{verb: {"range": _line(sheet, given, dimension)}}]


def _share(service: Service, found: Spreadsheet, given: Json) -> None:
    service.share(found.id, given["with"], given.get("role", "writer"))


def _unshare(service: Service, found: Spreadsheet, given: Json) -> None:
    if found.roles.get(given["with"]) == "owner":
        raise invalid("A file keeps its owner.")
    service.share(found.id, given["with"], None)


def _version(kind: str) -> Callable[[Service, Spreadsheet, Json], None]:
    def act(service: Service, found: Spreadsheet, given: Json) -> None:
        service.change(found.id, kind, name=given["name"])

    return act


ON_TABS: Mapping[str, Act] = {
    "sort": _sort,
    "insert_rows": _lines("insertDimension", "ROWS"),
    "delete_rows": _lines("deleteDimension", "ROWS"),
    "insert_columns": _lines("insertDimension", "COLUMNS"),
    "delete_columns": _lines("deleteDimension", "COLUMNS"),
    "move_columns": _move_columns,
    "rename_column": lambda sheet, given: _write(sheet, {**given, "row": given.get("row", 1)}),
    "type": lambda sheet, given: _write(sheet, given),
    "note": lambda sheet, given: _cell(sheet, given, {"note": str(given["text"])}, "note"),
    "filter": _filter,
    "clear_filter": lambda sheet, given: [{"clearBasicFilter": {"sheetId": sheet.id}}],
    "protect": _protect,
    "unprotect": _unprotect,
    "hide_rows": lambda sheet, given: _hide(sheet, given, "ROWS", True),
    "show_rows": lambda sheet, given: _hide(sheet, given, "ROWS", False),
    "hide_columns": lambda sheet, given: _hide(sheet, given, "COLUMNS", True),
    "show_columns": lambda sheet, given: _hide(sheet, given, "COLUMNS", False),
    "checkboxes": _checkboxes,
    "rename_tab": _rename_tab,
    "delete_tab": lambda sheet, given: [{"deleteSheet": {"sheetId": sheet.id}}],
}
ON_FILES: Mapping[str, Callable[[Service, Spreadsheet, Json], Any]] = {
    "share": _share,
    "unshare": _unshare,
    "delete_file": lambda service, found, given: service.delete(found.id),
    "name_version": _version("name_version"),
    "restore_version": _version("restore_version"),
}


def _write(sheet: Sheet, given: Json) -> Steps:
    return _cell(sheet, given, {"userEnteredValue": {"stringValue": str(given["text"])}}, "userEnteredValue")
