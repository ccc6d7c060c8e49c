"""One suite of promises for both gates, and what a caller sees when the gate is away."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from threading import Semaphore
from uuid import uuid4

import pytest

from apps.intake.gate.base import Call, Claim, Enter, Entry, GateAwayError, Limit, Standing, stored_answer
from apps.intake.gate.gate import PATIENCE_SECONDS, SKIP_SECONDS, TURN_CALLS, Gate
from apps.intake.gate.memory import MemoryStore
from apps.intake.gate.redis import RedisStore
from apps.intake.tests.conftest import InPlace
from formhub.core.clock import ManualClock
from formhub.core.lanes import drive

HOUR = 3600


def a_limit(amount: int, name: str = "address", seconds: int = HOUR) -> Limit:
    return Limit(name, f"limit:{uuid4()}", amount, seconds)


def a_claim(key: str | None = None, body: str = "a") -> Claim:
    return Claim(key or f"key:{uuid4()}", body * 64, uuid4().hex)


def enter(gate: Gate, limits: Sequence[Limit], claim: Claim | None) -> Entry:
    return gate.ask(limits, claim).result(PATIENCE_SECONDS)


class GatePromises:
    @pytest.fixture
    def gate(self) -> Gate:
        raise NotImplementedError

    def test_a_limit_lets_its_amount_in_and_no_more(self, gate: Gate) -> None:
        limit = a_limit(3)
        entries = [enter(gate, [limit], None) for _ in range(4)]

        assert [entry.exceeded is None for entry in entries] == [True, True, True, False]
        assert [entry.standings[0].remaining for entry in entries] == [2, 1, 0, 0]
        assert 0 < entries[3].standings[0].retry_after <= 2 * HOUR

    def test_callers_do_not_share_a_limit(self, gate: Gate) -> None:
        enter(gate, [a_limit(1)], None)
        assert enter(gate, [a_limit(1)], None).exceeded is None

    def test_a_refused_hit_counts_nowhere_and_claims_nothing(self, gate: Gate) -> None:
        roomy, narrow, claim = a_limit(10), a_limit(1, "form"), a_claim()
        enter(gate, [roomy, narrow], None)
        refused = enter(gate, [roomy, narrow], claim)

        assert refused.exceeded is not None
        assert refused.exceeded.limit == narrow
        assert enter(gate, [roomy], claim).standings[0].current == 2
        assert enter(gate, [], a_claim(claim.key)).held == claim.running

    def test_the_first_try_has_the_key_and_the_second_hears_of_it(self, gate: Gate) -> None:
        first = a_claim()
        assert enter(gate, [], first).held is None

        held = enter(gate, [], a_claim(first.key)).held
        assert held is not None
        assert first.same_body(held)
        assert stored_answer(held) is None
        assert not a_claim(first.key, body="b").same_body(held)

    def test_the_answer_is_kept_for_repetitions(self, gate: Gate) -> None:
        first = a_claim()
        enter(gate, [], first)
        gate.settle(first, '{"id":"é"}')

        held = enter(gate, [], a_claim(first.key)).held
        assert held is not None
        assert stored_answer(held) == '{"id":"é"}'

    def test_only_the_owner_forgets_a_try(self, gate: Gate) -> None:
        first = a_claim()
        enter(gate, [], first)
        gate.release(a_claim(first.key))
        assert enter(gate, [], a_claim(first.key)).held == first.running

        gate.release(first)
        assert enter(gate, [], a_claim(first.key)).held is None

    def test_an_answer_outlives_a_late_release(self, gate: Gate) -> None:
        first = a_claim()
        enter(gate, [], first)
        gate.settle(first, "answer")
        gate.release(first)

        assert enter(gate, [], a_claim(first.key)).held == first.done("answer")

    def test_an_answer_is_kept_even_if_the_try_was_never_recorded(self, gate: Gate) -> None:
        first = a_claim()
        gate.settle(first, "answer")
        assert enter(gate, [], a_claim(first.key)).held == first.done("answer")

    def test_an_answer_that_comes_late_leaves_another_body_alone(self, gate: Gate) -> None:
        other = a_claim(body="b")
        enter(gate, [], other)
        gate.settle(a_claim(other.key), "late")

        assert enter(gate, [], a_claim(other.key)).held == other.running


class TestMemoryGate(GatePromises):
    @pytest.fixture
    def gate(self) -> Iterator[Gate]:
        gate = Gate(MemoryStore())
        yield gate
        gate.close(5)

    def test_hits_and_records_end_with_their_time(self) -> None:
        clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        gate = InPlace(MemoryStore(keep_seconds=100, clock=clock))
        limit, claim = a_limit(2, seconds=60), a_claim()
        enter(gate, [limit], claim)
        enter(gate, [limit], None)
        clock.advance(59)
        assert enter(gate, [limit], None).exceeded is not None
        assert enter(gate, [], a_claim(claim.key)).held is None  # the first try took longer than a try may

        clock.advance(31)
        assert enter(gate, [limit], None).exceeded is None  # half of the last window's two hits, and this one
        assert enter(gate, [limit], None).exceeded is not None

        gate.settle(claim, "answer")
        clock.advance(101)
        assert enter(gate, [], a_claim(claim.key)).held is None


@pytest.mark.parametrize(
    ("current", "previous", "elapsed", "wait"),
    [
        pytest.param(10, 0, 50, 16, id="this window is full"),
        pytest.param(0, 10, 0, 6, id="the last window was full"),
        pytest.param(5, 10, 30, 6, id="both halves"),
        pytest.param(10, 10, 59, 7, id="both full"),
    ],
)
def test_the_wait_told_is_just_enough(current: int, previous: int, elapsed: float, wait: int) -> None:
    limit = Limit("form", "k", amount=10, seconds=60)
    standing = Standing(limit, current, previous, elapsed)
    assert standing.retry_after == wait

    later = elapsed + wait
    after = Standing(limit, *((current, previous, later) if later < 60 else (0, current, later - 60)))
    assert after.used + 1 <= limit.amount + 1e-9


def test_without_the_gate_everybody_enters_and_nobody_waits_for_it() -> None:
    clock, store = ManualClock(), MemoryStore(broken=True)
    gate = InPlace(store, clock)
    claim = a_claim()

    assert [enter(gate, [a_limit(1)], claim) for _ in range(3)] == [Entry()] * 3
    gate.settle(claim, "answer")
    gate.release(claim)
    assert store.turns == 1

    store.broken = False
    clock.advance(SKIP_SECONDS)
    assert enter(gate, [a_limit(1)], claim).standings
    assert enter(gate, [], a_claim(claim.key)).held == claim.running


class Slow(MemoryStore):
    """Each turn waits to be let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.begun, self.go_on = Semaphore(0), Semaphore(0)

    def turn(self, calls: Sequence[Call]) -> list[Entry]:
        self.sizes.append(len(calls))
        self.begun.release()
        assert self.go_on.acquire(timeout=10)
        return super().turn(calls)


