"""The gate in one process, for tests."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.intake.gate.base import RUNNING_SECONDS, Claim, Entry, GateAwayError, Limit, Standing
from formhub.core.clock import Clock, SystemClock


@dataclass
class MemoryGate:
    """`broken` makes every call fail, as an unreachable Redis does."""

    keep_seconds: float = 3600
    clock: Clock = field(default_factory=SystemClock)
    broken: bool = False
    records: dict[str, tuple[str, float]] = field(default_factory=dict)
    hits: Counter[tuple[str, int]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, limits: Sequence[Limit], claim: Claim | None) -> Entry:
        with self.lock:
            now = self._now()
            standings = tuple(self._standing(limit, now) for limit in limits)
            for standing in standings:
                if standing.used + 1 > standing.limit.amount:
                    return Entry(standings, exceeded=standing)
            for limit in limits:
                self.hits[limit.key, int(now // limit.seconds)] += 1
            counted = tuple(self._standing(limit, now) for limit in limits)
            held = self._record(claim.key, now) if claim else None
            if claim and held is None:
                self.records[claim.key] = (claim.running, now + RUNNING_SECONDS)
            return Entry(counted, held=held)

    def settle(self, claim: Claim, answer: str) -> None:
        with self.lock:
            now = self._now()
            held = self._record(claim.key, now)
            if held is None or claim.same_body(held):
                self.records[claim.key] = (claim.done(answer), now + self.keep_seconds)

    def release(self, claim: Claim) -> None:
        with self.lock:
            if self._record(claim.key, self._now()) == claim.running:
                del self.records[claim.key]

    def _now(self) -> float:
        if self.broken:
            raise GateAwayError("broken")
        return self.clock.now().timestamp()

    def _standing(self, limit: Limit, now: float) -> Standing:
        window = int(now // limit.seconds)
        return Standing(limit, self.hits[limit.key, window], self.hits[limit.key, window - 1], now % limit.seconds)

    def _record(self, key: str, now: float) -> str | None:
        record, until = self.records.get(key, ("", 0.0))
        return record if now < until else None
