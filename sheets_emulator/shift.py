"""What lies on rows and columns when others are inserted, deleted or moved: tags, merges, filters, names, sizes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from sheets_emulator.model import Json, Sheet, Spreadsheet

T = TypeVar("T")
Place = Callable[[int], int | None]  # where an index stands afterwards, None if it is gone
Span = Callable[[int, int], tuple[int, int] | None]  # the same for a range
SIDES = {"ROWS": ("startRowIndex", "endRowIndex"), "COLUMNS": ("startColumnIndex", "endColumnIndex")}


def inserted(spreadsheet: Spreadsheet, sheet: Sheet, dimension: str, at: int, count: int) -> None:
    """A range that the insertion falls into grows."""
    _apply(
        spreadsheet,
        sheet,
        dimension,
        lambda index: index + count if index >= at else index,
        lambda start, end: (start + count if start >= at else start, end + count if end > at else end),
    )


def deleted(spreadsheet: Spreadsheet, sheet: Sheet, dimension: str, first: int, last: int) -> None:
    """A range shrinks by what it loses, and goes with the last of it."""

    def kept(index: int) -> int:
        return index - max(0, min(index, last) - first)

    def span(start: int, end: int) -> tuple[int, int] | None:
        return (kept(start), kept(end)) if kept(start) < kept(end) else None

    _apply(spreadsheet, sheet, dimension, lambda index: None if first <= index < last else kept(index), span)


def moved(spreadsheet: Spreadsheet, sheet: Sheet, dimension: str, places: Mapping[int, int]) -> None:
    """A range goes from the first to the last place that its edges have come to."""

    def span(start: int, end: int) -> tuple[int, int]:
        edges = (places.get(start, start), places.get(end - 1, end - 1))
        return min(edges), max(edges) + 1

    _apply(spreadsheet, sheet, dimension, lambda index: places.get(index, index), span)


def _apply(spreadsheet: Spreadsheet, sheet: Sheet, dimension: str, place: Place, span: Span) -> None:
    for entry in spreadsheet.on(sheet.id, dimension):
        at = place(entry.start)
        if at is None:
            del spreadsheet.metadata[entry.id]
        else:
            spreadsheet.metadata[entry.id] = replace(entry, start=at)
    if dimension in sheet.sizes:
        sheet.sizes[dimension] = _indexed(sheet.sizes[dimension], place)
    if dimension in sheet.groups:
        sheet.groups[dimension] = _indexed(sheet.groups[dimension], place)
    sides = SIDES[dimension]
    sheet.merges = [area for area in (_area(each, sides, span) for each in sheet.merges) if area]
    sheet.filter = _within(sheet.filter, sides, span) if sheet.filter else None
    sheet.protections = _ranged(sheet.protections, sheet, sides, span)
    spreadsheet.named_ranges = _ranged(spreadsheet.named_ranges, sheet, sides, span)


def _indexed(found: Mapping[int, T], place: Place) -> dict[int, T]:
    moved = ((place(index), value) for index, value in found.items())
    return {index: value for index, value in moved if index is not None}


def _ranged(entries: Mapping[T, Json], sheet: Sheet, sides: tuple[str, str], span: Span) -> dict[T, Json]:
    """Entries with a range; those on other tabs, and those without one, stay as they are."""
    found: dict[T, Json] = {}
    for key, entry in entries.items():
        here = entry.get("range") is not None and entry["range"].get("sheetId", 0) == sheet.id
        changed = _within(entry, sides, span) if here else entry
        if changed is not None:
            found[key] = changed
    return found


def _within(entry: Json, sides: tuple[str, str], span: Span) -> Json | None:
    area = _area(entry.get("range") or {}, sides, span)
    return None if area is None else {**entry, "range": area}


def _area(area: Json, sides: tuple[str, str], span: Span) -> Json | None:
    """An open side stays open."""
    first, last = sides
    start, end = area.get(first), area.get(last)
    if start is None and end is None:
        return area
    far = 10**9
    found = span(start or 0, far if end is None else end)
    if found is None:
        return None
    changed = {**area, first: found[0]}
    return changed if end is None else {**changed, last: found[1]}
