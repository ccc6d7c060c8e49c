"""Cells: appended, updated, repeated, validated."""

from typing import Any

from sheets_emulator.a1 import Box
from sheets_emulator.caller import Caller
from sheets_emulator.errors import invalid
from sheets_emulator.guard import guard
from sheets_emulator.masks import Mask
from sheets_emulator.model import Cell, Rich, Row, Sheet, Spreadsheet, has_data, plain, rich
from sheets_emulator.render import from_cell_data, from_extended
from sheets_emulator.switches import Switches
from sheets_emulator.updates.shared import Request, box_of, fields_of


def append(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    """After the last row with data anywhere on the tab, always from column A; the grid grows as needed."""
    sheet = spreadsheet.sheet(request.get("sheetId") or 0)
    rows = _rows(request.get("rows") or (), fields_of(request))
    start = _append_at(sheet, caller.switches)
    width = max(map(len, rows), default=0)
    guard(spreadsheet, sheet, Box(start, 0, start + len(rows), width), caller)
    sheet.grow(start + len(rows), width)
    if start < sheet.last_row():  # among hidden rows: what stands there is overwritten
        for offset, row in enumerate(rows):
            sheet.write_row(start + offset, 0, list(row))
        return
    if len(sheet.rows) < start:
        sheet.rows.extend([()] * (start - len(sheet.rows)))
    sheet.rows.cut(start)
    sheet.rows.extend(rows)


def update(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    """From `start` as far as the rows go, or within `range`, where cells that are not given are emptied."""
    mask = fields_of(request)
    given = [row.get("values") or [] for row in request.get("rows") or []]
    if request.get("range"):
        sheet, box = box_of(spreadsheet, request["range"])
        if len(given) > box.height or max(map(len, given), default=0) > box.width:
            raise invalid("More rows or columns are given than the range has.")
    else:
        start = request.get("start") or {}
        sheet = spreadsheet.sheet(start.get("sheetId") or 0)
        row, column = start.get("rowIndex") or 0, start.get("columnIndex") or 0
        box = Box(row, column, row + len(given), column + max(map(len, given), default=0))
    guard(spreadsheet, sheet, box, caller)
    for row in range(box.row, box.end_row):
        values = given[row - box.row] if row - box.row < len(given) else []
        width = box.width if request.get("range") else len(values)
        made = [
            from_cell_data((values[at] if at < len(values) else {}) or {}, mask, sheet.cell(row, box.column + at))
            for at in range(width)
        ]
        sheet.write_row(row, box.column, made)


def repeat(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    mask, data = fields_of(request), request.get("cell") or {}
    sheet, box = box_of(spreadsheet, request.get("range"))
    guard(spreadsheet, sheet, box, caller)
    # A format of a whole column would fill the grid with empty cells: only rows that hold something are kept.
    is_open = (request.get("range") or {}).get("endRowIndex") is None and set(mask) == {"userEnteredFormat"}
    end = min(box.end_row, max(len(sheet.rows), box.row + 1)) if is_open else box.end_row
    for row in range(box.row, end):
        cells = [from_cell_data(data, mask, sheet.cell(row, column)) for column in range(box.column, box.end_column)]
        sheet.write_row(row, box.column, cells)


def set_validation(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    """Without a rule the present one goes. What the API writes is not held to a rule."""
    sheet, box = box_of(spreadsheet, request.get("range"))
    guard(spreadsheet, sheet, box, caller)
    rule = request.get("rule")
    for row in range(box.row, box.end_row):
        made: list[Cell] = []
        for column in range(box.column, box.end_column):
            present = rich(sheet.cell(row, column))
            made.append(plain(Rich(present.value, present.format, present.note, rule)))
        sheet.write_row(row, box.column, made)


def _rows(given: Any, mask: Mask) -> list[Row]:
    if set(mask) == {"userEnteredValue"}:  # what a sink sends: thousands of plain values
        return [
            tuple([from_extended(data.get("userEnteredValue")) if data else None for data in row.get("values") or ()])
            for row in given
        ]
    return [tuple([from_cell_data(data or {}, mask) for data in row.get("values") or ()]) for row in given]


def _append_at(sheet: Sheet, switches: Switches) -> int:
    count = len(sheet.rows)
    while count and not any(_counts(cell, switches) for cell in sheet.rows[count - 1]):
        count -= 1
    if switches.append_and_hidden_rows == "below_the_last_visible_row":
        while count and sheet.hidden(count - 1):
            count -= 1
    return count


def _counts(cell: Cell, switches: Switches) -> bool:
    """Whether appended rows go below this cell."""
    if not isinstance(cell, Rich):
        return cell is not None
    if cell.note and switches.append_and_notes == "counts_as_data":
        return True
    return has_data(cell) or (cell.rule is not None and switches.append_and_checkboxes == "counts_as_data")
