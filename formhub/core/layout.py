"""A form's answers as a table: which columns, in which order, and what stands in a cell.

A Layout is compiled when a form is published and stored as JSON with the version; sinks, exports and lists read it
without knowing field types.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

Cell = str | int | float | bool | date | datetime | None


class Kind(StrEnum):
    """What a cell holds. The stored answer for each: see `Column.cell`."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    CHOICE = "choice"
    CHOICES = "choices"


@dataclass(frozen=True, slots=True)
class Column:
    """`labels` maps the stored value of a choice (or "true"/"false" of a boolean) to the words shown for it.

    `origin`: the form's key, where the answer was given another one on its way out.
    """

    key: str
    label: str
    kind: Kind
    labels: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""

    @property
    def lasting(self) -> str:
        """The key that stays the same whatever name an owner chooses."""
        return self.origin or self.key

    def cell(self, value: Any) -> Cell:
        """The cell for a stored answer: None stays empty, a value of an unexpected type is shown as text."""
        if value is None:
            return None
        return _CELLS[self.kind](self, value)

    def as_json(self) -> dict[str, Any]:
        column: dict[str, Any] = {"key": self.key, "label": self.label, "kind": self.kind.value}
        return column | {"labels": dict(self.labels)} if self.labels else column


@dataclass(frozen=True, slots=True)
class Layout:
    columns: tuple[Column, ...]

    def row(self, answers: Mapping[str, Any]) -> list[Cell]:
        return [column.cell(answers.get(column.key)) for column in self.columns]

    def as_json(self) -> list[dict[str, Any]]:
        return [column.as_json() for column in self.columns]

    @classmethod
    def from_json(cls, columns: list[dict[str, Any]]) -> "Layout":
        return cls(
            tuple(
                Column(column["key"], column["label"], Kind(column["kind"]), column.get("labels", {}))
                for column in columns
            )
        )


def _text(column: Column, value: Any) -> Cell:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)


def _number(column: Column, value: Any) -> Cell:
    if isinstance(value, int | float) and not isinstance(value, bool):
        # Beyond 2^53 - 1 a double, which is all that tables know, would show another number.
        return value if abs(value) < 2**53 else str(value)
    return _text(column, value)


def _boolean(column: Column, value: Any) -> Cell:
    if not isinstance(value, bool):
        return _text(column, value)
    return column.labels.get("true" if value else "false", value)


def _date(column: Column, value: Any) -> Cell:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return _text(column, value)


def _datetime(column: Column, value: Any) -> Cell:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return _text(column, value)


def _choice(column: Column, value: Any) -> Cell:
    return column.labels.get(str(value), str(value))


def _choices(column: Column, value: Any) -> Cell:
    if not isinstance(value, list):
        return _choice(column, value)
    return ", ".join(str(_choice(column, item)) for item in value)


_CELLS = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.DATETIME: _datetime,
    Kind.CHOICE: _choice,
    Kind.CHOICES: _choices,
}
