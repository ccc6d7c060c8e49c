"""Whatever happens in whatever order: each submission that is owed is delivered once, live ones in the log's order."""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.sinks import actions
from apps.sinks.contract import AmbiguousError, Batch, Policy, RetryableError
from apps.sinks.models import Batch as Delivery
from apps.sinks.models import BatchItem, Binding, BindingState, Destination, Parked, Walk
from apps.sinks.tests.kinds import Shelf, after_landing, raising
from workers import reconcile
from workers.buffer.base import Group, Limits
from workers.buffer.memory import MemoryBuffer
from workers.tests.conftest import KINDS, Cast
from workers.tests.rooms import Row

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
ROUNDS = 40


class Register(Shelf):
    """Looks what stands there before it takes a late batch, as a Sheet's id column is looked at."""

    name, label = "register", "Register"
    policy = Policy(max_items=4, max_seconds=5, ordered=True, repeatable=True)
    live: ClassVar[list[UUID]] = []
    standing: ClassVar[list[UUID]] = []

    def _land(self, batch: Batch) -> None:
        if any(landed.id == batch.id for landed in self.shelves.get("oak", [])):
            return
        super()._land(batch)
        fresh = [id for id in batch.ids if not (batch.late and id in self.standing)]
        self.standing.extend(fresh)
        if not batch.late:
            self.live.extend(batch.ids)


class World:
    """One action on a form that had submissions before it."""

    def __init__(self, cast: Cast) -> None:
        Register.reset()
        Register.live, Register.standing = [], []
        self.cast = cast
        self.holes: list[int] = []
        self.end = 0
        self.append(3)
        self.action = cast.action(kind=Register, position=self.end)

    def append(self, count: int) -> list[Row]:
        rows = [self.cast.archive.add_at(self.cast.form, self.end + number) for number in range(count)]
        self.end += count
        return rows

    def take(self, count: int) -> None:
        """From the log into archive and buffer, save a record that is kept aside as unreadable for now."""
        self.holes.append(self.end)
        self.end += 1
        rows = self.append(count)
        entries = [(row.position, row.id) for row in rows]
        self.cast.buffer.append([Group(self.action.pk, self.action.destination_id, 5, 10, entries)], 0)

    def read_again(self, count: int) -> None:
        """What was kept aside comes into the archive after all, at places that were gone past."""
        for _ in range(min(count, len(self.holes))):
            self.cast.archive.add_at(self.cast.form, self.holes.pop())

    def deliver(self, count: int) -> None:
        troubles: list[Callable[[Batch], None] | None] = [
            None,
            raising(RetryableError("Down.")),
            after_landing(AmbiguousError("Lost.")),
        ]
        Register.script = [troubles[count % 3]]
        self.cast.flush(self.action)
        Register.script = []

    def lose_buffer(self, count: int) -> None:
        self.cast.buffer = MemoryBuffer(Limits(1000, 10_000))

    def restore_ledger(self, count: int) -> None:
        """Items of delivered batches that a backup did not hold."""
        done = BatchItem.objects.filter(batch__state="delivered").order_by("position")
        BatchItem.objects.filter(submission_id__in=list(done.values_list("submission_id", flat=True)[:count])).delete()

    def back_fill(self, count: int) -> None:
        actions.back_fill(self.action, count - 2)

    def pause_back_fill(self, count: int) -> None:
        actions.pause_back_fill(self.action, paused=bool(count % 2))

    def reconcile(self, count: int) -> None:
        reconcile.recent(self.cast.archive)
        reconcile.begin()
        for _ in range(count):
            reconcile.step(self.cast.archive)

    def pause(self, count: int) -> None:
        actions.pause(self.action)

    def resume(self, count: int) -> None:
        actions.resume(self.action)

    def settle(self) -> None:
        """Let everything come to rest, as an installation does by itself within a day."""
        self.action.refresh_from_db()
        actions.resume(self.action)
        actions.pause_back_fill(self.action, paused=False)
        for _ in range(ROUNDS):
            self.cast.flush(self.action)
            reconcile.begin()
            while reconcile.step(self.cast.archive) is not None:
                pass
            if not Walk.objects.exclude(state=Walk.State.DONE).exists() and self._quiet():
                return
        raise AssertionError("it does not come to rest")

    def _quiet(self) -> bool:
        self.action.refresh_from_db()
        unfinished = Delivery.objects.exclude(state__in=["delivered", "refused"]).exists()
        return not unfinished and not Parked.objects.exists() and self.action.settled_to == self._last()

    def _last(self) -> int:
        return max(row.position for row in self.cast.archive.rows[self.cast.form].values())

    def owed(self) -> set[UUID]:
        rows = self.cast.archive.rows[self.cast.form].values()
        return {row.id for row in rows if row.position > self.action.since}

    def places(self, ids: list[UUID]) -> list[int]:
        held = self.cast.archive.rows[self.cast.form]
        return [held[id].position for id in ids]


# What is needed for anything to happen stands there more than once.
STEPS = (
    World.take, World.take, World.deliver, World.deliver, World.deliver, World.read_again, World.read_again,
    World.lose_buffer, World.restore_ledger, World.back_fill, World.pause_back_fill, World.reconcile, World.pause,
    World.resume,
)  # fmt: skip
HAPPENINGS = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 9)), min_size=4, max_size=24)


@given(happenings=HAPPENINGS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_submission_that_is_owed_is_delivered_once_and_live_ones_in_order(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, happenings: list[tuple[Any, int]]
) -> None:
    for model in (Walk, Parked, BatchItem, Delivery, Binding, Destination):
        model.objects.all().delete()
    monkeypatch.setitem(KINDS, "register", Register)
    world = World(Cast())

    for happen, count in happenings:
        happen(world, count)
    world.settle()

    assert world.action.state == BindingState.ON
    assert sorted(Register.standing, key=str) == sorted(world.owed(), key=str)
    assert world.places(Register.live) == sorted(world.places(Register.live))
