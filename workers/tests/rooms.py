"""The rooms that deliveries read from, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from formhub.core.ids import uuid7
from formhub.core.layout import Column, Kind, Layout


@dataclass(frozen=True)
class Row:
    form_id: UUID
    id: UUID
    position: int
    answers: dict[str, Any]
    version: int = 1
    accepted_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    archived_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    late: bool = False
    meta: dict[str, Any] = field(default_factory=dict)


class MemoryArchive:
    """`hold_back(form, n)`: the archive has not read the log beyond position n yet, although rows beyond may stand."""

    def __init__(self) -> None:
        self.rows: dict[UUID, dict[UUID, Row]] = {}
        self.below: dict[UUID, int] = {}

    def add(self, form: UUID, count: int = 1, **answers: Any) -> list[Row]:
        held = self.rows.setdefault(form, {})
        start = 1 + max((row.position for row in held.values()), default=-1)
        made = [Row(form, uuid7(), start + n, answers or {"n": start + n}) for n in range(count)]
        held.update({row.id: row for row in made})
        return made

    def add_at(self, form: UUID, position: int, **answers: Any) -> Row:
        """A row that comes into the archive late, at a place that others have gone past."""
        row = Row(form, uuid7(), position, answers or {"n": position})
        self.rows.setdefault(form, {})[row.id] = row
        return row

    def erase(self, form: UUID, submission: UUID) -> None:
        del self.rows[form][submission]

    def hold_back(self, form: UUID, below: int) -> None:
        self.below[form] = below

    def archived_below(self, form_id: UUID) -> int:
        held = self.rows.get(form_id, {}).values()
        return self.below.get(form_id, 1 + max((row.position for row in held), default=-1))

    def after(self, form_id: UUID, position: int, below: int | None, limit: int) -> Sequence[Row]:
        held = sorted(self.rows.get(form_id, {}).values(), key=lambda row: row.position)
        return [row for row in held if position < row.position and (below is None or row.position < below)][:limit]

    def places(self, form_id: UUID, position: int, below: int, limit: int) -> Sequence[tuple[int, UUID]]:
        return [(row.position, row.id) for row in self.after(form_id, position, below, limit)]

    def positions(self, form_id: UUID, ids: Sequence[UUID]) -> dict[UUID, int]:
        return {row.id: row.position for row in self.by_ids(form_id, ids)}

    def by_ids(self, form_id: UUID, ids: Sequence[UUID]) -> Sequence[Row]:
        held = self.rows.get(form_id, {})
        return [held[id] for id in reversed(ids) if id in held]

    def oldest_after(self, pairs: Sequence[tuple[UUID, int]]) -> list[datetime | None]:
        return [rows[0].archived_at if (rows := self.after(form, at, None, 1)) else None for form, at in pairs]


class MemoryForms:
    def layout(self, form_id: UUID) -> Layout:
        return Layout((Column("n", "Number", Kind.NUMBER),))

    def title(self, form_id: UUID) -> str:
        return "A form"

    def pages(self, form_id: UUID) -> str:
        return f"https://hub.example/submissions/{form_id}/"
