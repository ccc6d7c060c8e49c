"""What the kinds of request have in common: field masks, ranges of a grid, ranges of rows or columns."""

from collections.abc import Callable
from typing import Any

from sheets_emulator import a1, masks
from sheets_emulator.a1 import Box
from sheets_emulator.caller import Caller
from sheets_emulator.errors import invalid
from sheets_emulator.masks import Mask
from sheets_emulator.model import Sheet, Spreadsheet

Request = dict[str, Any]
Reply = dict[str, Any]
Update = Callable[[Spreadsheet, Request, Caller], Reply | None]


def fields_of(request: Request) -> Mask:
    """Raises ApiError 400."""
    text = request.get("fields") or ""
    if not text.strip():
        raise invalid("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
    return masks.parse(text)


def box_of(spreadsheet: Spreadsheet, area: Request | None) -> tuple[Sheet, Box]:
    """The part of the grid that a GridRange means. Raises ApiError 400 where it begins outside of the grid."""
    area = area or {}
    sheet = spreadsheet.sheet(area.get("sheetId") or 0)
    row, column = area.get("startRowIndex") or 0, area.get("startColumnIndex") or 0
    end_row = sheet.row_count if area.get("endRowIndex") is None else area["endRowIndex"]
    end_column = sheet.column_count if area.get("endColumnIndex") is None else area["endColumnIndex"]
    if row >= sheet.row_count or column >= sheet.column_count:
        raise sheet.too_far(a1.open_name(sheet.title, a1.from_grid_range(area)))
    if not 0 <= row < end_row or not 0 <= column < end_column:
        raise invalid("The range must not be empty.")
    return sheet, Box(row, column, min(end_row, sheet.row_count), min(end_column, sheet.column_count))


def dimension_of(spreadsheet: Spreadsheet, area: Request | None) -> tuple[Sheet, str, int, int]:
    """A DimensionRange. Raises ApiError 400."""
    area = area or {}
    sheet = spreadsheet.sheet(area.get("sheetId") or 0)
    dimension = area.get("dimension")
    if dimension not in {"ROWS", "COLUMNS"}:
        raise invalid("A dimension, ROWS or COLUMNS, must be specified.")
    start, end = area.get("startIndex") or 0, area.get("endIndex")
    end = sheet.count(dimension) if end is None else end
    if not 0 <= start < end:
        raise invalid("The range must not be empty.")
    return sheet, dimension, start, end


def lines(sheet: Sheet, dimension: str, start: int, end: int) -> Box:
    """Whole rows or columns as a box."""
    if dimension == "COLUMNS":
        return Box(0, start, sheet.row_count, end)
    return Box(start, 0, end, sheet.column_count)
