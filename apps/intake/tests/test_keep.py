import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from apps.intake.commit import Bounds
from apps.intake.keep import OPEN_SECONDS, Keeper, Keeping
from apps.intake.outbox import OutboxAwayError, Row
from apps.intake.tests.forms import FORM, ORGANIZATION
from apps.intake.tests.outboxes import MemoryStore
from apps.intake.ticket import NotCommittedError, OverloadedError
from formhub.core.clock import Clock, ManualClock, SystemClock
from formhub.core.envelope import Envelope
from formhub.core.ids import uuid7
from formhub.core.lanes import drive

SOON = 20.0


def a_row(**answers: object) -> Row:
    envelope = Envelope(uuid7(), ORGANIZATION, FORM, 1, datetime.now(UTC), dict(answers) or {"name": "Ada"})
    return Row.of(envelope, partition=3)


def wait_for(keeping: Keeping) -> None:
    async def wait() -> None:
        await keeping

    drive(wait())


class HeldStore(MemoryStore):
    """Each group waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[UUID]] = []
        self.arrived = threading.Condition()
        self.turns = threading.Semaphore(0)

    def insert(self, rows: Sequence[Row]) -> None:
        with self.arrived:
            self.seen.append([row.id for row in rows])
            self.arrived.notify_all()
        assert self.turns.acquire(timeout=SOON)
        super().insert(rows)

    def wait_for_groups(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.seen) >= count, SOON)


Make = Callable[..., Keeper]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Keeper] = []

    def make(store: MemoryStore, clock: Clock | None = None, **bounds: float) -> Keeper:
        values = {"items": 1000, "bytes": 10_000_000, "seconds": 5.0, **bounds}
        keeper = Keeper(store, Bounds(**values), clock or SystemClock())  # type: ignore[arg-type]
        made.append(keeper)
        return keeper

    yield make
    for keeper in made:
        if isinstance(keeper.store, HeldStore):
            keeper.store.turns.release(1000)
        keeper.close(SOON)


def test_what_comes_while_a_group_is_written_becomes_the_next(make: Make) -> None:
    store = HeldStore()
    keeper = make(store)
    keepings = [keeper.keep(a_row())]
    store.wait_for_groups(1)
    keepings += [keeper.keep(a_row()) for _ in range(50)]
    store.turns.release(2)
    for keeping in keepings:
        wait_for(keeping)

    assert [len(group) for group in store.seen] == [1, 50]
    assert list(store.rows) == [keeping.row.id for keeping in keepings]


def test_a_group_is_bounded_in_rows_and_in_bytes(make: Make) -> None:
    store = HeldStore()
    keeper = make(store, group_items=3, group_bytes=2_000)
    first = keeper.keep(a_row())
    store.wait_for_groups(1)
    rest = [keeper.keep(a_row(text="x" * 1_500)) for _ in range(2)] + [keeper.keep(a_row()) for _ in range(4)]
    store.turns.release(10)
    for keeping in [first, *rest]:
        wait_for(keeping)

    assert [len(group) for group in store.seen] == [1, 1, 1, 3, 1]


def test_what_waits_is_bounded(make: Make) -> None:
    store = HeldStore()
    keeper = make(store, items=2)
    keeper.keep(a_row())
    store.wait_for_groups(1)
    for _ in range(2):
        keeper.keep(a_row())

    with pytest.raises(OverloadedError):
        keeper.keep(a_row())


def test_nobody_waits_for_a_store_that_hangs(make: Make) -> None:
    keeper = make(HeldStore(), seconds=0.05)

    with pytest.raises(NotCommittedError) as failed:
        wait_for(keeper.keep(a_row()))
    assert failed.value.ambiguous


def test_a_row_past_its_deadline_is_never_written(make: Make) -> None:
    store, clock = HeldStore(), ManualClock()
    keeper = make(store, clock)
    first = keeper.keep(a_row())
    store.wait_for_groups(1)
    late = keeper.keep(a_row())
    clock.advance(6)
    store.turns.release(5)
    wait_for(first)

    with pytest.raises(NotCommittedError) as failed:
        wait_for(late)
    assert (failed.value.reason, failed.value.ambiguous) == ("deadline", False)
    assert list(store.rows) == [first.row.id]


def test_after_a_failure_one_at_a_time_finds_out_whether_it_is_back(make: Make) -> None:
    store, clock = MemoryStore(broken=True), ManualClock()
    keeper = make(store, clock)
    for _ in range(5):
        with pytest.raises(NotCommittedError):
            wait_for(keeper.keep(a_row()))
    assert store.groups == 1

    store.broken = False
    clock.advance(OPEN_SECONDS)
    wait_for(keeper.keep(a_row()))
    wait_for(keeper.keep(a_row()))
    assert len(store.rows) == 2


def test_those_who_came_meanwhile_do_not_wait_for_the_next_trial(make: Make) -> None:
    store = HeldStore()
    store.broken = True
    keeper = make(store)
    keepings = [keeper.keep(a_row())]
    store.wait_for_groups(1)
    keepings += [keeper.keep(a_row()) for _ in range(3)]
    store.turns.release(1)

    for keeping in keepings:
        with pytest.raises(NotCommittedError):
            wait_for(keeping)
    assert len(store.seen) == 1


@pytest.mark.parametrize("ambiguous", [False, True])
def test_what_the_store_does_not_know_is_passed_on(make: Make, ambiguous: bool) -> None:
    class Unsure(MemoryStore):
        def insert(self, rows: Sequence[Row]) -> None:
            raise OutboxAwayError("cut off", ambiguous=ambiguous)

    with pytest.raises(NotCommittedError) as failed:
        wait_for(make(Unsure()).keep(a_row()))
    assert failed.value.ambiguous is ambiguous


def test_a_defect_of_the_store_does_not_end_the_thread(make: Make) -> None:
    class Defect(MemoryStore):
        def insert(self, rows: Sequence[Row]) -> None:
            if self.broken:
                raise ZeroDivisionError
            super().insert(rows)

    store, clock = Defect(broken=True), ManualClock()
    keeper = make(store, clock)
    with pytest.raises(NotCommittedError):
        wait_for(keeper.keep(a_row()))
    store.broken = False
    clock.advance(OPEN_SECONDS)

    wait_for(keeper.keep(a_row()))


def test_closing_writes_what_is_here_and_refuses_what_comes(make: Make) -> None:
    store = HeldStore()
    keeper = make(store)
    keepings = [keeper.keep(a_row())]
    store.wait_for_groups(1)
    keepings.append(keeper.keep(a_row()))
    store.turns.release(2)
    keeper.close(SOON)

    assert list(store.rows) == [keeping.row.id for keeping in keepings]
    with pytest.raises(NotCommittedError):
        keeper.keep(a_row())
