"""One suite of promises for both gates, and what a caller sees when the gate is away."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from apps.intake.gate.base import Claim, Entry, Gate, GateAwayError, Limit, Standing, stored_answer
from apps.intake.gate.failing_open import SKIP_SECONDS, FailingOpen
from apps.intake.gate.memory import MemoryGate
from apps.intake.gate.redis import RedisGate
from formhub.core.clock import ManualClock

HOUR = 3600


def a_limit(amount: int, name: str = "address", seconds: int = HOUR) -> Limit:
    return Limit(name, f"limit:{uuid4()}", amount, seconds)


def a_claim(key: str | None = None, body: str = "a") -> Claim:
    return Claim(key or f"key:{uuid4()}", body * 64, uuid4().hex)


class GatePromises:
    @pytest.fixture
    def gate(self) -> Gate:
        raise NotImplementedError

    def test_a_limit_lets_its_amount_in_and_no_more(self, gate: Gate) -> None:
        limit = a_limit(3)
        entries = [gate.enter([limit], None) for _ in range(4)]

        assert [entry.exceeded is None for entry in entries] == [True, True, True, False]
        assert [entry.standings[0].remaining for entry in entries] == [2, 1, 0, 0]
        assert 0 < entries[3].standings[0].retry_after <= 2 * HOUR

    def test_callers_do_not_share_a_limit(self, gate: Gate) -> None:
        gate.enter([a_limit(1)], None)
        assert gate.enter([a_limit(1)], None).exceeded is None

    def test_a_refused_hit_counts_nowhere_and_claims_nothing(self, gate: Gate) -> None:
        roomy, narrow, claim = a_limit(10), a_limit(1, "form"), a_claim()
        gate.enter([roomy, narrow], None)
        refused = gate.enter([roomy, narrow], claim)

        assert refused.exceeded is not None
        assert refused.exceeded.limit == narrow
        assert gate.enter([roomy], claim).standings[0].current == 2
        assert gate.enter([], a_claim(claim.key)).held == claim.running

    def test_the_first_try_has_the_key_and_the_second_hears_of_it(self, gate: Gate) -> None:
        first = a_claim()
        assert gate.enter([], first).held is None

        held = gate.enter([], a_claim(first.key)).held
        assert held is not None
        assert first.same_body(held)
        assert stored_answer(held) is None
        assert not a_claim(first.key, body="b").same_body(held)

    def test_the_answer_is_kept_for_repetitions(self, gate: Gate) -> None:
        first = a_claim()
        gate.enter([], first)
        gate.settle(first, '{"id":"é"}')

        held = gate.enter([], a_claim(first.key)).held
        assert held is not None
        assert stored_answer(held) == '{"id":"é"}'

    def test_only_the_owner_forgets_a_try(self, gate: Gate) -> None:
        first = a_claim()
        gate.enter([], first)
        gate.release(a_claim(first.key))
        assert gate.enter([], a_claim(first.key)).held == first.running

        gate.release(first)
        assert gate.enter([], a_claim(first.key)).held is None

    def test_an_answer_outlives_a_late_release(self, gate: Gate) -> None:
        first = a_claim()
        gate.enter([], first)
        gate.settle(first, "answer")
        gate.release(first)

        assert gate.enter([], a_claim(first.key)).held == first.done("answer")

    def test_an_answer_is_kept_even_if_the_try_was_never_recorded(self, gate: Gate) -> None:
        first = a_claim()
        gate.settle(first, "answer")
        assert gate.enter([], a_claim(first.key)).held == first.done("answer")

    def test_an_answer_that_comes_late_leaves_another_body_alone(self, gate: Gate) -> None:
        other = a_claim(body="b")
        gate.enter([], other)
        gate.settle(a_claim(other.key), "late")

        assert gate.enter([], a_claim(other.key)).held == other.running


class TestMemoryGate(GatePromises):
    @pytest.fixture
    def gate(self) -> Gate:
        return MemoryGate()

    def test_hits_and_records_end_with_their_time(self) -> None:
        clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        gate = MemoryGate(keep_seconds=100, clock=clock)
        limit, claim = a_limit(2, seconds=60), a_claim()
        gate.enter([limit], claim)
        gate.enter([limit], None)
        clock.advance(59)
        assert gate.enter([limit], None).exceeded is not None
        assert gate.enter([], a_claim(claim.key)).held is None  # the first try took longer than a try may

        clock.advance(31)
        assert gate.enter([limit], None).exceeded is None  # half of the last window's two hits, and this one
        assert gate.enter([limit], None).exceeded is not None

        gate.settle(claim, "answer")
        clock.advance(101)
        assert gate.enter([], a_claim(claim.key)).held is None


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
    clock, gate = ManualClock(), MemoryGate(broken=True)
    calls = count_calls(gate)
    door = FailingOpen(gate, clock)
    claim = a_claim()

    assert [door.enter([a_limit(1)], claim) for _ in range(3)] == [Entry()] * 3
    door.settle(claim, "answer")
    door.release(claim)
    assert calls() == 1

    gate.broken = False
    clock.advance(SKIP_SECONDS)
    assert door.enter([a_limit(1)], claim).standings
    assert door.enter([], a_claim(claim.key)).held == claim.running


def count_calls(gate: MemoryGate) -> Callable[[], int]:
    calls: list[int] = []
    now = gate._now

    def counted() -> float:
        calls.append(1)
        return now()

    gate._now = counted  # type: ignore[method-assign]
    return lambda: len(calls)


def test_a_redis_that_nobody_runs_is_told_as_away() -> None:
    gate = RedisGate("redis://127.0.0.1:9/0", timeout=0.2, keep_seconds=60)
    with pytest.raises(GateAwayError):
        gate.enter([a_limit(1)], a_claim())


def test_times_of_limits_never_lie_in_the_past() -> None:
    standing = Standing(Limit("form", "k", 1, 60), 0, 0, 59.9999)
    assert standing.retry_after >= 1
    assert standing.seconds_left >= 1
    assert timedelta(seconds=standing.seconds_left) <= timedelta(seconds=60)
