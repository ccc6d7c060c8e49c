"""Groups of rows and columns that people fold: kept as a depth for each index."""

from collections.abc import Mapping

from sheets_emulator.caller import Caller
from sheets_emulator.errors import invalid
from sheets_emulator.model import Sheet, Spreadsheet
from sheets_emulator.updates.shared import Reply, Request, dimension_of

DEPTH_MAX = 8


def add(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    return {"addDimensionGroup": _change(spreadsheet, request, 1)}


def delete(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    return {"deleteDimensionGroup": _change(spreadsheet, request, -1)}


def listed(sheet: Sheet, dimension: str) -> list[Reply]:
    """Each run of neighbours at least so deep is a group of that depth."""
    depths = sheet.groups.get(dimension, {})
    found = [
        {
            "range": {"sheetId": sheet.id, "dimension": dimension, "startIndex": start, "endIndex": end},
            "depth": depth,
        }
        for depth in range(1, max(depths.values(), default=0) + 1)
        for start, end in _runs(depths, depth)
    ]
    return sorted(found, key=lambda group: (group["range"]["startIndex"], group["depth"]))


def _change(spreadsheet: Spreadsheet, request: Request, by: int) -> Reply:
    sheet, dimension, start, end = dimension_of(spreadsheet, request.get("range"))
    depths = dict(sheet.groups.get(dimension, {}))
    for index in range(start, min(end, sheet.count(dimension))):
        depths[index] = depths.get(index, 0) + by
        if depths[index] < 0:
            raise invalid("There is no group to delete in the range.")
        if depths[index] > DEPTH_MAX:
            raise invalid(f"Groups may be at most {DEPTH_MAX} deep.")
    sheet.groups[dimension] = {index: depth for index, depth in depths.items() if depth}
    found = listed(sheet, dimension)
    return {"dimensionGroups": found} if found else {}


def _runs(depths: Mapping[int, int], depth: int) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for index in sorted(index for index, found in depths.items() if found >= depth):
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs
