"""One spreadsheets.batchUpdate for a batch: its marker, what the tabs lack, the rows, and old markers to remove.

The marker carries the batch's id under a metadata id of our choice. Google refuses a batchUpdate as a whole if one of
its requests is invalid, and creating metadata under an id that is in use is: so the rows land if, and only if, the
marker was not there. https://developers.google.com/workspace/sheets/api/guides/metadata and
.../reference/rest/v4/spreadsheets/batchUpdate say both.
"""

import secrets
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any
from uuid import UUID
from zlib import crc32

import orjson
from django.utils.translation import gettext as _

from apps.sinks.builtin.google_sheets.cells import (
    FIELDS,
    CellData,
    cell_data,
    column_name,
    quoted,
    row_data,
    text_data,
    zone_of,
)
from apps.sinks.builtin.google_sheets.memory import ACCEPTED_AT, ID, KEY, NEXT, Memory, Tab, name_of, tag_of
from apps.sinks.contract import Batch, ConfigurationError, Part

# Ids of markers are positive 32-bit numbers from here on; those that Google draws by itself are spread over all.
MARKERS_FROM = 1_500_000_000
# A late attempt is applied within 180 s, so a marker may go after ten minutes; a hundred are kept in any case.
PRUNE_SECONDS = 600
LINKS_FROM, LINKS = 1_400_000_000, 99_999_999  # ids of what marks that a tab leads on
MARKERS_KEPT = 100
PRUNE_MAX = 200
HEADER_ROWS = 20  # looked at to find where a tab that is not ours has its columns
BOLD = {"textFormat": {"bold": True}}

Request = dict[str, Any]
ReadValues = Callable[[str], list[list[Any]]]


@dataclass(frozen=True, slots=True)
class Draft:
    """body: as it is sent. after: the memory once it is applied. parts: for each request the action it is for, None
    for those that are for all. empty: no row is missing in the spreadsheet.
    """

    body: bytes
    after: Memory
    parts: tuple[int | None, ...]
    empty: bool


def draft(batch: Batch, marker: int, memory: Memory, values: ReadValues, now: float, present: Set[UUID]) -> Draft:
    """`present`: submissions that stand in the spreadsheet already.

    Raises ConfigurationError for a tab that is gone.
    """
    after = memory.copy()
    made = _Requests()
    made.add(None, _create_marker(marker, batch.id.hex))
    empty = True
    for name, parts in _by_worksheet(batch.parts).items():
        number = _tab_of(parts, after)
        fresh = number is None
        if number is None:
            number = _new_tab(parts, after, made)
        _name(number, name, parts[0].binding, after, made)
        _Columns(number, after.tabs[number], made, (lambda area: []) if fresh else values).prepare(parts)
        empty &= not _add_rows(number, after, parts, made, present, values)
    for old in _outlived(after.markers, now):
        made.add(None, _delete_marker(old))
        del after.markers[old]
    after.markers[marker] = batch.id.hex
    return Draft(orjson.dumps({"requests": made.requests}), after, tuple(made.parts), empty)


@dataclass
class _Requests:
    requests: list[Request] = field(default_factory=list)
    parts: list[int | None] = field(default_factory=list)

    def add(self, part: int | None, request: Request) -> None:
        self.requests.append(request)
        self.parts.append(part)


def _by_worksheet(parts: Sequence[Part]) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for part in parts:
        found.setdefault(name_of(part.config["worksheet"]), []).append(part)
    return found


# Tabs


def _tab_of(parts: Sequence[Part], after: Memory) -> int | None:
    """The tab's id; None if there never was one. Raises ConfigurationError for one that was there and is gone."""
    number = after.home(parts[0].config["worksheet"])
    if number is not None and number not in after.tabs:
        raise ConfigurationError(
            _("The tab %(title)s was deleted.") % {"title": parts[0].config["worksheet"]},
            remedy=_("Bring it back from the spreadsheet's version history, or resume to begin a new one."),
            part=parts[0].binding,
        )
    return number


def _new_tab(parts: Sequence[Part], after: Memory, made: _Requests) -> int:
    """Narrow and short: every cell of the grid counts towards the spreadsheet's limit, blank or not."""
    number = secrets.randbelow(2**31 - 2) + 1
    while number in after.tabs:
        number = secrets.randbelow(2**31 - 2) + 1
    title, columns = parts[0].config["worksheet"], len(_wanted(parts))
    grid = {"rowCount": 2, "columnCount": columns, "frozenRowCount": 1}
    properties = {"sheetId": number, "title": title, "gridProperties": grid}
    made.add(parts[0].binding, {"addSheet": {"properties": properties}})
    after.tabs[number] = Tab(title, columns, rows=2)
    return number


def _name(number: int, name: str, part: int, after: Memory, made: _Requests) -> None:
    """Write the worksheet's name down on its tab, so that the tab may be renamed."""
    after.homes[name] = number
    if name not in after.tabs[number].names:
        after.tabs[number].names.append(name)
        made.add(part, _create_metadata({"metadataValue": name, "location": {"sheetId": number}}))