class TestTurns:
    @pytest.fixture
    def store(self) -> Slow:
        return Slow()

    @pytest.fixture
    def gate(self, store: Slow) -> Iterator[Gate]:
        gate = Gate(store)
        yield gate
        store.go_on.release(100)
        gate.close(5)

    def test_what_comes_during_a_turn_is_the_next_one(self, gate: Gate, store: Slow) -> None:
        limit = a_limit(1000)
        first = gate.ask([limit], None)
        assert store.begun.acquire(timeout=10)
        others = [gate.ask([limit], None) for _ in range(TURN_CALLS + 1)]
        store.go_on.release(3)

        counts = [asked.result(10).standings[0].current for asked in (first, *others)]
        assert counts == list(range(1, TURN_CALLS + 3))
        assert store.sizes == [1, TURN_CALLS, 1]

    def test_a_loop_awaits_its_turn(self, gate: Gate, store: Slow) -> None:
        store.go_on.release(10)
        limit = a_limit(10)

        async def several() -> list[Entry]:
            async def one() -> Entry:
                return await gate.ask([limit], None)

            return await asyncio.gather(*(one() for _ in range(5)))

        assert sorted(entry.standings[0].current for entry in asyncio.run(several())) == [1, 2, 3, 4, 5]

    def test_whoever_waits_too_long_goes_on_without_it(
        self, gate: Gate, store: Slow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.intake.gate.gate.PATIENCE_SECONDS", 0.05)

        async def on_a_loop() -> Entry:
            return await gate.ask([a_limit(1)], None)

        async def in_a_thread() -> Entry:
            return await gate.ask([a_limit(1)], None)

        assert [enter(gate, [a_limit(1)], None), asyncio.run(on_a_loop()), drive(in_a_thread())] == [Entry()] * 3

    def test_a_store_with_a_defect_stops_nobody(self, gate: Gate, store: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(calls: Sequence[Call]) -> list[Entry]:
            raise ZeroDivisionError

        monkeypatch.setattr(store, "turn", fails)
        assert [enter(gate, [a_limit(1)], None) for _ in range(2)] == [Entry()] * 2

    def test_whoever_is_not_waited_for_is_done_before_the_end(self, store: Slow) -> None:
        gate, claim = Gate(store), a_claim()
        store.go_on.release(10)
        gate.settle(claim, "answer")
        gate.close(10)
        assert store.records[claim.key][0] == claim.done("answer")


def test_a_redis_that_nobody_runs_is_told_as_away() -> None:
    store = RedisStore("redis://127.0.0.1:9/0", timeout=0.2, keep_seconds=60)
    with pytest.raises(GateAwayError):
        store.turn([Enter([a_limit(1)], a_claim())])


def test_times_of_limits_never_lie_in_the_past() -> None:
    standing = Standing(Limit("form", "k", 1, 60), 0, 0, 59.9999)
    assert standing.retry_after >= 1
    assert standing.seconds_left >= 1
    assert timedelta(seconds=standing.seconds_left) <= timedelta(seconds=60)
