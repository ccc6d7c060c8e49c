"""Cells copied and moved within the spreadsheet."""

from sheets_emulator.a1 import Box
from sheets_emulator.caller import Caller
from sheets_emulator.errors import ApiError
from sheets_emulator.guard import guard
from sheets_emulator.model import Cell, Rich, Sheet, Spreadsheet, plain, rich
from sheets_emulator.updates.shared import Request, box_of

Block = list[list[Cell]]
KINDS = ("PASTE_NORMAL", "PASTE_VALUES", "PASTE_FORMAT", "PASTE_NO_BORDERS", "PASTE_FORMULA", "PASTE_DATA_VALIDATION")


def copy(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    """A destination that is a multiple of the source is filled with it again and again."""
    source, origin = box_of(spreadsheet, request.get("source"))
    target, box = box_of(spreadsheet, request.get("destination"))
    block = _block(source, origin)
    if request.get("pasteOrientation") == "TRANSPOSE":
        block = [list(column) for column in zip(*block, strict=True)]
    height, width = len(block), len(block[0])
    down, across = max(1, box.height // height), max(1, box.width // width)
    whole = [[*row * across] for _ in range(down) for row in block]
    _paste(
        spreadsheet,
        target,
        Box(box.row, box.column, box.row + len(whole), box.column + len(whole[0])),
        whole,
        request,
        caller,
    )


def cut(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    source, origin = box_of(spreadsheet, request.get("source"))
    guard(spreadsheet, source, origin, caller)
    block = _block(source, origin)
    to = request.get("destination") or {}
    target = spreadsheet.sheet(to.get("sheetId") or 0)
    row, column = to.get("rowIndex") or 0, to.get("columnIndex") or 0
    for at in range(origin.row, origin.end_row):
        source.write_row(at, origin.column, [None] * origin.width)
    _paste(spreadsheet, target, Box(row, column, row + origin.height, column + origin.width), block, request, caller)


def _block(sheet: Sheet, box: Box) -> Block:
    return [
        [sheet.cell(row, column) for column in range(box.column, box.end_column)] for row in range(box.row, box.end_row)
    ]


def _paste(spreadsheet: Spreadsheet, sheet: Sheet, box: Box, block: Block, request: Request, caller: Caller) -> None:
    kind = request.get("pasteType") or "PASTE_NORMAL"
    if kind not in KINDS:
        raise ApiError(501, f"The emulator does not serve the paste type {kind}.")
    guard(spreadsheet, sheet, box, caller)
    sheet.grow(box.end_row, box.end_column)
    for row, cells in enumerate(block, box.row):
        made = [_pasted(cell, sheet.cell(row, box.column + at), kind) for at, cell in enumerate(cells)]
        sheet.write_row(row, box.column, made)


def _pasted(cell: Cell, present: Cell, kind: str) -> Cell:
    new, old = rich(cell), rich(present)
    match kind:
        case "PASTE_VALUES" | "PASTE_FORMULA":
            return plain(Rich(new.value, old.format, old.note, old.rule))
        case "PASTE_FORMAT":
            return plain(Rich(old.value, new.format, old.note, old.rule))
        case "PASTE_DATA_VALIDATION":
            return plain(Rich(old.value, old.format, old.note, new.rule))
    return cell
