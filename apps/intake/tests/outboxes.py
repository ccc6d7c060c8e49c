"""The outbox in one process, for tests of what stands before it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from apps.intake.outbox import OutboxAwayError, OutboxFullError, Row


@dataclass
class MemoryStore:
    """`broken` makes every group fail, as an unreachable Postgres does; `groups` counts them."""

    broken: bool = False
    rows_max: int = 10_000
    groups: int = 0
    rows: dict[UUID, Row] = field(default_factory=dict)

    def insert(self, rows: Sequence[Row]) -> None:
        self.groups += 1
        if self.broken:
            raise OutboxAwayError("broken")
        added = {row.id: row for row in rows if row.id not in self.rows}
        if added and len(self.rows) + len(added) > self.rows_max:
            raise OutboxFullError("full")
        self.rows |= added

    def close(self) -> None:
        pass
