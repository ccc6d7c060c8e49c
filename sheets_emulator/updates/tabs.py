"""Tabs, and the properties of the whole spreadsheet."""

from dataclasses import replace
from typing import Any

from sheets_emulator import masks
from sheets_emulator.caller import Caller
from sheets_emulator.errors import ApiError, invalid
from sheets_emulator.guard import guard, whole
from sheets_emulator.model import DEFAULT_COLUMNS, DEFAULT_ROWS, Sheet, Spreadsheet
from sheets_emulator.updates.shared import Reply, Request, fields_of

PROPERTIES = {"hidden", "rightToLeft", "tabColor", "tabColorStyle", "sheetType"}
GRID_PROPERTIES = {
    "frozenRowCount",
    "frozenColumnCount",
    "hideGridlines",
    "rowGroupControlAfter",
    "columnGroupControlAfter",
}
SPREADSHEET_PROPERTIES = {"autoRecalc", "defaultFormat", "spreadsheetTheme", "iterativeCalculationSettings"}


def add(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    properties = masks.clean(request.get("properties") or {})
    if properties.get("sheetType", "GRID") != "GRID":
        raise ApiError(501, "The emulator makes tabs with a grid only.")
    grid = properties.get("gridProperties", {})
    sheet = Sheet(
        _free_id(spreadsheet, properties.get("sheetId")),
        _free_title(spreadsheet, properties.get("title")),
        row_count=grid.get("rowCount", DEFAULT_ROWS),
        column_count=grid.get("columnCount", DEFAULT_COLUMNS),
    )
    if sheet.row_count < 1 or sheet.column_count < 1:
        raise invalid("A sheet must have at least one row and one column.")
    sheet.grow(0, 0)
    _set(sheet, {name: {} for name in properties.keys() & PROPERTIES}, properties)
    _set_grid(sheet, {name: {} for name in grid.keys() & GRID_PROPERTIES}, grid)
    _place(spreadsheet, sheet, properties.get("index"))
    return {"addSheet": {"properties": sheet_properties(sheet)}}


def duplicate(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    source = spreadsheet.sheet(request.get("sourceSheetId") or 0)
    title = request.get("newSheetName") or _copy_title(spreadsheet, source.title)
    twin = copied(source, _free_id(spreadsheet, request.get("newSheetId")), _free_title(spreadsheet, title))
    _renumber_protections(spreadsheet, twin)
    index = request.get("insertSheetIndex")
    _place(spreadsheet, twin, 0 if index is None else index)
    return {"duplicateSheet": {"properties": sheet_properties(twin)}}


def copied(source: Sheet, sheet_id: int, title: str) -> Sheet:
    """The same tab under another id: every range in it names the new one."""
    twin = replace(source.copy(), id=sheet_id, title=title)
    twin.merges = [{**area, "sheetId": sheet_id} for area in twin.merges]
    twin.filter = _renamed(twin.filter, sheet_id) if twin.filter else None
    twin.protections = {key: _renamed(entry, sheet_id) for key, entry in twin.protections.items()}
    return twin


def copy_into(spreadsheet: Spreadsheet, source: Sheet) -> Sheet:
    """A copy of a tab of another spreadsheet, at the end."""
    twin = copied(source, spreadsheet.fresh_id(), _copy_title(spreadsheet, source.title))
    _renumber_protections(spreadsheet, twin)
    _place(spreadsheet, twin, None)
    return twin


def delete(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet = spreadsheet.sheet(request.get("sheetId") or 0)
    guard(spreadsheet, sheet, whole(sheet), caller)
    if len(spreadsheet.sheets) == 1:
        raise invalid("You can't remove all the sheets in a document.")
    spreadsheet.sheets.remove(sheet)
    spreadsheet.metadata = {key: entry for key, entry in spreadsheet.metadata.items() if entry.sheet != sheet.id}
    spreadsheet.named_ranges = {
        key: entry for key, entry in spreadsheet.named_ranges.items() if entry["range"].get("sheetId", 0) != sheet.id
    }
    spreadsheet.renumber()


def update(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    given = request.get("properties") or {}
    sheet = spreadsheet.sheet(given.get("sheetId") or 0)
    mask = fields_of(request)
    if "*" in mask:
        mask = {name: {} for name in masks.clean(given) if name != "sheetId"}
    for name in mask:
        if name == "title":
            _rename(spreadsheet, sheet, given.get("title") or "")
        elif name == "index":
            _move(spreadsheet, sheet, given.get("index") or 0)
        elif name == "gridProperties":
            grid = given.get("gridProperties") or {}
            _set_grid(sheet, mask[name] or {name: {} for name in grid}, grid)
        elif name in PROPERTIES:
            _set(sheet, {name: mask[name]}, given)
        else:
            raise ApiError(501, f"The emulator does not serve the sheet property {name}.")


def update_spreadsheet(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    given = request.get("properties") or {}
    names = {"title": "title", "locale": "locale", "timeZone": "time_zone"}
    mask = fields_of(request)
    for name in masks.clean(given) if "*" in mask else mask:
        if name in names:
            setattr(spreadsheet, names[name], given.get(name) or "")
        elif name in SPREADSHEET_PROPERTIES:
            spreadsheet.properties = masks.merge(spreadsheet.properties, given, {name: mask.get(name, {})})
        else:
            raise ApiError(501, f"The emulator does not serve the spreadsheet property {name}.")


def sheet_properties(sheet: Sheet) -> Reply:
    """Zero-valued members are left out, as in every answer of Google's."""
    properties = dict(sheet.properties)
    grid = properties.pop("gridProperties", {})
    return {
        "sheetId": sheet.id,
        "title": sheet.title,
        "index": sheet.index,
        "sheetType": "GRID",
        "gridProperties": {"rowCount": sheet.row_count, "columnCount": sheet.column_count, **_present(grid)},
        **_present(properties),
    }


def _present(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value}


def _set(sheet: Sheet, mask: masks.Mask, given: Request) -> None:
    """A colour has an old name and a new one: both are always shown."""
    sheet.properties = masks.merge(sheet.properties, given, mask)
    if "tabColorStyle" in mask:
        colour = sheet.properties.get("tabColorStyle", {}).get("rgbColor")
        sheet.properties = {**sheet.properties, "tabColor": colour}
    elif "tabColor" in mask:
        colour = sheet.properties.get("tabColor")
        sheet.properties = {**sheet.properties, "tabColorStyle": {"rgbColor": colour} if colour else None}


def _set_grid(sheet: Sheet, mask: masks.Mask, grid: Request) -> None:
    for name in mask:
        if name == "rowCount":
            _resize(sheet, grid.get(name) or 0, sheet.column_count)
        elif name == "columnCount":
            _resize(sheet, sheet.row_count, grid.get(name) or 0)
        elif name in GRID_PROPERTIES:
            present = sheet.properties.get("gridProperties", {})
            sheet.properties = {**sheet.properties, "gridProperties": {**present, name: grid.get(name)}}
        else:
            raise ApiError(501, f"The emulator does not serve the grid property {name}.")
    frozen = sheet.properties.get("gridProperties", {})
    if (frozen.get("frozenRowCount") or 0) >= sheet.row_count:
        raise invalid("You can't freeze all visible rows on the sheet.")
    if (frozen.get("frozenColumnCount") or 0) >= sheet.column_count:
        raise invalid("You can't freeze all visible columns on the sheet.")


def _resize(sheet: Sheet, rows: int, columns: int) -> None:
    if rows < 1 or columns < 1:
        raise invalid("A sheet must have at least one row and one column.")
    if columns < sheet.column_count:
        sheet.delete_columns(columns, sheet.column_count)
    sheet.rows.cut(rows)
    sheet.row_count, sheet.column_count = rows, columns
    sheet.grow(0, 0)


def _rename(spreadsheet: Spreadsheet, sheet: Sheet, title: str) -> None:
    other = spreadsheet.titled(title)
    if not title or (other is not None and other is not sheet):
        raise invalid(f'A sheet with the name "{title}" already exists. Please enter another name.')
    sheet.title = title


def _move(spreadsheet: Spreadsheet, sheet: Sheet, index: int) -> None:
    """An index counts the tabs as they stand before: the place left behind is one of them."""
    if index > len(spreadsheet.sheets):
        raise invalid(f"Index {index} is beyond the last sheet.")
    spreadsheet.sheets.remove(sheet)
    _place(spreadsheet, sheet, index - 1 if index > sheet.index else index)


def _place(spreadsheet: Spreadsheet, sheet: Sheet, index: int | None) -> None:
    spreadsheet.sheets.insert(len(spreadsheet.sheets) if index is None else index, sheet)
    spreadsheet.renumber()


def _renumber_protections(spreadsheet: Spreadsheet, sheet: Sheet) -> None:
    fresh = [(spreadsheet.fresh_id(), entry) for entry in sheet.protections.values()]
    sheet.protections = {number: {**entry, "protectedRangeId": number} for number, entry in fresh}


def _renamed(entry: Request, sheet_id: int) -> Request:
    """A filter or a protection whose range lies on another tab."""
    return {**entry, "range": {**(entry.get("range") or {}), "sheetId": sheet_id}}


def _free_id(spreadsheet: Spreadsheet, given: int | None) -> int:
    if given is None:
        return spreadsheet.fresh_id()
    if any(sheet.id == given for sheet in spreadsheet.sheets):
        raise invalid(f"Sheet with id {given} already exists.")
    return given


def _free_title(spreadsheet: Spreadsheet, given: str | None) -> str:
    if given:
        if spreadsheet.titled(given):
            raise invalid(f'A sheet with the name "{given}" already exists. Please enter another name.')
        return given
    number = len(spreadsheet.sheets) + 1
    while spreadsheet.titled(f"Sheet{number}"):
        number += 1
    return f"Sheet{number}"


def _copy_title(spreadsheet: Spreadsheet, title: str) -> str:
    wanted, number = f"Copy of {title}", 2
    while spreadsheet.titled(wanted):
        wanted, number = f"Copy of {title} {number}", number + 1
    return wanted
