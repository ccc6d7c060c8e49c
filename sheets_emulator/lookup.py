"""Which developer metadata a data filter means. PROJECT visibility hides it from callers of other projects."""

from collections.abc import Sequence
from typing import Any

from sheets_emulator.errors import ApiError
from sheets_emulator.model import Metadata, Spreadsheet

_PLAIN = {"metadataId": "id", "metadataKey": "key", "metadataValue": "value", "visibility": "visibility"}


def visible(entry: Metadata, project: str) -> bool:
    return entry.visibility != "PROJECT" or entry.project == project


def matching(spreadsheet: Spreadsheet, filters: Sequence[dict[str, Any]], project: str) -> list[Metadata]:
    """In order of id. Raises ApiError 501 for a filter that is not served."""
    entries = sorted(spreadsheet.metadata.values(), key=lambda entry: entry.id)
    return [
        entry for entry in entries if visible(entry, project) and any(_matches(entry, wanted) for wanted in filters)
    ]


def _matches(entry: Metadata, wanted: dict[str, Any]) -> bool:
    look = wanted.get("developerMetadataLookup")
    if look is None:
        raise ApiError(501, "The emulator serves data filters by developerMetadataLookup only.")
    for name, value in look.items():
        if value is None or name == "locationMatchingStrategy":
            continue
        if name in _PLAIN:
            if getattr(entry, _PLAIN[name]) != value:
                return False
        elif (name == "locationType" and entry.location_type() != value) or (
            name == "metadataLocation" and not _located(entry, value)
        ):
            return False
    return True


def _located(entry: Metadata, location: dict[str, Any]) -> bool:
    if location.get("spreadsheet"):
        return entry.sheet is None
    if "sheetId" in location:
        return bool(entry.sheet == location["sheetId"])
    area = location.get("dimensionRange") or {}
    same_tab: bool = entry.sheet == area.get("sheetId", 0) and entry.dimension == area.get("dimension")
    inside: bool = area.get("startIndex", 0) <= entry.start < area.get("endIndex", 10**9)
    return same_tab and inside
