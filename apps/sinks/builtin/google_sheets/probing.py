"""Questions on which Google's documents are silent, asked of the service itself on tabs that are removed again.

The answers are named as the emulator's switches, so that it can be made to behave as Google did.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from apps.sinks.builtin.google_sheets.client import AccountRefusedError, RejectedError, SheetsClient

Request = dict[str, Any]
KEY = "formhub-probe"
ROWS = 40
FAR = 30  # a row that is far below the others


@dataclass(frozen=True, slots=True)
class Finding:
    """answer: None where it could not be asked; `remark` says why, or what else was seen."""

    name: str
    question: str
    answer: str | None
    remark: str = ""

    def __str__(self) -> str:
        remark = f" {self.remark}" if self.remark else ""
        line = f"# {self.name}: not asked" if self.answer is None else f'{self.name} = "{self.answer}"'
        return f"# {self.question}{remark}\n{line}"


class Probe:
    """`other`: a second account with access, for what one cannot find out about itself."""

    def __init__(self, client: SheetsClient, other: SheetsClient | None = None) -> None:
        self._client = client
        self._other = other
        self._marker = 1_300_000_000 + secrets.randbelow(99_999_999)

    def run(self) -> Iterator[Finding]:
        """One finding after the other. Raises the DeliveryError family where the service cannot be asked."""
        for name, question, ask in QUESTIONS:
            answer, remark = ask(self)
            yield Finding(name, question, answer, remark)

    # Questions

    def repeated_marker(self) -> tuple[str, str]:
        with self._tab() as tab:
            self._send(self._mark(), append(tab, "first"))
            try:
                refused = self._refused(self._mark(), append(tab, "second"))
                stands = self._row_of(tab, "second") is not None
            finally:
                self._refused(self._unmark())
        if refused and stands:
            return "accepted", "It was refused, and yet its rows stand there: markers cannot be relied on."
        return ("refused", "") if refused else ("accepted", "Markers cannot be relied on.")

    def unmatched_delete(self) -> tuple[str, str]:
        return ("error", "") if self._refused(self._unmark()) else ("ignored", "")

    def sorted_rows(self) -> tuple[str, str]:
        with self._tab() as tab:
            place = {"sheetId": tab.id, "dimension": "ROWS", "startIndex": 0, "endIndex": 1}
            self._send(append(tab, "a"), append(tab, "b"), self._mark({"dimensionRange": place}))
            area = {"sheetId": tab.id, "startRowIndex": 0, "endRowIndex": 2}
            spec = [{"dimensionIndex": 0, "sortOrder": "DESCENDING"}]
            self._send({"sortRange": {"range": area, "sortSpecs": spec}})
            start = self._client.place_of(self._marker)
        return ("stays", "") if start == 0 else ("follows_the_row", "")

    def after_a_note(self) -> tuple[str, str]:
        return self._far_append({"note": "a note"}, "note")

    def after_checkboxes(self) -> tuple[str, str]:
        return self._far_append({"dataValidation": {"condition": {"type": "BOOLEAN"}}}, "dataValidation")

    def below_hidden_rows(self) -> tuple[str, str]:
        with self._tab() as tab:
            self._send(*(append(tab, text) for text in ("a", "b", "c")))
            place = {"sheetId": tab.id, "dimension": "ROWS", "startIndex": 1, "endIndex": 3}
            hide = {"range": place, "properties": {"hiddenByUser": True}, "fields": "hiddenByUser"}
            self._send({"updateDimensionProperties": hide})
            self._send(append(tab, "new"))
            row = self._row_of(tab, "new")
        return ("below_the_last_row", "") if row == 3 else ("below_the_last_visible_row", f"It came to row {row}.")

    def into_protected_cells(self) -> tuple[str | None, str]:
        if self._other is None:
            return None, "Name a second account: whoever protects a range may write to it."
        with self._tab() as tab:
            self._send({"addProtectedRange": {"protectedRange": {"range": {"sheetId": tab.id}, "editors": {}}}})
            try:
                self._other.batch_update(_body(append(tab, "new")))
            except RejectedError as error:
                return ("error_403" if error.status == 403 else "error_400"), ""
            except AccountRefusedError:
                return "error_403", ""
        return None, "The second account may write to protected ranges: it owns the file."

    def included_spreadsheet(self) -> tuple[str, str]:
        with self._tab() as tab:
            answer = self._client.answered(_body(append(tab, "new"), includeSpreadsheetInResponse=True))
        cells = any(sheet.get("data") for sheet in answer.get("updatedSpreadsheet", {}).get("sheets", []))
        return ("with_cells" if cells else "without_cells"), f"The answer had {len(orjson.dumps(answer)):,} bytes."

    # Steps

    def _far_append(self, cell: Request, fields: str) -> tuple[str, str]:
        """Whether a cell without a value in a row far below pushes what is appended below itself."""
        with self._tab() as tab:
            start = {"sheetId": tab.id, "rowIndex": FAR, "columnIndex": 1}
            self._send(append(tab, "a"), {"updateCells": {"start": start, "rows": [_row(cell)], "fields": fields}})
            self._send(append(tab, "new"))
            row = self._row_of(tab, "new")
        return ("does_not_count", "") if row == 1 else ("counts_as_data", f"It came to row {row}.")

    @contextmanager
    def _tab(self) -> Iterator["Tab"]:
        tab = Tab(secrets.randbelow(2**31 - 2) + 1, f"FormHub probe {secrets.token_hex(4)}")
        grid = {"rowCount": ROWS, "columnCount": 3}
        self._send({"addSheet": {"properties": {"sheetId": tab.id, "title": tab.title, "gridProperties": grid}}})
        try:
            yield tab
        finally:
            self._send({"deleteSheet": {"sheetId": tab.id}})

    def _mark(self, location: Request | None = None) -> Request:
        wanted = {"metadataId": self._marker, "metadataKey": KEY, "visibility": "PROJECT"}
        return {
            "createDeveloperMetadata": {"developerMetadata": {**wanted, "location": location or {"spreadsheet": True}}}
        }

    def _unmark(self) -> Request:
        lookup = {"developerMetadataLookup": {"metadataId": self._marker}}
        return {"deleteDeveloperMetadata": {"dataFilter": lookup}}

    def _row_of(self, tab: "Tab", text: str) -> int | None:
        rows = self._client.values(f"'{tab.title}'!A1:C{ROWS}")
        return next((index for index, row in enumerate(rows) if text in row), None)

    def _send(self, *requests: Request) -> None:
        self._client.batch_update(_body(*requests))

    def _refused(self, *requests: Request) -> bool:
        try:
            self._send(*requests)
        except RejectedError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class Tab:
    id: int
    title: str


def append(tab: Tab, text: str) -> Request:
    cell = {"userEnteredValue": {"stringValue": text}}
    return {"appendCells": {"sheetId": tab.id, "rows": [_row(cell)], "fields": "userEnteredValue"}}


def _row(cell: Request) -> Request:
    return {"values": [cell]}


def _body(*requests: Request, **options: Any) -> bytes:
    return orjson.dumps({"requests": list(requests), **options})


Ask = Callable[[Probe], tuple[str | None, str]]


def _by_hand(why: str) -> Ask:
    return lambda probe: (None, why)


_FILES = "Not part of the Sheets API: copy, or restore, a spreadsheet by hand and look for its markers."
QUESTIONS: tuple[tuple[str, str, Ask], ...] = (
    ("repeated_metadata_id", "Is a batch with a metadata id that is in use refused whole?", Probe.repeated_marker),
    ("unmatched_metadata_delete", "Is deleting metadata that nothing matches an error?", Probe.unmatched_delete),
    ("row_metadata_in_sort", "Does the metadata of a row follow when rows are sorted?", Probe.sorted_rows),
    ("append_and_notes", "Does a stray note push appended rows below it?", Probe.after_a_note),
    ("append_and_checkboxes", "Do checkboxes push appended rows below them?", Probe.after_checkboxes),
    ("append_and_hidden_rows", "Where do rows go when the last ones are hidden?", Probe.below_hidden_rows),
    ("protected_cells", "With what is a write to a protected range refused?", Probe.into_protected_cells),
    ("included_spreadsheet", "Does includeSpreadsheetInResponse send cells?", Probe.included_spreadsheet),
    ("metadata_in_a_copy", "What becomes of developer metadata in a copy of the file?", _by_hand(_FILES)),
    ("metadata_at_a_restore", "What becomes of it when an old version is restored?", _by_hand(_FILES)),
)
