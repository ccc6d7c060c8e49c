"""Protected ranges. Who makes one, and who owns the file, may always edit it."""

from sheets_emulator import masks
from sheets_emulator.caller import Caller
from sheets_emulator.errors import invalid
from sheets_emulator.guard import REFUSAL, may_edit
from sheets_emulator.model import Json, Sheet, Spreadsheet
from sheets_emulator.updates.shared import Reply, Request, fields_of


def add(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    wanted = masks.clean(request.get("protectedRange") or {})
    number = wanted.get("protectedRangeId") or spreadsheet.fresh_id()
    if any(number in sheet.protections for sheet in spreadsheet.sheets):
        raise invalid(f"A protected range with id {number} already exists.")
    wanted = _completed(spreadsheet, {**wanted, "protectedRangeId": number}, caller)
    _sheet(spreadsheet, wanted).protections[number] = wanted
    return {"addProtectedRange": {"protectedRange": wanted}}


def update(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    given = request.get("protectedRange") or {}
    sheet, present = _editable(spreadsheet, given.get("protectedRangeId") or 0, caller)
    changed = masks.merge(present, given, fields_of(request))
    number = changed["protectedRangeId"] = present["protectedRangeId"]
    del sheet.protections[number]
    _sheet(spreadsheet, changed).protections[number] = changed


def delete(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet, present = _editable(spreadsheet, request.get("protectedRangeId") or 0, caller)
    del sheet.protections[present["protectedRangeId"]]


def _sheet(spreadsheet: Spreadsheet, protection: Json) -> Sheet:
    named = spreadsheet.named_ranges.get(protection.get("namedRangeId", ""), protection)
    return spreadsheet.sheet((named.get("range") or {}).get("sheetId", 0))


def _completed(spreadsheet: Spreadsheet, wanted: Json, caller: Caller) -> Json:
    """As it is shown: without the members that say no, with everybody who may edit it."""
    wanted = {name: value for name, value in wanted.items() if value or name == "range"}
    if wanted.get("warningOnly"):
        return wanted
    owners = [email for email, role in spreadsheet.roles.items() if role == "owner"]
    editors = wanted.get("editors") or {}
    users = list(dict.fromkeys([*(editors.get("users") or []), caller.email, *owners]))
    return {**wanted, "requestingUserCanEdit": True, "editors": {**masks.clean(editors), "users": users}}


def _editable(spreadsheet: Spreadsheet, number: int, caller: Caller) -> tuple[Sheet, Json]:
    for sheet in spreadsheet.sheets:
        if number in sheet.protections:
            present = sheet.protections[number]
            if not present.get("warningOnly") and not may_edit(spreadsheet, present, caller.email):
                raise invalid(REFUSAL)
            return sheet, present
    raise invalid(f"No protected range with id: {number}")
