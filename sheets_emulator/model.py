"""Spreadsheets in memory. A copy is cheap (rows are shared and never changed in place), so that a batch of updates can
work on a copy that takes the place of the original only if all of it succeeded.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sheets_emulator.a1 import Box
from sheets_emulator.errors import ApiError, invalid
from sheets_emulator.grid import Rows

CELLS_MAX = 10_000_000
COLUMNS_MAX = 18_278
CELL_TEXT_MAX = 50_000
METADATA_MAX = 30_000
DEFAULT_ROWS = 1000
DEFAULT_COLUMNS = 26
Json = dict[str, Any]
ROLES = ("owner", "writer", "commenter", "reader")


@dataclass(frozen=True, slots=True)
class Formula:
    """Kept as its text: nothing is computed here."""

    text: str


Value = str | float | bool | Formula | None


@dataclass(frozen=True, slots=True)
class Rich:
    """A cell with more than a value: a user-entered format, a note, a rule of data validation."""

    value: Value
    format: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    rule: Mapping[str, Any] | None = None


Cell = Value | Rich
Row = tuple[Cell, ...]


def value_of(cell: Cell) -> Value:
    return cell.value if isinstance(cell, Rich) else cell


def rich(cell: Cell) -> Rich:
    return cell if isinstance(cell, Rich) else Rich(cell)


def plain(cell: Rich) -> Cell:
    """The bare value of a cell that has nothing else."""
    return cell if cell.format or cell.note or cell.rule else cell.value


def with_value(cell: Cell, value: Value) -> Cell:
    """Another value in a cell whose format, note and rule stay."""
    return Rich(value, cell.format, cell.note, cell.rule) if isinstance(cell, Rich) else value


def has_data(cell: Cell) -> bool:
    return value_of(cell) is not None


def check_value(value: Value) -> None:
    """Raises ApiError 400 for a text no cell holds."""
    text = value.text if isinstance(value, Formula) else value
    if isinstance(text, str) and len(text) > CELL_TEXT_MAX:
        raise invalid(f"Your input contains more than the maximum of {CELL_TEXT_MAX} characters in a single cell.")


@dataclass
class Sheet:
    """One tab. `rows` ends with the last row that was ever written; the grid may be larger.

    `sizes` holds the properties of single rows and columns, `groups` their groups, both by ROWS or COLUMNS.
    """

    id: int
    title: str
    index: int = 0
    row_count: int = DEFAULT_ROWS
    column_count: int = DEFAULT_COLUMNS
    rows: Rows = field(default_factory=Rows)
    properties: Json = field(default_factory=dict)
    protections: dict[int, Json] = field(default_factory=dict)
    filter: Json | None = None
    merges: list[Json] = field(default_factory=list)
    sizes: dict[str, dict[int, Json]] = field(default_factory=dict)
    groups: dict[str, dict[int, int]] = field(default_factory=dict)

    def copy(self) -> "Sheet":
        """The dictionaries inside `sizes` and `groups` are shared: who changes one puts another in its place."""
        twin = copy.copy(self)
        twin.rows = self.rows.copy()
        twin.properties = dict(self.properties)
        twin.protections = dict(self.protections)
        twin.merges = list(self.merges)
        twin.sizes = dict(self.sizes)
        twin.groups = dict(self.groups)
        return twin

    @property
    def cells(self) -> int:
        return self.row_count * self.column_count

    def count(self, dimension: str) -> int:
        return self.column_count if dimension == "COLUMNS" else self.row_count

    def cell(self, row: int, column: int) -> Cell:
        if row >= len(self.rows) or column >= len(self.rows[row]):
            return None
        cell: Cell = self.rows[row][column]
        return cell

    def last_row(self) -> int:
        """The number of rows up to the last one with data anywhere."""
        count = len(self.rows)
        while count and not any(has_data(cell) for cell in self.rows[count - 1]):
            count -= 1
        return count

    def hidden(self, row: int) -> bool:
        size = self.sizes.get("ROWS", {}).get(row, {})
        return bool(size.get("hiddenByUser") or size.get("hiddenByFilter"))

    def write_row(self, row: int, column: int, cells: list[Cell]) -> None:
        """Overwrite cells from a place on. Raises ApiError 400 beyond the grid."""
        if row >= self.row_count or column + len(cells) > self.column_count:
            raise self.beyond(row, column + len(cells) - 1)
        if len(self.rows) <= row:
            self.rows.extend([()] * (row + 1 - len(self.rows)))
        present = list(self.rows[row])
        present += [None] * (column + len(cells) - len(present))
        present[column : column + len(cells)] = cells
        self.rows[row] = tuple(present)

    def beyond(self, row: int, column: int) -> ApiError:
        return self.too_far(Box(row, column, row + 1, column + 1).name(self.title))

    def too_far(self, text: str) -> ApiError:
        return invalid(
            f"Range ({text}) exceeds grid limits. Max rows: {self.row_count}, max columns: {self.column_count}"
        )

    def grow(self, rows: int, columns: int) -> None:
        self.row_count = max(self.row_count, rows)
        self.column_count = max(self.column_count, columns)
        if self.column_count > COLUMNS_MAX:
            raise invalid(f"A sheet may have at most {COLUMNS_MAX} columns.")

    def insert_columns(self, at: int, count: int) -> None:
        self.grow(self.row_count, self.column_count + count)
        self.rows = Rows(row if len(row) <= at else (*row[:at], *([None] * count), *row[at:]) for row in self.rows)

    def delete_columns(self, start: int, end: int) -> None:
        if end - start >= self.column_count:
            raise invalid("You can't delete all the columns on the sheet.")
        self.column_count -= end - start
        self.rows = Rows((*row[:start], *row[end:]) for row in self.rows)

    def move_columns(self, start: int, end: int, to: int) -> None:
        self.rows = Rows(
            tuple(moved([*row, *([None] * (self.column_count - len(row)))], start, end, to)) for row in self.rows
        )

    def insert_rows(self, at: int, count: int) -> None:
        self.row_count += count
        if at < len(self.rows):
            self.rows.replace(at, at, [()] * count)

    def delete_rows(self, start: int, end: int) -> None:
        if end - start >= self.row_count:
            raise invalid("You can't delete all the rows on the sheet.")
        self.row_count -= end - start
        self.rows.replace(start, end, ())

    def move_rows(self, start: int, end: int, to: int) -> None:
        missing = max(end, to) - len(self.rows)
        self.rows = Rows(moved([*self.rows, *([()] * missing)], start, end, to))


@dataclass(frozen=True)
class Metadata:
    """Developer metadata. A place is the spreadsheet (both None), a tab, or a column or row of a tab."""

    id: int
    key: str
    value: str
    visibility: str
    project: str
    sheet: int | None = None
    dimension: str | None = None
    start: int = 0

    @property
    def size(self) -> int:
        return len(self.key) + len(self.value)

    def location_type(self) -> str:
        if self.sheet is None:
            return "SPREADSHEET"
        return {None: "SHEET", "COLUMNS": "COLUMN", "ROWS": "ROW"}[self.dimension]

    def as_json(self) -> dict[str, Any]:
        location: dict[str, Any] = {"locationType": self.location_type()}
        if self.sheet is None:
            location["spreadsheet"] = True
        elif self.dimension is None:
            location["sheetId"] = self.sheet
        else:
            location["dimensionRange"] = {
                "sheetId": self.sheet,
                "dimension": self.dimension,
                "startIndex": self.start,
                "endIndex": self.start + 1,
            }
        found = {"metadataId": self.id, "metadataKey": self.key, "location": location, "visibility": self.visibility}
        return found | ({"metadataValue": self.value} if self.value else {})


@dataclass
class Spreadsheet:
    """`roles` maps whom a file is shared with to owner, writer, commenter or reader.

    Whom: an e-mail address, `group:` and one, `domain:` and a domain, or `anyone`.
    """

    id: str
    title: str
    roles: dict[str, str] = field(default_factory=dict)
    locale: str = "en_US"
    time_zone: str = "Etc/GMT"
    sheets: list[Sheet] = field(default_factory=list)
    metadata: dict[int, Metadata] = field(default_factory=dict)
    next_id: int = 1
    named_ranges: dict[str, Json] = field(default_factory=dict)
    properties: Json = field(default_factory=dict)
    created: float = 0.0
    modified: float = 0.0
    folder: str = ""
    pending_owner: str = ""
    comments: list[Json] = field(default_factory=list)
    versions: "dict[str, Spreadsheet]" = field(default_factory=dict, repr=False)

    def copy(self) -> "Spreadsheet":
        twin = copy.copy(self)
        twin.sheets = [sheet.copy() for sheet in self.sheets]
        twin.metadata = dict(self.metadata)
        twin.roles = dict(self.roles)
        twin.named_ranges = dict(self.named_ranges)
        twin.properties = dict(self.properties)
        twin.comments = list(self.comments)
        return twin

    def role(self, email: str) -> str | None:
        """What an account may do. Who is in a group nobody knows here, so a share with one reaches nobody."""
        shares = (email, f"domain:{email.rpartition('@')[2]}", "anyone")
        found = [self.roles[share] for share in shares if share in self.roles]
        return min(found, key=ROLES.index, default=None)

    def fresh_id(self) -> int:
        """A small number not used yet for a tab, a protection or metadata; the same one when a journal is replayed."""
        taken = {sheet.id for sheet in self.sheets} | self.metadata.keys()
        taken |= {number for sheet in self.sheets for number in sheet.protections}
        self.next_id += 1
        while self.next_id in taken:
            self.next_id += 1
        return self.next_id

    def sheet(self, sheet_id: int) -> Sheet:
        """Raises ApiError 400."""
        for sheet in self.sheets:
            if sheet.id == sheet_id:
                return sheet
        raise invalid(f"No sheet with id: {sheet_id}")

    def titled(self, title: str) -> Sheet | None:
        folded = title.casefold()
        return next((sheet for sheet in self.sheets if sheet.title.casefold() == folded), None)

    def renumber(self) -> None:
        for index, sheet in enumerate(self.sheets):
            sheet.index = index

    def check_cells(self) -> None:
        """Raises ApiError 400 for more cells than a spreadsheet holds, empty ones counted."""
        if sum(sheet.cells for sheet in self.sheets) > CELLS_MAX:
            raise invalid(
                "This action would increase the number of cells in the workbook above the limit of 10000000 cells."
            )

    def check_metadata(self) -> None:
        """Raises ApiError 400 where a tab, or the spreadsheet itself, carries more than it may."""
        sizes: dict[int | None, int] = {}
        for entry in self.metadata.values():
            sizes[entry.sheet] = sizes.get(entry.sheet, 0) + entry.size
        if max(sizes.values(), default=0) > METADATA_MAX:
            raise invalid(f"Developer metadata is limited to {METADATA_MAX} characters.")

    def on(self, sheet_id: int, dimension: str) -> Iterator[Metadata]:
        return (
            entry for entry in list(self.metadata.values()) if entry.sheet == sheet_id and entry.dimension == dimension
        )


def moved(items: list[Any], start: int, end: int, to: int) -> list[Any]:
    """`items[start:end]` taken out and put before what stood at `to`."""
    block, rest = items[start:end], items[:start] + items[end:]
    at = to if to <= start else to - (end - start)
    return rest[:at] + block + rest[at:]
