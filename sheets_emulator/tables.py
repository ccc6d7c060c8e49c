"""The table that values.append writes below: a block of cells bounded by empty rows and columns.

As recorded: after a row "x, empty, y" a range that is a whole tab finds the table of "y", and a range A1 that of "x".
Rows that a filter or a person hides are not seen, so that the last table seems to end above them.
"""

from sheets_emulator.a1 import Area, Box
from sheets_emulator.model import Sheet, has_data


def find(sheet: Sheet, area: Area) -> Box | None:
    """The last table that meets the area, None if there is none."""
    last = _last_visible(sheet)
    seed = _seed(sheet, area, last)
    return _grown(sheet, seed, last) if seed else None


def _last_visible(sheet: Sheet) -> int:
    count = sheet.last_row()
    while count and sheet.hidden(count - 1):
        count -= 1
    return count


def _seed(sheet: Sheet, area: Area, last: int) -> tuple[int, int] | None:
    """A cell to grow the table from: the last one with data in the area's last row that has any."""
    top, left = area.row or 0, area.column or 0
    end = last if area.end_row is None else min(area.end_row, last)
    right = sheet.column_count if area.end_column is None else area.end_column
    for row in range(end - 1, top - 1, -1):
        for column in range(min(right, len(sheet.rows[row])) - 1, left - 1, -1):
            if has_data(sheet.rows[row][column]):
                return row, column
    return None


def _grown(sheet: Sheet, seed: tuple[int, int], last: int) -> Box:
    """Take in every neighbour with data, up, down, left and right, until none is left."""
    top, left = seed
    bottom, right = top, left
    grown = True
    while grown:
        before = top, bottom, left, right
        while top and _row_has(sheet, top - 1, left, right):
            top -= 1
        while bottom + 1 < last and _row_has(sheet, bottom + 1, left, right):
            bottom += 1
        while left and _column_has(sheet, left - 1, top, bottom):
            left -= 1
        while _column_has(sheet, right + 1, top, bottom):
            right += 1
        grown = before != (top, bottom, left, right)
    return Box(top, left, bottom + 1, right + 1)


def _row_has(sheet: Sheet, row: int, left: int, right: int) -> bool:
    return any(has_data(cell) for cell in sheet.rows[row][left : right + 1])


def _column_has(sheet: Sheet, column: int, top: int, bottom: int) -> bool:
    return any(has_data(sheet.cell(row, column)) for row in range(top, bottom + 1))
