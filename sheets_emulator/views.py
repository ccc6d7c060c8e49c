"""A spreadsheet as the API shows it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sheets_emulator import masks, values
from sheets_emulator.a1 import Area, Box
from sheets_emulator.guard import may_edit
from sheets_emulator.masks import Mask
from sheets_emulator.model import Json, Sheet, Spreadsheet
from sheets_emulator.render import cell_data
from sheets_emulator.updates import groups
from sheets_emulator.updates.tabs import sheet_properties

DEFAULTS: Json = json.loads((Path(__file__).parent / "discovery" / "new_spreadsheet.json").read_text())
PIXELS = {"ROWS": 21, "COLUMNS": 100}
Ranges = Sequence[tuple[Sheet, Area]]


def spreadsheet_body(found: Spreadsheet, mask: Mask, ranges: Sequence[str], grid: bool, url: str, email: str) -> Json:
    """A Spreadsheet resource; grid data only where it is asked for, by `grid` or by the mask."""
    located = [values.locate(found, text) for text in ranges]
    named = bool(mask) and "*" not in mask
    grid = masks.wants(mask, "sheets", "data") if named else grid
    chosen = [sheet for sheet in found.sheets if not located or any(sheet is each for each, _ in located)]
    properties = {
        "title": found.title,
        "locale": found.locale,
        "autoRecalc": "ON_CHANGE",
        "timeZone": found.time_zone,
        **DEFAULTS,
        **found.properties,
    }
    body: Json = {
        "spreadsheetId": found.id,
        "properties": properties,
        "sheets": [_sheet(found, sheet, grid, located, mask, email) for sheet in chosen],
        "spreadsheetUrl": f"{url}/spreadsheets/{found.id}",
    }
    if found.named_ranges:
        body["namedRanges"] = list(found.named_ranges.values())
    if metadata := [entry.as_json() for entry in found.metadata.values() if entry.sheet is None]:
        body["developerMetadata"] = metadata
    return body


def _sheet(found: Spreadsheet, sheet: Sheet, grid: bool, ranges: Ranges, mask: Mask, email: str) -> Json:
    """Members that are empty are left out."""
    mine = [entry for entry in found.metadata.values() if entry.sheet == sheet.id and entry.dimension is None]
    members: Json = {
        "merges": sheet.merges,
        "protectedRanges": [_protection(found, entry, email) for entry in sheet.protections.values()],
        "basicFilter": sheet.filter,
        "developerMetadata": [entry.as_json() for entry in mine],
        "rowGroups": groups.listed(sheet, "ROWS"),
        "columnGroups": groups.listed(sheet, "COLUMNS"),
    }
    if grid:
        areas = [area for each, area in ranges if each is sheet] or [Area()]
        members["data"] = [_grid(found, sheet, values.bounded(sheet, area), mask) for area in areas]
    return {"properties": sheet_properties(sheet)} | {name: value for name, value in members.items() if value}


def _protection(found: Spreadsheet, entry: Json, email: str) -> Json:
    """Who may edit it is shown only to those who may."""
    shown = {name: value for name, value in entry.items() if name not in {"requestingUserCanEdit", "editors"}}
    if entry.get("warningOnly"):
        return shown
    return (
        {**shown, "requestingUserCanEdit": True, "editors": entry["editors"]}
        if may_edit(found, entry, email)
        else shown
    )


def _grid(found: Spreadsheet, sheet: Sheet, box: Box, mask: Mask) -> Json:
    """What the mask would drop again is not made: a tab may have millions of cells."""
    members: Json = {"startRow": box.row, "startColumn": box.column}
    if masks.wants(mask, "sheets", "data", "rowData"):
        lines = sheet.rows.between(box.row, box.end_row)
        members["rowData"] = [_row(line[box.column : box.end_column]) for line in lines]
    if masks.wants(mask, "sheets", "data", "rowMetadata"):
        members["rowMetadata"] = _sizes(found, sheet, "ROWS", range(box.row, box.end_row))
    if masks.wants(mask, "sheets", "data", "columnMetadata"):
        members["columnMetadata"] = _sizes(found, sheet, "COLUMNS", range(box.column, box.end_column))
    return {name: value for name, value in members.items() if value}


def _row(line: Sequence[object]) -> Json:
    cells = [cell_data(cell) for cell in line]  # type: ignore[arg-type]
    return {"values": cells} if cells else {}


def _sizes(found: Spreadsheet, sheet: Sheet, dimension: str, indexes: range) -> list[Json]:
    sizes: Mapping[int, Json] = sheet.sizes.get(dimension, {})
    tags: dict[int, list[Json]] = {}
    for entry in found.on(sheet.id, dimension):
        tags.setdefault(entry.start, []).append(entry.as_json())
    return [
        {"pixelSize": PIXELS[dimension], **sizes.get(index, {})}
        | ({"developerMetadata": tags[index]} if index in tags else {})
        for index in indexes
    ]
