"""The gate's store in one process, for tests."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.intake.gate.base import (
    RUNNING_SECONDS,
    Call,
    Claim,
    Enter,
    Entry,
    GateAwayError,
    Limit,
    Release,
    Settle,
    Standing,
)
from formhub.core.clock import Clock, SystemClock


@dataclass
class MemoryStore:
    """`broken` makes every turn fail, as an unreachable Redis does; `turns` counts them."""

    keep_seconds: float = 3600
    clock: Clock = field(default_factory=SystemClock)
    broken: bool = False
    turns: int = 0
    records: dict[str, tuple[str, float]] = field(default_factory=dict)
    hits: Counter[tuple[str, int]] = field(default_factory=Counter)

    def turn(self, calls: Sequence[Call]) -> list[Entry]:
        self.turns += 1
        if self.broken:
            raise GateAwayError("broken")
        return [self._do(call, self.clock.now().timestamp()) for call in calls]

    def _do(self, call: Call, now: float) -> Entry:
        match call:
            case Enter():
                return self._enter(call, now)
            case Settle(claim, answer):
                held = self._record(claim, now)
                if held is None or claim.same_body(held):
                    self.records[claim.key] = (claim.done(answer), now + self.keep_seconds)
            case Release(claim):
                if self._record(claim, now) == claim.running:
                    del self.records[claim.key]
        return Entry()

    def _enter(self, call: Enter, now: float) -> Entry:
        standings = tuple(self._standing(limit, now) for limit in call.limits)
        for standing in standings:
            if standing.used + 1 > standing.limit.amount:
                return Entry(standings, exceeded=standing)
        for limit in call.limits:
            self.hits[limit.key, int(now // limit.seconds)] += 1
        counted = tuple(self._standing(limit, now) for limit in call.limits)
        held = self._record(call.claim, now) if call.claim else None
        if call.claim and held is None:
            self.records[call.claim.key] = (call.claim.running, now + RUNNING_SECONDS)
        return Entry(counted, held=held)

    def _standing(self, limit: Limit, now: float) -> Standing:
        window = int(now // limit.seconds)
        return Standing(limit, self.hits[limit.key, window], self.hits[limit.key, window - 1], now % limit.seconds)

    def _record(self, claim: Claim, now: float) -> str | None:
        record, until = self.records.get(claim.key, ("", 0.0))
        return record if now < until else None
