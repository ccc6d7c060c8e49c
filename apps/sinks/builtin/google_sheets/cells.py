"""Answers as cells: typed values, so that nothing a respondent writes is ever read as a formula."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from formhub.core.layout import Cell

# Serial days are counted from here, in the spreadsheet's own time zone.
EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - local to the spreadsheet
CELL_TEXT_MAX = 50_000
CUT = " [cut: the full answer is in FormHub]"
CUT_AT = " [cut: the full answer is at {}]"
LIKE_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")
DATE_FORMAT = {"numberFormat": {"type": "DATE", "pattern": "yyyy-mm-dd"}}
TIME_FORMAT = {"numberFormat": {"type": "DATE_TIME", "pattern": "yyyy-mm-dd hh:mm:ss"}}
FIELDS = "userEnteredValue,userEnteredFormat.numberFormat"

CellData = dict[str, Any]


def zone_of(name: str) -> tzinfo:
    """The spreadsheet's time zone; UTC for a name that is not known here."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def row_data(cells: Sequence[CellData]) -> dict[str, Any]:
    return {"values": list(cells)}


def cell_data(cell: Cell, zone: tzinfo, *, apostrophe: bool = False, link: str = "") -> CellData:
    """A CellData of the API; an empty one leaves the cell blank. link: where an answer that is cut stands whole."""
    match cell:
        case None | "":
            return {}
        case bool():
            return {"userEnteredValue": {"boolValue": cell}}
        case int() | float():
            return {"userEnteredValue": {"numberValue": cell}}
        case datetime():
            local = cell.astimezone(zone).replace(tzinfo=None) if cell.tzinfo else cell
            days = (local - EPOCH).total_seconds() / 86_400
            return {"userEnteredValue": {"numberValue": days}, "userEnteredFormat": TIME_FORMAT}
        case date():
            return {"userEnteredValue": {"numberValue": (cell - EPOCH.date()).days}, "userEnteredFormat": DATE_FORMAT}
    return text_data("'" + cell if apostrophe and cell.startswith(LIKE_A_FORMULA) else cell, link)


def text_data(text: str, link: str = "") -> CellData:
    return {"userEnteredValue": {"stringValue": _fitting(text, link)}}


def _fitting(text: str, link: str) -> str:
    """Cut visibly where it is longer than a cell takes. A cell counts UTF-16 units, as a browser does."""
    if len(text) * 2 <= CELL_TEXT_MAX or len(text.encode("utf-16-le")) // 2 <= CELL_TEXT_MAX:
        return text
    cut = CUT_AT.format(link) if link else CUT
    kept = text.encode("utf-16-le")[: (CELL_TEXT_MAX - len(cut)) * 2]
    return kept.decode("utf-16-le", "ignore") + cut


def column_name(index: int) -> str:
    """A for 0, Z for 25, AA for 26."""
    name = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def quoted(title: str) -> str:
    """A tab's title in A1 notation; quotes keep one that looks like a cell from being one."""
    return "'" + title.replace("'", "''") + "'"
