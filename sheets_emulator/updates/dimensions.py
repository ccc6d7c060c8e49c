"""Rows and columns: added, inserted, deleted, moved, resized, sorted. Whatever lies on them moves along."""

from dataclasses import replace
from typing import Any

from sheets_emulator import masks, shift
from sheets_emulator.caller import Caller
from sheets_emulator.errors import invalid
from sheets_emulator.guard import guard
from sheets_emulator.model import Cell, Row, Spreadsheet, moved, value_of
from sheets_emulator.updates.shared import Request, box_of, dimension_of, fields_of, lines


def append(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet = spreadsheet.sheet(request.get("sheetId") or 0)
    length = request.get("length") or 0
    if length < 1:
        raise invalid("The length must be positive.")
    if request.get("dimension") == "COLUMNS":
        sheet.grow(0, sheet.column_count + length)
    else:
        sheet.grow(sheet.row_count + length, 0)


def insert(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet, dimension, start, end = dimension_of(spreadsheet, request.get("range"))
    if start > sheet.count(dimension):
        raise sheet.beyond(*((0, start) if dimension == "COLUMNS" else (start, 0)))
    (sheet.insert_columns if dimension == "COLUMNS" else sheet.insert_rows)(start, end - start)
    spreadsheet.check_cells()
    shift.inserted(spreadsheet, sheet, dimension, start, end - start)


def delete(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet, dimension, start, end = dimension_of(spreadsheet, request.get("range"))
    if start >= sheet.count(dimension):
        raise sheet.beyond(*((0, start) if dimension == "COLUMNS" else (start, 0)))
    end = min(end, sheet.count(dimension))
    guard(spreadsheet, sheet, lines(sheet, dimension, start, end), caller)
    (sheet.delete_columns if dimension == "COLUMNS" else sheet.delete_rows)(start, end)
    shift.deleted(spreadsheet, sheet, dimension, start, end)


def move(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    """`destinationIndex` counts as things stand before the move."""
    sheet, dimension, start, end = dimension_of(spreadsheet, request.get("source"))
    to, size = request.get("destinationIndex") or 0, sheet.count(dimension)
    if end > size or to > size:
        raise sheet.beyond(*((0, max(end - 1, to)) if dimension == "COLUMNS" else (max(end - 1, to), 0)))
    if start < to < end:
        raise invalid("The destination lies within what is to be moved.")
    guard(spreadsheet, sheet, lines(sheet, dimension, start, end), caller)
    (sheet.move_columns if dimension == "COLUMNS" else sheet.move_rows)(start, end, to)
    places = {old: new for new, old in enumerate(moved(list(range(size)), start, end, to))}
    shift.moved(spreadsheet, sheet, dimension, places)


def auto_resize(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    """Nothing is drawn here: the rows or columns only have to be there."""
    dimension_of(spreadsheet, request.get("dimensions"))


def update(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet, dimension, start, end = dimension_of(spreadsheet, request.get("range"))
    end = min(end, sheet.count(dimension))
    sizes = dict(sheet.sizes.get(dimension, {}))
    mask, given = fields_of(request), request.get("properties") or {}
    for index in range(start, end):
        sizes[index] = masks.merge(sizes.get(index, {}), given, mask)
    visible = (index for index in range(sheet.count(dimension)) if not sizes.get(index, {}).get("hiddenByUser"))
    if next(visible, None) is None:
        raise invalid("You can't hide all the rows or columns on the sheet.")
    sheet.sizes[dimension] = sizes


def sort(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    """Values move between rows, blank ones last; tags of columns stay, those of rows as the switch says."""
    sheet, box = box_of(spreadsheet, request.get("range"))
    guard(spreadsheet, sheet, box, caller)
    block = list(enumerate(sheet.rows.between(box.row, box.end_row), box.row))
    for spec in reversed(request.get("sortSpecs") or []):
        block = _sorted(block, spec.get("dimensionIndex") or 0, spec.get("sortOrder") == "DESCENDING")
    whole = box.column == 0 and box.end_column >= max((len(row) for _, row in block), default=0)
    rows = [row if whole else _within(sheet.rows[at], row, box) for at, (_, row) in enumerate(block, box.row)]
    sheet.rows.replace(box.row, box.row + len(rows), rows)
    if caller.switches.row_metadata_in_sort == "follows_the_row":
        places = {old: new for new, (old, _) in enumerate(block, box.row)}
        for entry in spreadsheet.on(sheet.id, "ROWS"):
            spreadsheet.metadata[entry.id] = replace(entry, start=places.get(entry.start, entry.start))


Block = list[tuple[int, Row]]


def _sorted(block: Block, column: int, down: bool) -> Block:
    keyed = [(_sort_key(row[column] if column < len(row) else None), entry) for entry in block for row in (entry[1],)]
    filled = sorted((each for each in keyed if each[0] is not None), key=lambda each: each[0], reverse=down)
    return [entry for _, entry in filled] + [entry for key, entry in keyed if key is None]


def _sort_key(cell: Cell) -> Any:
    value = value_of(cell)
    if value is None:
        return None
    if isinstance(value, bool):
        return (2, value)
    return (0, value) if isinstance(value, int | float) else (1, str(value).casefold())


def _within(present: Row, row: Row, box: Any) -> Row:
    """The present row with the sorted cells in the columns that were sorted."""
    width = box.end_column - box.column
    part = (*row[box.column : box.end_column], *([None] * (width - len(row[box.column : box.end_column]))))
    left = (*present[: box.column], *([None] * (box.column - len(present))))
    return (*left, *part, *present[box.end_column :])
