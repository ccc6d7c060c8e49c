"""The values.* calls: ranges in A1, rows of plain values."""

from collections.abc import Mapping
from typing import Any

from sheets_emulator import a1, tables
from sheets_emulator.a1 import Area, Box
from sheets_emulator.caller import Caller
from sheets_emulator.errors import ApiError, invalid
from sheets_emulator.guard import guard
from sheets_emulator.model import Cell, Json, Sheet, Spreadsheet, value_of, with_value
from sheets_emulator.render import entered, shown

OPTIONS = ("RAW", "USER_ENTERED")


def locate(spreadsheet: Spreadsheet, text: str) -> tuple[Sheet, Area]:
    """The tab and area that a range names: cells, a named range, or a whole tab. Raises ApiError 400."""
    title, rest = a1.split(text)
    sheet = spreadsheet.sheets[0] if title is None else spreadsheet.titled(title)
    if sheet is None:
        raise a1.unparsable(text)
    try:
        return sheet, a1.parse_area(rest, text)
    except ApiError:
        found = _named(spreadsheet, rest)
        whole = None if title else spreadsheet.titled(rest)
        if found is None and whole is None:
            raise
        return found or (whole or sheet, Area())


def bounded(sheet: Sheet, area: Area) -> Box:
    """The area within the grid. One that begins outside is refused, one that ends outside is cut."""
    row, column = area.row or 0, area.column or 0
    if row >= sheet.row_count or column >= sheet.column_count:
        raise sheet.too_far(a1.open_name(sheet.title, area))
    end_row = sheet.row_count if area.end_row is None else min(area.end_row, sheet.row_count)
    end_column = sheet.column_count if area.end_column is None else min(area.end_column, sheet.column_count)
    return Box(row, column, end_row, end_column)


def read(spreadsheet: Spreadsheet, text: str, query: Mapping[str, str]) -> Json:
    """A ValueRange. Trailing blanks are cut; `values` is left out where there is nothing."""
    sheet, area = locate(spreadsheet, text)
    render = query.get("valueRenderOption") or "FORMATTED_VALUE"
    dates = query.get("dateTimeRenderOption") or "SERIAL_NUMBER"
    major = query.get("majorDimension") or "ROWS"
    return value_range(sheet, bounded(sheet, area), render, dates, major)


def value_range(sheet: Sheet, box: Box, render: str, dates: str, major: str = "ROWS") -> Json:
    rows = [
        [shown(cell, render, dates) for cell in line[box.column : box.end_column]]
        for line in sheet.rows.between(box.row, box.end_row)
    ]
    rows = _trimmed([_trimmed(line, "") for line in rows], [])
    if major == "COLUMNS":
        rows = [_trimmed(column, "") for column in _turned(rows)]
    found = {"range": box.name(sheet.title), "majorDimension": major}
    return found | ({"values": rows} if rows else {})


def update(spreadsheet: Spreadsheet, text: str, body: Json, option: str, caller: Caller) -> Json:
    """Write a ValueRange in place; None leaves a cell as it is. An UpdateValuesResponse."""
    sheet, area = locate(spreadsheet, text)
    rows = _given(body)
    box = bounded(sheet, area)
    # A single cell only says where to begin: the range grows to the data, as far as the grid goes.
    single = area.row is not None and area.column is not None and (box.height, box.width) == (1, 1)
    limit = Box(box.row, box.column, sheet.row_count, sheet.column_count) if single else box
    width = max(map(len, rows), default=0)
    if len(rows) > limit.height or width > limit.width:
        raise _outside(sheet, area, limit, len(rows))
    guard(spreadsheet, sheet, Box(box.row, box.column, box.row + len(rows), box.column + width), caller)
    return _write(spreadsheet, sheet, box.row, box.column, rows, option)


