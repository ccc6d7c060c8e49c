"""Developer metadata: keyed notes of a program on the spreadsheet, a tab, a row or a column."""

from dataclasses import replace

from sheets_emulator import lookup
from sheets_emulator.caller import Caller
from sheets_emulator.errors import invalid
from sheets_emulator.model import Metadata, Spreadsheet
from sheets_emulator.updates.shared import Reply, Request, dimension_of, fields_of

NAMES = {"metadataKey": "key", "metadataValue": "value", "visibility": "visibility"}


def create(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    """The id may be the caller's choice; one that is in use makes the request fail."""
    wanted = request.get("developerMetadata") or {}
    given = wanted.get("metadataId")
    if given in spreadsheet.metadata and caller.switches.repeated_metadata_id == "refused":
        raise invalid(f"A developer metadata with id {given} already exists.")
    if not wanted.get("metadataKey") or not wanted.get("visibility"):
        raise invalid("Developer metadata needs a metadataKey and a visibility.")
    sheet, dimension, start = _location(spreadsheet, wanted.get("location") or {})
    entry = Metadata(
        id=given if given is not None else spreadsheet.fresh_id(),
        key=wanted["metadataKey"],
        value=wanted.get("metadataValue") or "",
        visibility=wanted["visibility"],
        project=caller.project,
        sheet=sheet,
        dimension=dimension,
        start=start,
    )
    spreadsheet.metadata[entry.id] = entry
    return {"createDeveloperMetadata": {"developerMetadata": entry.as_json()}}


def update(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    found = lookup.matching(spreadsheet, request.get("dataFilters") or [], caller.project)
    if not found:
        raise invalid("No developer metadata matches the data filters.")
    wanted = request.get("developerMetadata") or {}
    mask = fields_of(request)
    names = NAMES if "*" in mask else {name: NAMES[name] for name in mask if name in NAMES}
    for entry in found:
        changes: Reply = {attribute: wanted.get(name) or "" for name, attribute in names.items()}
        changed = replace(entry, **changes)
        if wanted.get("location") and ("*" in mask or "location" in mask):
            sheet, dimension, start = _location(spreadsheet, wanted["location"])
            changed = replace(changed, sheet=sheet, dimension=dimension, start=start)
        spreadsheet.metadata[entry.id] = changed
    made = [spreadsheet.metadata[entry.id].as_json() for entry in found]
    return {"updateDeveloperMetadata": {"developerMetadata": made}}


def delete(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    found = lookup.matching(spreadsheet, [request.get("dataFilter") or {}], caller.project)
    if not found:
        if caller.switches.unmatched_metadata_delete == "error":
            raise invalid("No developer metadata matches the data filter.")
        return {"deleteDeveloperMetadata": {}}
    for entry in found:
        del spreadsheet.metadata[entry.id]
    return {"deleteDeveloperMetadata": {"deletedDeveloperMetadata": [entry.as_json() for entry in found]}}


def _location(spreadsheet: Spreadsheet, location: Request) -> tuple[int | None, str | None, int]:
    if location.get("spreadsheet"):
        return None, None, 0
    if location.get("sheetId") is not None:
        return spreadsheet.sheet(location["sheetId"]).id, None, 0
    if area := location.get("dimensionRange"):
        sheet, dimension, start, end = dimension_of(spreadsheet, area)
        if end != start + 1 or end > sheet.count(dimension):
            raise invalid("Developer metadata may be put on a single row or column within the grid.")
        return sheet.id, dimension, start
    raise invalid("Developer metadata needs a location.")
