"""A1 notation. Rows and columns count from 0, ends are exclusive, None is open."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sheets_emulator.errors import invalid

_CELL = re.compile(r"([A-Za-z]{1,3})?([1-9][0-9]{0,9})?")
_PLAIN_TITLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle; None for a whole tab's side that was left open."""

    row: int | None = None
    column: int | None = None
    end_row: int | None = None
    end_column: int | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle within a grid, every side known."""

    row: int
    column: int
    end_row: int
    end_column: int

    @property
    def height(self) -> int:
        return self.end_row - self.row

    @property
    def width(self) -> int:
        return self.end_column - self.column

    def meets(self, other: "Box") -> bool:
        rows = self.row < other.end_row and other.row < self.end_row
        return rows and self.column < other.end_column and other.column < self.end_column

    def name(self, title: str) -> str:
        """Normalised, as Google echoes ranges: the title quoted only where it must be."""
        first = f"{column_name(self.column)}{self.row + 1}"
        last = f"{column_name(self.end_column - 1)}{self.end_row}"
        return f"{quoted(title)}!{first}" + (f":{last}" if last != first else "")

    def as_json(self, sheet_id: int) -> dict[str, Any]:
        """A GridRange."""
        rows = {"startRowIndex": self.row, "endRowIndex": self.end_row}
        return {"sheetId": sheet_id, **rows, "startColumnIndex": self.column, "endColumnIndex": self.end_column}


def from_grid_range(given: Mapping[str, Any]) -> Area:
    names = ("startRowIndex", "startColumnIndex", "endRowIndex", "endColumnIndex")
    return Area(*(given.get(name) for name in names))


def open_name(title: str, area: Area) -> str:
    """A range as somebody wrote it, open sides left open."""
    first = f"{column_name(area.column or 0)}{(area.row or 0) + 1}"
    last = "" if area.end_column is None else column_name(area.end_column - 1)
    last += "" if area.end_row is None else str(area.end_row)
    return f"{quoted(title)}!{first}" + (f":{last}" if last and last != first else "")


def column_name(index: int) -> str:
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(65 + rest) + name
    return name


def column_index(name: str) -> int:
    index = 0
    for letter in name.upper():
        index = index * 26 + ord(letter) - 64
    return index - 1


def split(text: str) -> tuple[str | None, str]:
    """`'It''s'!A1:B2` as title and the rest; a text without `!` has None as title."""
    if text.startswith("'"):
        end = re.match(r"'((?:[^']|'')*)'(?:!(.*))?$", text)
        if not end:
            raise unparsable(text)
        return end.group(1).replace("''", "'"), end.group(2) or ""
    title, mark, rest = text.rpartition("!")
    return (title, rest) if mark else (None, text)


def parse_area(text: str, whole: str) -> Area:
    """`A1`, `A1:B2`, `A:C`, `2:3`, `A2:C`; turned the right way round. Raises ApiError 400, naming `whole`."""
    if not text:
        return Area()
    first, mark, second = text.replace("$", "").partition(":")
    column, row = _cell(first, whole)
    if not mark:
        if column is None or row is None:
            raise unparsable(whole)
        return Area(row, column, row + 1, column + 1)
    end_column, end_row = _cell(second, whole)
    if column is not None and end_column is not None and column > end_column:
        column, end_column = end_column, column
    if row is not None and end_row is not None and row > end_row:
        row, end_row = end_row, row
    return Area(row, column, None if end_row is None else end_row + 1, None if end_column is None else end_column + 1)


def quoted(title: str) -> str:
    looks_like_a_cell = _CELL.fullmatch(title) is not None
    if _PLAIN_TITLE.fullmatch(title) and not looks_like_a_cell:
        return title
    return "'" + title.replace("'", "''") + "'"


def unparsable(text: str) -> Exception:
    return invalid(f"Unable to parse range: {text}")


def _cell(text: str, whole: str) -> tuple[int | None, int | None]:
    match = _CELL.fullmatch(text)
    if not match or not text:
        raise unparsable(whole)
    letters, digits = match.groups()
    return (column_index(letters) if letters else None, int(digits) - 1 if digits else None)