def append(spreadsheet: Spreadsheet, text: str, body: Json, option: str, insert: str, caller: Caller) -> Json:
    """Below the table that is found from the range on. An AppendValuesResponse."""
    sheet, area = locate(spreadsheet, text)
    if area != Area():
        bounded(sheet, area)
    rows = _given(body)
    table = tables.find(sheet, area)
    row = table.end_row if table else area.row or 0
    column = table.column if table else area.column or 0
    width = max(map(len, rows), default=0)
    guard(spreadsheet, sheet, Box(row, column, row + len(rows), column + width), caller)
    if insert == "INSERT_ROWS" and row < len(sheet.rows):
        sheet.insert_rows(row, len(rows))
    sheet.grow(row + len(rows), column + width)
    found: Json = {"spreadsheetId": spreadsheet.id}
    if table:
        found["tableRange"] = table.name(sheet.title)
    return found | {"updates": _write(spreadsheet, sheet, row, column, rows, option)}


def clear(spreadsheet: Spreadsheet, text: str, caller: Caller) -> str:
    """Values go, formats and notes stay. The range that was cleared."""
    sheet, area = locate(spreadsheet, text)
    box = bounded(sheet, area)
    guard(spreadsheet, sheet, box, caller)
    cleared = [
        (
            *line[: box.column],
            *(with_value(cell, None) for cell in line[box.column : box.end_column]),
            *line[box.end_column :],
        )
        for line in sheet.rows.between(box.row, box.end_row)
    ]
    sheet.rows.replace(box.row, box.row + len(cleared), cleared)
    return box.name(sheet.title)


def echo(spreadsheet: Spreadsheet, answer: Json, options: Mapping[str, Any]) -> Json:
    """`updatedData`, where includeValuesInResponse asks for it."""
    if str(options.get("includeValuesInResponse")).lower() != "true":
        return answer
    names = {"valueRenderOption": "responseValueRenderOption", "dateTimeRenderOption": "responseDateTimeRenderOption"}
    query = {name: options.get(given) or "" for name, given in names.items()}
    return {**answer, "updatedData": read(spreadsheet, answer["updatedRange"], query)}


def option_of(value: str | None) -> str:
    if value not in OPTIONS:
        raise invalid("'valueInputOption' is required but not specified")
    return value


def _named(spreadsheet: Spreadsheet, name: str) -> tuple[Sheet, Area] | None:
    for named in spreadsheet.named_ranges.values():
        if named["name"].casefold() == name.casefold():
            return spreadsheet.sheet(named["range"].get("sheetId", 0)), a1.from_grid_range(named["range"])
    return None


def _outside(sheet: Sheet, area: Area, limit: Box, height: int) -> ApiError:
    title, _, cells = a1.open_name(sheet.title, area).rpartition("!")
    name = f"'{sheet.title}'" if title == sheet.title else title
    too_tall = height > limit.height
    where = f"row [{limit.end_row + 1}]" if too_tall else f"column [{a1.column_name(limit.end_column)}]"
    return invalid(f"Requested writing within range [{name}!{cells}], but tried writing to {where}")


def _write(spreadsheet: Spreadsheet, sheet: Sheet, row: int, column: int, rows: list[list[Any]], option: str) -> Json:
    written = 0
    width = max(map(len, rows), default=0)
    for offset, line in enumerate(rows):
        cells = [_put(sheet.cell(row + offset, column + at), value, option) for at, value in enumerate(line)]
        written += sum(value is not None for value in line)
        if cells:
            sheet.write_row(row + offset, column, cells)
    box = Box(row, column, row + max(1, len(rows)), column + max(1, width))
    return {
        "spreadsheetId": spreadsheet.id,
        "updatedRange": box.name(sheet.title),
        **({"updatedRows": len(rows), "updatedColumns": width, "updatedCells": written} if written else {}),
    }


def _put(present: Cell, value: Any, option: str) -> Cell:
    """None leaves a cell alone, an empty text empties it."""
    if value is None:
        return present
    made = entered(value, option, present)
    return with_value(made, None) if value_of(made) == "" else made


def _given(body: Json) -> list[list[Any]]:
    rows = [list(line or []) for line in body.get("values") or []]
    if body.get("majorDimension") != "COLUMNS":
        return rows
    return [
        [line[index] if index < len(line) else None for line in rows] for index in range(max(map(len, rows), default=0))
    ]


def _trimmed(items: list[Any], empty: Any) -> list[Any]:
    while items and items[-1] == empty:
        items.pop()
    return items


def _turned(rows: list[list[Any]]) -> list[list[Any]]:
    width = max(map(len, rows), default=0)
    return [[line[index] if index < len(line) else "" for line in rows] for index in range(width)]