# Columns


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A column that a part needs."""

    tag: str
    label: str
    form: str
    part: int


def headers(part: Part) -> list[str]:
    """The first row of a tab that is made for this part alone."""
    return [wanted.label for wanted in _wanted([part]).values()]


def _wanted(parts: Sequence[Part]) -> dict[str, _Wanted]:
    """By tag. Where two forms share a tab, questions with the same key share a column."""
    first = parts[0]
    found = {
        ID: _Wanted(ID, _("Submission ID"), "", first.binding),
        ACCEPTED_AT: _Wanted(ACCEPTED_AT, _("Accepted at"), "", first.binding),
    }
    for part in parts:
        for column in part.layout.columns:
            wanted = _Wanted(tag_of(column.lasting), column.label, str(part.form), part.binding)
            found.setdefault(wanted.tag, wanted)
    return found


class _Columns:
    """Brings a tab's columns up to what its forms ask; `tab` is changed to how it looks afterwards."""

    def __init__(self, number: int, tab: Tab, made: _Requests, values: ReadValues) -> None:
        self._number = number
        self._tab = tab
        self._made = made
        self._values = values
        self._seen: list[list[Any]] | None = None

    def prepare(self, parts: Sequence[Part]) -> None:
        wanted = _wanted(parts)
        deleted = set() if any(part.config.get("restore_columns") for part in parts) else self._tab.deleted
        missing = [each for tag, each in wanted.items() if tag not in self._tab.tags and tag not in deleted]
        if missing:
            self._add(missing)
        for tag, each in wanted.items():
            if tag in self._tab.tags:
                self._tab.written.setdefault(tag, (each.label, each.form))
            if self._outdated(tag, each):
                self._rename(tag, each)

    def _add(self, missing: Sequence[_Wanted]) -> None:
        header = [str(text).strip() for text in self._header()]
        free = max(self._tab.width, *(len(row) for row in self._rows()), 0)
        taken = set(self._tab.tags.values())
        fresh: list[_Wanted] = []
        for each in missing:
            # A header that a person wrote with our words is meant for us.
            at = next((i for i, text in enumerate(header) if text == each.label and i not in taken), None)
            if at is None:
                at, free = free, free + 1
                fresh.append(each)
            taken.add(at)
            self._tab.tags[each.tag] = at
            self._tab.written[each.tag] = (each.label, each.form)
        self._widen(free, missing[0].part)
        if fresh:
            self._write_headers(fresh)
        for each in missing:
            self._made.add(each.part, _create_tag(self._number, self._tab.tags[each.tag], each.tag))

    def _widen(self, columns: int, part: int) -> None:
        lacking = columns - self._tab.columns
        if lacking > 0:
            request = {"sheetId": self._number, "dimension": "COLUMNS", "length": lacking}
            self._made.add(part, {"appendDimension": request})
            self._tab.columns = columns

    def _write_headers(self, fresh: Sequence[_Wanted]) -> None:
        """Those that were added stand side by side."""
        cells = [{**text_data(each.label), "userEnteredFormat": BOLD} for each in fresh]
        self._write(fresh[0].part, self._tab.tags[fresh[0].tag], cells, "userEnteredValue,userEnteredFormat.textFormat")

    def _outdated(self, tag: str, wanted: _Wanted) -> bool:
        label, form = self._tab.written.get(tag, ("", None))
        return tag in self._tab.tags and form == wanted.form and label != wanted.label

    def _rename(self, tag: str, wanted: _Wanted) -> None:
        """Only a header that still is as we wrote it: the owner may have found better words."""
        before, _form = self._tab.written[tag]
        at, header = self._tab.tags[tag], self._header()
        if at < len(header) and header[at] == before:
            self._write(wanted.part, at, [text_data(wanted.label)], "userEnteredValue")
        self._tab.written[tag] = (wanted.label, wanted.form)

    def _write(self, part: int, column: int, cells: list[CellData], fields: str) -> None:
        start = {"sheetId": self._number, "rowIndex": 0, "columnIndex": column}
        self._made.add(part, {"updateCells": {"start": start, "rows": [row_data(cells)], "fields": fields}})

    def _header(self) -> list[Any]:
        rows = self._rows()
        return rows[0] if rows else []

    def _rows(self) -> list[list[Any]]:
        if self._seen is None:
            self._seen = self._values(f"{quoted(self._tab.title)}!1:{HEADER_ROWS}")
        return self._seen


# Rows


def _add_rows(
    number: int, after: Memory, parts: Sequence[Part], made: _Requests, present: Set[UUID], values: ReadValues
) -> int:
    """One request per action, so that a refusal names whose rows it is about; how many rows they are."""
    tab, zone, count = after.tabs[number], zone_of(after.zone), 0
    for part in parts:
        rows = _rows(part, tab, zone, present)
        if rows:
            _place(number, tab, part, rows, made, values)
        count += len(rows)
    return count


