"""The outbox for tests: in one process, for what stands before it, and filled, for what looks into it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from django.utils import timezone

from apps.intake import outbox
from apps.intake.models import OutboxRow
from apps.intake.outbox import OutboxAwayError, OutboxFullError, Row
from formhub.core.envelope import Envelope
from formhub.core.ids import uuid7


def kept(form: UUID | None = None, *, age: float = 0.0, refused: str = "") -> Row:
    """A submission that was accepted `age` seconds ago and is not in the log yet."""
    accepted_at = timezone.now() - timedelta(seconds=age)
    row = Row.of(Envelope(uuid7(), uuid4(), form or uuid4(), 1, accepted_at, {"name": "Ada"}), partition=0)
    headers = [(name, value.decode("latin-1")) for name, value in row.headers]
    OutboxRow.objects.create(
        id=row.id, form_id=row.form_id, partition=0, value=row.value, headers=headers, size=row.size,
        accepted_at=accepted_at, refused=refused,
    )  # fmt: skip
    outbox.recount()
    return row


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
