"""Protected ranges: being an editor of the file does not reach into them."""

from collections.abc import Iterator

from sheets_emulator.a1 import Area, Box, from_grid_range
from sheets_emulator.caller import Caller
from sheets_emulator.errors import ApiError
from sheets_emulator.model import Json, Sheet, Spreadsheet

REFUSAL = (
    "You are trying to edit a protected cell or object. Please contact the spreadsheet owner to remove protection if "
    "you need to edit."
)


def guard(spreadsheet: Spreadsheet, sheet: Sheet, box: Box, caller: Caller) -> None:
    """Raises ApiError where the box meets a range that is protected against the caller. A warning stops nobody."""
    for protection in sheet.protections.values():
        if protection.get("warningOnly") or may_edit(spreadsheet, protection, caller.email):
            continue
        if any(box.meets(area) for area in _areas(spreadsheet, sheet, protection)) and not _spared(protection, box):
            raise ApiError(403 if caller.switches.protected_cells == "error_403" else 400, REFUSAL)


def may_edit(spreadsheet: Spreadsheet, protection: Json, email: str) -> bool:
    editors = (protection.get("editors") or {}).get("users") or []
    return email in editors or spreadsheet.roles.get(email) == "owner"


def whole(sheet: Sheet) -> Box:
    return Box(0, 0, sheet.row_count, sheet.column_count)


def _areas(spreadsheet: Spreadsheet, sheet: Sheet, protection: Json) -> Iterator[Box]:
    named = spreadsheet.named_ranges.get(protection.get("namedRangeId", ""))
    yield _unbounded(from_grid_range((named or protection).get("range") or {}))


def _spared(protection: Json, box: Box) -> bool:
    """Wholly within a range that the protection of a tab leaves open."""
    holes = [_unbounded(from_grid_range(hole)) for hole in protection.get("unprotectedRanges") or ()]
    return any(
        hole.row <= box.row
        and hole.column <= box.column
        and box.end_row <= hole.end_row
        and box.end_column <= hole.end_column
        for hole in holes
    )


def _unbounded(area: Area) -> Box:
    """Rows appended below the grid are within a protection that is open there."""
    far = 10**9
    return Box(
        area.row or 0,
        area.column or 0,
        far if area.end_row is None else area.end_row,
        far if area.end_column is None else area.end_column,
    )
