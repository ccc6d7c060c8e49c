"""spreadsheets.batchUpdate: each kind of request as a function on a copy of the spreadsheet.

A function gets the spreadsheet, the request and the caller; it returns its reply and raises ApiError 400. A kind that
is not in the table is answered with an honest 501.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sheets_emulator import lookup
from sheets_emulator.errors import ApiError, invalid
from sheets_emulator.model import DEFAULT_COLUMNS, DEFAULT_ROWS, Cell, Metadata, Sheet, Spreadsheet, moved, value_of
from sheets_emulator.render import from_cell_data

REQUESTS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Caller:
    email: str
    project: str


Request = dict[str, Any]
Reply = dict[str, Any]
Update = Callable[[Spreadsheet, Request, Caller], Reply | None]


def run(spreadsheet: Spreadsheet, requests: list[Request], caller: Caller) -> tuple[Spreadsheet, list[Reply]]:
    """All of the requests in order on a copy, or none: the first that fails names itself. Raises ApiError."""
    if not requests:
        raise invalid("Must specify at least one request.")
    if len(requests) > REQUESTS_MAX:
        raise invalid(f"At most {REQUESTS_MAX} requests are allowed.")
    twin = spreadsheet.copy()
    replies: list[Reply] = []
    for index, request in enumerate(requests):
        kinds = [kind for kind, value in request.items() if value is not None]
        if len(kinds) != 1:
            raise invalid(f"Invalid requests[{index}]: exactly one kind of request must be set.")
        [kind] = kinds
        if kind not in UPDATES:
            raise ApiError(501, f"The emulator does not serve {kind}.")
        try:
            replies.append(UPDATES[kind](twin, request[kind], caller) or {})
        except ApiError as error:
            if error.code == 400:
                raise ApiError(400, f"Invalid requests[{index}].{kind}: {error.message}", error.details) from None
            raise
    twin.check_size()
    return twin, replies


# Tabs


def add_sheet(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    properties = dict(request.get("properties") or {})
    title = properties.pop("title", None) or _free_title(spreadsheet)
    if spreadsheet.titled(title):
        raise invalid(f'A sheet with the name "{title}" already exists. Please enter another name.')
    sheet_id = properties.pop("sheetId", None)
    if sheet_id is None:
        sheet_id = spreadsheet.fresh_id()
    if any(sheet.id == sheet_id for sheet in spreadsheet.sheets):
        raise invalid(f"Sheet with id {sheet_id} already exists.")
    grid = properties.pop("gridProperties", None) or {}
    sheet = Sheet(
        sheet_id,
        title,
        row_count=grid.pop("rowCount", DEFAULT_ROWS),
        column_count=grid.pop("columnCount", DEFAULT_COLUMNS),
        properties={**properties, "gridProperties": grid},
    )
    at = properties.pop("index", len(spreadsheet.sheets))
    sheet.properties.pop("index", None)
    spreadsheet.sheets.insert(at, sheet)
    _renumber(spreadsheet)
    return {"addSheet": {"properties": sheet_properties(sheet)}}


def delete_sheet(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet = spreadsheet.sheet(request.get("sheetId", 0))
    if len(spreadsheet.sheets) == 1:
        raise invalid("You can't remove all the sheets in a document.")
    spreadsheet.sheets.remove(sheet)
    spreadsheet.metadata = {key: entry for key, entry in spreadsheet.metadata.items() if entry.sheet != sheet.id}
    _renumber(spreadsheet)


def update_sheet_properties(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    properties = request.get("properties") or {}
    sheet = spreadsheet.sheet(properties.get("sheetId", 0))
    for name in _fields(request):
        if name == "title":
            other = spreadsheet.titled(properties["title"])
            if other is not None and other is not sheet:
                raise invalid(f'A sheet with the name "{properties["title"]}" already exists.')
            sheet.title = properties["title"]
        elif name.startswith("gridProperties") or name == "*":
            _resize(sheet, properties.get("gridProperties") or {}, name.partition(".")[2])
        elif name == "index":
            spreadsheet.sheets.remove(sheet)
            spreadsheet.sheets.insert(properties.get("index", 0), sheet)
            _renumber(spreadsheet)
        else:
            sheet.properties[name] = properties.get(name)


def update_spreadsheet_properties(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    properties = request.get("properties") or {}
    names = {"title": "title", "locale": "locale", "timeZone": "time_zone"}
    for name in _fields(request):
        if name not in names:
            raise ApiError(501, f"The emulator does not serve the spreadsheet property {name}.")
        setattr(spreadsheet, names[name], properties.get(name, ""))


# Cells


def append_cells(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    """After the last row with data anywhere on the tab, always from column A; the grid grows as needed."""
    sheet = spreadsheet.sheet(request.get("sheetId", 0))
    fields = _cell_fields(request)
    rows = [
        tuple(from_cell_data(data or {}, fields) for data in row.get("values") or ())
        for row in request.get("rows") or ()
    ]
    start = sheet.last_row()
    _guard(spreadsheet, sheet, start, start + len(rows), caller)
    width = max((len(row) for row in rows), default=0)
    sheet.grow(start + len(rows), width)
    del sheet.rows[start:]
    sheet.rows += rows


def update_cells(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    fields = _cell_fields(request)
    area = request.get("range")
    start = request.get("start") or area or {}
    sheet = spreadsheet.sheet(start.get("sheetId", 0))
    row, column = (
        start.get("rowIndex", start.get("startRowIndex", 0)),
        start.get("columnIndex", start.get("startColumnIndex", 0)),
    )
    rows = request.get("rows") or []
    end = area.get("endRowIndex", row + len(rows)) if area else row + len(rows)
    _guard(spreadsheet, sheet, row, end, caller, column)
    for offset in range(end - row):
        given = (rows[offset].get("values") or []) if offset < len(rows) else []
        width = max(len(given), (area or {}).get("endColumnIndex", 0) - column)
        made: list[Cell] = [
            from_cell_data(given[at] if at < len(given) else {}, fields, sheet.cell(row + offset, column + at))
            for at in range(width)
        ]
        sheet.write_row(row + offset, column, made)


def repeat_cell(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    fields = _cell_fields(request)
    area = request.get("range") or {}
    sheet = spreadsheet.sheet(area.get("sheetId", 0))
    row, end = area.get("startRowIndex", 0), area.get("endRowIndex", sheet.row_count)
    column, last = area.get("startColumnIndex", 0), area.get("endColumnIndex", sheet.column_count)
    _guard(spreadsheet, sheet, row, end, caller, column)
    # A format of a whole column would fill the grid with empty cells: only rows that hold something are kept.
    for at in range(row, min(end, max(len(sheet.rows), row + 1))):
        cells = [
            from_cell_data(request.get("cell") or {}, fields, sheet.cell(at, index)) for index in range(column, last)
        ]
        sheet.write_row(at, column, cells)


# Rows and columns


def append_dimension(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet = spreadsheet.sheet(request.get("sheetId", 0))
    length = request.get("length", 0)
    if request.get("dimension") == "COLUMNS":
        sheet.grow(sheet.row_count, sheet.column_count + length)
    else:
        sheet.grow(sheet.row_count + length, sheet.column_count)


def insert_dimension(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet, dimension, start, end = _range(spreadsheet, request.get("range") or {})
    (sheet.insert_columns if dimension == "COLUMNS" else sheet.insert_rows)(start, end - start)
    for entry in spreadsheet.on(sheet.id, dimension):
        if entry.start >= start:
            spreadsheet.metadata[entry.id] = replace(entry, start=entry.start + end - start)


def delete_dimension(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet, dimension, start, end = _range(spreadsheet, request.get("range") or {})
    (sheet.delete_columns if dimension == "COLUMNS" else sheet.delete_rows)(start, end)
    for entry in spreadsheet.on(sheet.id, dimension):
        if start <= entry.start < end:
            del spreadsheet.metadata[entry.id]
        elif entry.start >= end:
            spreadsheet.metadata[entry.id] = replace(entry, start=entry.start - (end - start))


def move_dimension(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet, dimension, start, end = _range(spreadsheet, request.get("source") or {})
    to = request.get("destinationIndex", 0)
    size = sheet.column_count if dimension == "COLUMNS" else sheet.row_count
    if dimension == "COLUMNS":
        sheet.move_columns(start, end, to)
    else:
        sheet.rows = moved([*sheet.rows, *([()] * (max(end, to) - len(sheet.rows)))], start, end, to)
    places = {old: new for new, old in enumerate(moved(list(range(size)), start, end, to))}
    for entry in spreadsheet.on(sheet.id, dimension):
        spreadsheet.metadata[entry.id] = replace(entry, start=places[entry.start])


def update_dimension_properties(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    sheet, dimension, start, end = _range(spreadsheet, request.get("range") or {})
    if dimension == "COLUMNS":
        for index in range(start, end):
            sheet.column_sizes[index] = {**sheet.column_sizes.get(index, {}), **(request.get("properties") or {})}


def sort_range(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    """Values move between rows; metadata of columns does not."""
    area = request.get("range") or {}
    sheet = spreadsheet.sheet(area.get("sheetId", 0))
    start, end = area.get("startRowIndex", 0), min(area.get("endRowIndex", len(sheet.rows)), len(sheet.rows))
    block = sheet.rows[start:end]
    for spec in reversed(request.get("sortSpecs") or []):
        index = spec.get("dimensionIndex", 0)
        down = spec.get("sortOrder") == "DESCENDING"
        block.sort(key=lambda row: _sort_key(row[index] if index < len(row) else None), reverse=down)
    sheet.rows[start:end] = block


# Filters, merges, protections


def set_basic_filter(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    wanted = request.get("filter") or {}
    spreadsheet.sheet((wanted.get("range") or {}).get("sheetId", 0)).filter = wanted


def clear_basic_filter(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    spreadsheet.sheet(request.get("sheetId", 0)).filter = None


def merge_cells(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    area = request.get("range") or {}
    spreadsheet.sheet(area.get("sheetId", 0)).merges.append(area)


def add_protected_range(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    wanted = dict(request.get("protectedRange") or {})
    sheet = spreadsheet.sheet((wanted.get("range") or {}).get("sheetId", 0))
    wanted["protectedRangeId"] = wanted.get("protectedRangeId") or spreadsheet.fresh_id()
    sheet.protections[wanted["protectedRangeId"]] = wanted
    return {"addProtectedRange": {"protectedRange": wanted}}


def delete_protected_range(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> None:
    for sheet in spreadsheet.sheets:
        if sheet.protections.pop(request.get("protectedRangeId", 0), None):
            return
    raise invalid(f"No protected range with id: {request.get('protectedRangeId')}")


# Developer metadata


def create_developer_metadata(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    """The id may be the caller's choice; one that is in use makes the request fail."""
    wanted = request.get("developerMetadata") or {}
    given = wanted.get("metadataId")
    if given is not None and given in spreadsheet.metadata:
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


