"""Merged cells: the first keeps its value, the others lose theirs."""

from sheets_emulator.a1 import Box
from sheets_emulator.caller import Caller
from sheets_emulator.errors import invalid
from sheets_emulator.guard import guard
from sheets_emulator.model import Json, Sheet, Spreadsheet, with_value
from sheets_emulator.updates.shared import Request, box_of


def merge(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet, box = box_of(spreadsheet, request.get("range"))
    guard(spreadsheet, sheet, box, caller)
    kind = request.get("mergeType") or "MERGE_ALL"
    sheet.merges = _others(sheet, box)
    for part in _parts(box, kind):
        if part.height * part.width > 1:
            sheet.merges.append(part.as_json(sheet.id))
            _keep_first(sheet, part)


def unmerge(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet, box = box_of(spreadsheet, request.get("range"))
    guard(spreadsheet, sheet, box, caller)
    sheet.merges = _others(sheet, box)


def _others(sheet: Sheet, box: Box) -> list[Json]:
    """The merges outside of the box. Raises ApiError 400 for one that is only partly inside."""
    outside = []
    for area in sheet.merges:
        found = Box(area["startRowIndex"], area["startColumnIndex"], area["endRowIndex"], area["endColumnIndex"])
        if not found.meets(box):
            outside.append(area)
        elif not _holds(box, found):
            raise invalid("You must select all cells in a merged range to merge or unmerge them.")
    return outside


def _holds(outer: Box, inner: Box) -> bool:
    rows = outer.row <= inner.row and inner.end_row <= outer.end_row
    return rows and outer.column <= inner.column and inner.end_column <= outer.end_column


def _parts(box: Box, kind: str) -> list[Box]:
    if kind == "MERGE_COLUMNS":
        return [Box(box.row, at, box.end_row, at + 1) for at in range(box.column, box.end_column)]
    if kind == "MERGE_ROWS":
        return [Box(at, box.column, at + 1, box.end_column) for at in range(box.row, box.end_row)]
    return [box]


def _keep_first(sheet: Sheet, part: Box) -> None:
    for row in range(part.row, min(part.end_row, len(sheet.rows))):
        line = sheet.rows[row]
        cells = [
            cell if (row, column) == (part.row, part.column) else with_value(cell, None)
            for column, cell in enumerate(line[part.column : part.end_column], part.column)
        ]
        sheet.rows[row] = (*line[: part.column], *cells, *line[part.end_column :])
