"""Named ranges."""

import re

from sheets_emulator import a1, masks
from sheets_emulator.caller import Caller
from sheets_emulator.errors import ApiError, invalid
from sheets_emulator.model import Json, Spreadsheet
from sheets_emulator.updates.shared import Reply, Request, box_of, fields_of

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,249}")


def add(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    given = request.get("namedRange") or {}
    wanted = {
        "namedRangeId": given.get("namedRangeId") or str(spreadsheet.fresh_id()),
        "name": given.get("name") or "",
        "range": masks.clean(given.get("range") or {}),
    }
    if wanted["namedRangeId"] in spreadsheet.named_ranges:
        raise invalid(f"A named range with id {wanted['namedRangeId']} already exists.")
    _check(spreadsheet, wanted)
    spreadsheet.named_ranges[wanted["namedRangeId"]] = wanted
    return {"addNamedRange": {"namedRange": wanted}}


def update(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    given = request.get("namedRange") or {}
    present = _found(spreadsheet, given.get("namedRangeId") or "")
    changed = masks.merge(present, given, fields_of(request))
    changed["namedRangeId"] = present["namedRangeId"]
    _check(spreadsheet, changed)
    spreadsheet.named_ranges[present["namedRangeId"]] = changed


def delete(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    found = _found(spreadsheet, request.get("namedRangeId") or "")
    del spreadsheet.named_ranges[found["namedRangeId"]]


def _found(spreadsheet: Spreadsheet, named_range_id: str) -> Json:
    if named_range_id not in spreadsheet.named_ranges:
        raise invalid(f"No named range with id: {named_range_id}")
    return spreadsheet.named_ranges[named_range_id]


def _check(spreadsheet: Spreadsheet, wanted: Json) -> None:
    box_of(spreadsheet, wanted["range"])
    name = wanted["name"]
    if not _NAME.fullmatch(name) or _is_cell(name):
        raise invalid(f"The name of a named range is not valid: {name}")
    others = (entry for key, entry in spreadsheet.named_ranges.items() if key != wanted["namedRangeId"])
    if any(entry["name"].casefold() == name.casefold() for entry in others):
        raise invalid(f"A named range with name: {name} already exists.")


def _is_cell(name: str) -> bool:
    try:
        a1.parse_area(name, name)
    except ApiError:
        return False
    return True
