from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from apps.sinks import actions
from apps.sinks.config import Settings
from apps.sinks.contract import Sink
from apps.sinks.models import Binding, Destination
from apps.sinks.tests.kinds import Letterbox, Shelf
from formhub.core.clock import ManualClock
from workers.buffer.base import Limits
from workers.buffer.memory import MemoryBuffer
from workers.flush import Flusher
from workers.limits import LocalLimiter
from workers.tests.rooms import MemoryArchive, MemoryForms, Row

KINDS: dict[str, type[Sink]] = {"shelf": Shelf, "letterbox": Letterbox}


@dataclass
class Cast:
    """One organization with shelves, and a flusher at work on a real ledger."""

    archive: MemoryArchive = field(default_factory=MemoryArchive)
    clock: ManualClock = field(default_factory=ManualClock)
    buffer: Any = field(default_factory=lambda: MemoryBuffer(Limits(1000, 10_000)))
    organization: UUID = field(default_factory=uuid4)
    form: UUID = field(default_factory=uuid4)

    def action(self, shelf: str = "oak", *, kind: type[Sink] = Shelf, **changes: Any) -> Binding:
        values: dict[str, Any] = {"form_id": self.form, "position": 0, "name": shelf, **changes}
        return actions.create(organization_id=self.organization, sink=kind, settings=self.settings(shelf), **values)

    def settings(self, shelf: str) -> Settings:
        return Settings({"shelf": shelf, "shade": ""}, {"token": "hush"})

    def flusher(self, holder: str = "one") -> Flusher:
        return Flusher(
            kinds=KINDS.__getitem__,
            archive=self.archive,
            forms=MemoryForms(),
            buffer=self.buffer,
            limiter=LocalLimiter(self.clock),
            clock=self.clock,
            holder=holder,
        )

    def flush(self, *actions: Binding) -> None:
        """Flush as if every wait were over."""
        for destination in {action.destination_id for action in actions}:
            Destination.objects.filter(pk=destination).update(next_attempt_at=None)
            self.flusher().flush(destination)


def ids(rows: list[Row]) -> list[UUID]:
    return [row.id for row in rows]


@pytest.fixture
def cast() -> Cast:
    for kind in KINDS.values():
        assert issubclass(kind, Shelf)
        kind.reset()
    return Cast()