def update_developer_metadata(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    found = lookup.matching(spreadsheet, request.get("dataFilters") or [], caller.project)
    if not found:
        raise invalid("No developer metadata matches the data filters.")
    wanted = request.get("developerMetadata") or {}
    names = {"metadataKey": "key", "metadataValue": "value", "visibility": "visibility"}
    for entry in found:
        changes = {names[name]: wanted.get(name, "") for name in _fields(request) if name in names}
        spreadsheet.metadata[entry.id] = replace(entry, **changes)
    made = [spreadsheet.metadata[entry.id].as_json() for entry in found]
    return {"updateDeveloperMetadata": {"developerMetadata": made}}


def delete_developer_metadata(spreadsheet: Spreadsheet, request: Request, caller: Caller) -> Reply:
    """One that matches nothing is an error here: Google does not say, and this is the unpleasant variant."""
    found = lookup.matching(spreadsheet, [request.get("dataFilter") or {}], caller.project)
    if not found:
        raise invalid("No developer metadata matches the data filter.")
    for entry in found:
        del spreadsheet.metadata[entry.id]
    return {"deleteDeveloperMetadata": {"deletedDeveloperMetadata": [entry.as_json() for entry in found]}}


UPDATES: Mapping[str, Update] = {
    "addProtectedRange": add_protected_range,
    "addSheet": add_sheet,
    "appendCells": append_cells,
    "appendDimension": append_dimension,
    "clearBasicFilter": clear_basic_filter,
    "createDeveloperMetadata": create_developer_metadata,
    "deleteDeveloperMetadata": delete_developer_metadata,
    "deleteDimension": delete_dimension,
    "deleteProtectedRange": delete_protected_range,
    "deleteSheet": delete_sheet,
    "insertDimension": insert_dimension,
    "mergeCells": merge_cells,
    "moveDimension": move_dimension,
    "repeatCell": repeat_cell,
    "setBasicFilter": set_basic_filter,
    "sortRange": sort_range,
    "updateCells": update_cells,
    "updateDeveloperMetadata": update_developer_metadata,
    "updateDimensionProperties": update_dimension_properties,
    "updateSheetProperties": update_sheet_properties,
    "updateSpreadsheetProperties": update_spreadsheet_properties,
}


def sheet_properties(sheet: Sheet) -> Reply:
    extra = {name: value for name, value in sheet.properties.items() if name != "gridProperties" and value is not None}
    grid = {"rowCount": sheet.row_count, "columnCount": sheet.column_count}
    grid |= {name: value for name, value in (sheet.properties.get("gridProperties") or {}).items() if value}
    return {
        "sheetId": sheet.id,
        "title": sheet.title,
        "index": sheet.index,
        "sheetType": "GRID",
        "gridProperties": grid,
        **extra,
    }


def guard_protected(spreadsheet: Spreadsheet, sheet: Sheet, start: int, end: int, email: str, column: int = 0) -> None:
    """Being an editor of the file does not reach into a protected range. Raises ApiError 400."""
    for protection in sheet.protections.values():
        area = protection.get("range") or {}
        editors = (protection.get("editors") or {}).get("users") or []
        if protection.get("warningOnly") or email in editors or spreadsheet.roles.get(email) == "owner":
            continue
        rows_meet = start < area.get("endRowIndex", 10**9) and end > area.get("startRowIndex", 0)
        if rows_meet and column < area.get("endColumnIndex", 10**9):
            raise invalid(
                "You are trying to edit a protected cell or object. Please contact the spreadsheet owner to remove "
                "protection if you need to edit."
            )


def _guard(spreadsheet: Spreadsheet, sheet: Sheet, start: int, end: int, caller: Caller, column: int = 0) -> None:
    guard_protected(spreadsheet, sheet, start, end, caller.email, column)


def _fields(request: Request) -> list[str]:
    names = [name.strip() for name in (request.get("fields") or "").split(",") if name.strip()]
    if not names:
        raise invalid("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
    return names


def _cell_fields(request: Request) -> set[str]:
    return {name.split(".")[0].split("(")[0] for name in _fields(request)}


def _range(spreadsheet: Spreadsheet, area: Request) -> tuple[Sheet, str, int, int]:
    sheet = spreadsheet.sheet(area.get("sheetId", 0))
    dimension = area.get("dimension")
    if dimension not in {"ROWS", "COLUMNS"}:
        raise invalid("A dimension, ROWS or COLUMNS, must be specified.")
    start, end = area.get("startIndex", 0), area.get("endIndex", 0)
    if not 0 <= start < end:
        raise invalid("The range must not be empty.")
    return sheet, dimension, start, end


def _location(spreadsheet: Spreadsheet, location: Request) -> tuple[int | None, str | None, int]:
    if location.get("spreadsheet"):
        return None, None, 0
    if "sheetId" in location:
        return spreadsheet.sheet(location["sheetId"]).id, None, 0
    if area := location.get("dimensionRange"):
        sheet, dimension, start, end = _range(spreadsheet, area)
        limit = sheet.column_count if dimension == "COLUMNS" else sheet.row_count
        if end != start + 1 or end > limit:
            raise invalid("Developer metadata may be put on a single row or column within the grid.")
        return sheet.id, dimension, start
    raise invalid("Developer metadata needs a location.")


def _resize(sheet: Sheet, grid: Request, name: str) -> None:
    names = [name] if name else list(grid)
    for member in names:
        if member == "rowCount":
            sheet.row_count = grid["rowCount"]
            del sheet.rows[sheet.row_count :]
        elif member == "columnCount":
            sheet.column_count = grid["columnCount"]
            sheet.rows = [row[: sheet.column_count] for row in sheet.rows]
        else:
            present = sheet.properties.get("gridProperties") or {}
            sheet.properties["gridProperties"] = {**present, member: grid.get(member)}


def _free_title(spreadsheet: Spreadsheet) -> str:
    number = len(spreadsheet.sheets) + 1
    while spreadsheet.titled(f"Sheet{number}"):
        number += 1
    return f"Sheet{number}"


def _renumber(spreadsheet: Spreadsheet) -> None:
    for index, sheet in enumerate(spreadsheet.sheets):
        sheet.index = index


def _sort_key(cell: Cell) -> tuple[int, Any]:
    value = value_of(cell)
    if value is None:
        return (2, 0)
    return (0, float(value)) if isinstance(value, int | float) else (1, str(value).casefold())