def _rows(part: Part, tab: Tab, zone: tzinfo, present: Set[UUID]) -> list[dict[str, Any]]:
    places = {tag_of(column.lasting): index for index, column in enumerate(part.layout.columns)}
    order = [(tab.tags[tag], index) for tag, index in places.items() if tag in tab.tags]
    apostrophe = bool(part.config.get("apostrophe"))
    rows = []
    for submission in part.submissions:
        if submission.id in present:
            continue
        cells: list[CellData] = [{}] * tab.width
        shown, link = part.layout.row(submission.answers), part.link(submission)
        for at, index in order:
            cells[at] = cell_data(shown[index], zone, apostrophe=apostrophe, link=link)
        cells[tab.tags[ID]] = text_data(str(submission.id))
        if ACCEPTED_AT in tab.tags:
            cells[tab.tags[ACCEPTED_AT]] = cell_data(submission.accepted_at, zone)
        rows.append(row_data(cells))
    return rows


def _place(number: int, tab: Tab, part: Part, rows: list[dict[str, Any]], made: _Requests, values: ReadValues) -> None:
    if part.config.get("newest_first"):
        _insert(number, tab, part.binding, 1, rows[::-1], made)
    elif tab.filtered:
        # Where the last rows are filtered away, Google may take the last one to be seen for the last of all.
        _insert(number, tab, part.binding, 1 + _last_row(tab, values), rows, made)
    else:
        made.add(part.binding, {"appendCells": {"sheetId": number, "rows": rows, "fields": FIELDS}})
        tab.rows += len(rows)


def _insert(number: int, tab: Tab, part: int, at: int, rows: list[dict[str, Any]], made: _Requests) -> None:
    """Into rows of their own, so that whatever moved meanwhile is not written over."""
    if at >= tab.rows:
        lacking = at - tab.rows + 1
        made.add(part, {"appendDimension": {"sheetId": number, "dimension": "ROWS", "length": lacking}})
        tab.rows += lacking
    place = {"sheetId": number, "dimension": "ROWS", "startIndex": at, "endIndex": at + len(rows)}
    made.add(part, {"insertDimension": {"range": place, "inheritFromBefore": False}})
    start = {"sheetId": number, "rowIndex": at, "columnIndex": 0}
    made.add(part, {"updateCells": {"start": start, "rows": rows, "fields": FIELDS}})
    tab.rows += len(rows)


def _last_row(tab: Tab, values: ReadValues) -> int:
    """The last one that has one of our ids, counted from 0."""
    name = column_name(tab.tags[ID])
    return len(values(f"{quoted(tab.title)}!{name}2:{name}"))


# Markers


def _create_marker(number: int, value: str) -> Request:
    return _create_metadata({"metadataId": number, "metadataValue": value, "location": {"spreadsheet": True}})


def _create_tag(tab: int, column: int, tag: str) -> Request:
    place = {"sheetId": tab, "dimension": "COLUMNS", "startIndex": column, "endIndex": column + 1}
    return _create_metadata({"metadataValue": tag, "location": {"dimensionRange": place}})


def _create_metadata(wanted: Request) -> Request:
    return {"createDeveloperMetadata": {"developerMetadata": {"metadataKey": KEY, "visibility": "PROJECT", **wanted}}}


def _delete_marker(number: int) -> Request:
    return {"deleteDeveloperMetadata": {"dataFilter": {"developerMetadataLookup": {"metadataId": number}}}}


def lead_on(number: int, tab: Tab, to: str, address: str) -> bytes:
    """A last row with a link to the spreadsheet where the rows go on; refused where it stands already."""
    text = _("Continued in %(address)s") % {"address": address}
    cell = {**text_data(text), "userEnteredFormat": {"textFormat": {"link": {"uri": address}}}}
    rows = [row_data([*([{}] * tab.tags.get(ID, 0)), cell])]
    mark = {"metadataId": LINKS_FROM + crc32(f"{number} {to}".encode()) % LINKS, "metadataKey": NEXT}
    requests = [
        _create_metadata({**mark, "metadataValue": to, "location": {"sheetId": number}}),
        {"appendCells": {"sheetId": number, "rows": rows, "fields": "userEnteredValue,userEnteredFormat.textFormat"}},
    ]
    return orjson.dumps({"requests": requests})


def probe(number: int) -> bytes:
    """A change that leaves nothing: refused where we may not write."""
    requests = [_create_marker(number, "probe"), _delete_marker(number)]
    return orjson.dumps({"requests": requests})


def _outlived(markers: dict[int, str], now: float) -> list[int]:
    numbers = sorted(markers)[:-MARKERS_KEPT]
    return [number for number in numbers if _age(markers[number], now) > PRUNE_SECONDS][:PRUNE_MAX]


def _age(value: str, now: float) -> float:
    """Seconds since the batch was made: its id, a UUIDv7, begins with the milliseconds since 1970."""
    try:
        return now - (UUID(hex=value).int >> 80) / 1000
    except ValueError:
        return 0.0  # not one of ours
