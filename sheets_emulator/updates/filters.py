"""The filter of a tab. It only hides rows: what it hides stays where it is, and values.append does not see it."""

from collections.abc import Callable, Mapping
from typing import Any

from sheets_emulator.caller import Caller
from sheets_emulator.errors import ApiError
from sheets_emulator.model import Formula, Sheet, Spreadsheet, value_of
from sheets_emulator.render import shown
from sheets_emulator.updates.shared import Request, box_of

CONDITIONS: Mapping[str, Callable[[str, str], bool]] = {
    "BLANK": lambda text, wanted: text == "",
    "NOT_BLANK": lambda text, wanted: text != "",
    "TEXT_EQ": lambda text, wanted: text.casefold() == wanted.casefold(),
    "TEXT_CONTAINS": lambda text, wanted: wanted.casefold() in text.casefold(),
    "TEXT_NOT_CONTAINS": lambda text, wanted: wanted.casefold() not in text.casefold(),
}


def set_basic(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    wanted = request.get("filter") or {}
    sheet, box = box_of(spreadsheet, wanted.get("range"))
    criteria = _criteria(wanted)
    hidden = [row for row in range(box.row + 1, min(box.end_row, len(sheet.rows))) if _hides(sheet, row, criteria)]
    sheet.filter = {**wanted, "range": box.as_json(sheet.id)}
    _show(sheet, set(hidden))


def clear(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet = spreadsheet.sheet(request.get("sheetId") or 0)
    sheet.filter = None
    _show(sheet, set())


def _criteria(wanted: Request) -> dict[int, Request]:
    found = {int(column): each for column, each in (wanted.get("criteria") or {}).items()}
    for spec in wanted.get("filterSpecs") or ():
        found[spec.get("columnIndex") or 0] = spec.get("filterCriteria") or {}
    for each in found.values():
        kind = (each.get("condition") or {}).get("type")
        if kind is not None and kind not in CONDITIONS:
            raise ApiError(501, f"The emulator does not filter by {kind}.")
    return found


def _hides(sheet: Sheet, row: int, criteria: dict[int, Request]) -> bool:
    return any(_fails(sheet, row, column, each) for column, each in criteria.items())


def _fails(sheet: Sheet, row: int, column: int, each: Request) -> bool:
    cell = sheet.cell(row, column)
    text = "" if isinstance(value_of(cell), Formula) else str(shown(cell, "FORMATTED_VALUE", "FORMATTED_STRING"))
    if text in (each.get("hiddenValues") or ()):
        return True
    condition = each.get("condition") or {}
    if not condition.get("type"):
        return False
    values: list[dict[str, Any]] = condition.get("values") or [{}]
    return not CONDITIONS[condition["type"]](text, values[0].get("userEnteredValue") or "")


def _show(sheet: Sheet, hidden: set[int]) -> None:
    """Exactly these rows are hidden by the filter; what people hid stays so."""
    sizes = {
        row: {name: value for name, value in size.items() if name != "hiddenByFilter"}
        for row, size in sheet.sizes.get("ROWS", {}).items()
    }
    for row in hidden:
        sizes[row] = {**sizes.get(row, {}), "hiddenByFilter": True}
    sheet.sizes["ROWS"] = sizes
