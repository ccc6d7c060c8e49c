"""The values.* calls: ranges in A1, rows of plain values."""

from typing import Any

from sheets_emulator import a1
from sheets_emulator.a1 import Area
from sheets_emulator.errors import invalid
from sheets_emulator.model import Cell, Sheet, Spreadsheet, has_data
from sheets_emulator.render import entered, shown
from sheets_emulator.updates import guard_protected

OPTIONS = ("RAW", "USER_ENTERED")


def locate(spreadsheet: Spreadsheet, text: str) -> tuple[Sheet, Area]:
    """The tab and area that a range names. Raises ApiError 400."""
    title, rest = a1.split(text)
    if title is None:
        whole = spreadsheet.titled(text)
        if whole is not None:
            return whole, Area()
        return spreadsheet.sheets[0], a1.parse_area(rest, text)
    sheet = spreadsheet.titled(title)
    if sheet is None:
        raise a1.unparsable(text)
    return sheet, a1.parse_area(rest, text)


def bounded(sheet: Sheet, area: Area) -> tuple[int, int, int, int]:
    """The area within the grid. One that begins outside is refused, one that ends outside is cut."""
    row, column = area.row or 0, area.column or 0
    if row >= sheet.row_count or column >= sheet.column_count:
        raise sheet.beyond(row, column)
    end_row = sheet.row_count if area.end_row is None else min(area.end_row, sheet.row_count)
    end_column = sheet.column_count if area.end_column is None else min(area.end_column, sheet.column_count)
    return row, column, end_row, end_column


def read(spreadsheet: Spreadsheet, text: str, query: dict[str, str]) -> dict[str, Any]:
    """A ValueRange. Trailing blanks are cut; `values` is left out where there is nothing."""
    sheet, area = locate(spreadsheet, text)
    row, column, end_row, end_column = bounded(sheet, area)
    render = query.get("valueRenderOption", "FORMATTED_VALUE")
    dates = query.get("dateTimeRenderOption", "SERIAL_NUMBER")
    rows = [
        [shown(cell, render, dates) for cell in line[column:end_column]]
        for line in sheet.rows[row : min(end_row, len(sheet.rows))]
    ]
    rows = _trimmed([_trimmed(line, "") for line in rows], [])
    major = query.get("majorDimension", "ROWS")
    if major == "COLUMNS":
        rows = _turned(rows)
    found = {"range": a1.render(sheet.title, row, column, end_row, end_column), "majorDimension": major}
    return found | ({"values": rows} if rows else {})


def update(spreadsheet: Spreadsheet, text: str, body: dict[str, Any], option: str, email: str) -> dict[str, Any]:
    """Write a ValueRange in place; None leaves a cell as it is. An UpdateValuesResponse."""
    sheet, area = locate(spreadsheet, text)
    rows = _given(body)
    row, column, end_row, end_column = bounded(sheet, area)
    single = area.end_row == row + 1 and area.end_column == column + 1 and area.row is not None
    if not single and (len(rows) > end_row - row or max(map(len, rows), default=0) > end_column - column):
        raise invalid(f"Requested writing within range [{text}], but tried writing to a cell outside of it.")
    guard_protected(spreadsheet, sheet, row, row + len(rows), email, column)
    return _write(spreadsheet, sheet, row, column, rows, option)


def append(
    spreadsheet: Spreadsheet, text: str, body: dict[str, Any], option: str, insert: str, email: str
) -> dict[str, Any]:
    """Below the table that is found from the range on. An AppendValuesResponse."""
    sheet, area = locate(spreadsheet, text)
    rows = _given(body)
    table = _table(sheet, area)
    row = table[2] if table else area.row or 0
    column = table[1] if table else area.column or 0
    guard_protected(spreadsheet, sheet, row, row + len(rows), email, column)
    if insert == "INSERT_ROWS" and row < len(sheet.rows):
        sheet.insert_rows(row, len(rows))
    sheet.grow(row + len(rows), 0)
    width = column + max(map(len, rows), default=0)
    if width > sheet.column_count:
        sheet.grow(sheet.row_count, width)
    found: dict[str, Any] = {"spreadsheetId": spreadsheet.id}
    if table:
        found["tableRange"] = a1.render(sheet.title, table[0], table[1], table[2], table[3])
    return found | {"updates": _write(spreadsheet, sheet, row, column, rows, option)}


def clear(spreadsheet: Spreadsheet, text: str, email: str) -> dict[str, Any]:
    sheet, area = locate(spreadsheet, text)
    row, column, end_row, end_column = bounded(sheet, area)
    guard_protected(spreadsheet, sheet, row, end_row, email, column)
    for at in range(row, min(end_row, len(sheet.rows))):
        line = list(sheet.rows[at])
        line[column:end_column] = [None] * len(line[column:end_column])
        sheet.rows[at] = tuple(line)
    return {
        "spreadsheetId": spreadsheet.id,
        "clearedRange": a1.render(sheet.title, row, column, end_row, end_column),
    }


def option_of(value: str | None) -> str:
    if value not in OPTIONS:
        raise invalid("'valueInputOption' is required but not specified")
    return value


def _write(
    spreadsheet: Spreadsheet, sheet: Sheet, row: int, column: int, rows: list[list[Any]], option: str
) -> dict[str, Any]:
    written = 0
    width = max(map(len, rows), default=0)
    for offset, line in enumerate(rows):
        cells: list[Cell] = [
            sheet.cell(row + offset, column + index) if value is None else _blank(entered(value, option))
            for index, value in enumerate(line)
        ]
        written += sum(value is not None for value in line)
        if cells:
            sheet.write_row(row + offset, column, cells)
    return {
        "spreadsheetId": spreadsheet.id,
        "updatedRange": a1.render(sheet.title, row, column, row + max(1, len(rows)), column + max(1, width)),
        **({"updatedRows": len(rows), "updatedColumns": width, "updatedCells": written} if written else {}),
    }


def _blank(cell: Cell) -> Cell:
    return None if cell == "" else cell


def _given(body: dict[str, Any]) -> list[list[Any]]:
    rows = [list(line or []) for line in body.get("values") or []]
    return _turned(rows) if body.get("majorDimension") == "COLUMNS" else rows


def _table(sheet: Sheet, area: Area) -> tuple[int, int, int, int] | None:
    """The last table that meets the area: a block of cells bounded by empty rows and columns."""
    last = sheet.last_row()
    if area.row is not None and area.column is not None:
        seed = _seed_near(sheet, area.row, area.column)
    else:
        seed = _last_seed(sheet, last)
    if seed is None:
        return None
    row, column = seed
    top = bottom = row
    left = right = column
    grown = True
    while grown:
        grown = False
        if top and _any(sheet, top - 1, left, right):
            top, grown = top - 1, True
        if bottom + 1 < last and _any(sheet, bottom + 1, left, right):
            bottom, grown = bottom + 1, True
        if left and any(has_data(sheet.cell(at, left - 1)) for at in range(top, bottom + 1)):
            left, grown = left - 1, True
        if any(has_data(sheet.cell(at, right + 1)) for at in range(top, bottom + 1)):
            right, grown = right + 1, True
    return top, left, bottom + 1, right + 1


def _seed_near(sheet: Sheet, row: int, column: int) -> tuple[int, int] | None:
    if has_data(sheet.cell(row, column)):
        return row, column
    return None


def _last_seed(sheet: Sheet, last: int) -> tuple[int, int] | None:
    if not last:
        return None
    line = sheet.rows[last - 1]
    return last - 1, max(index for index, cell in enumerate(line) if has_data(cell))


def _any(sheet: Sheet, row: int, left: int, right: int) -> bool:
    return any(has_data(sheet.cell(row, column)) for column in range(left, right + 1))


def _trimmed(items: list[Any], empty: Any) -> list[Any]:
    while items and items[-1] == empty:
        items.pop()
    return items


def _turned(rows: list[list[Any]]) -> list[list[Any]]:
    width = max(map(len, rows), default=0)
    return [[line[index] if index < len(line) else "" for line in rows] for index in range(width)]
