"""Goes on without Redis: limits are then not kept, and a repeated key is caught by the id derived from it."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from apps.intake.breaker import Breaker
from apps.intake.gate.base import Claim, Entry, Gate, GateAwayError, Limit
from formhub.core.clock import Clock, SystemClock
from formhub.core.metrics import FAILED_OPEN

# After a failure nobody waits for Redis for so long, save for one caller who then finds out.
SKIP_SECONDS = 5.0
CHECKS = THROTTLE, IDEMPOTENCY = "throttle", "idempotency"
logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class FailingOpen:
    """A gate that never raises GateAwayError."""

    def __init__(self, gate: Gate, clock: Clock | None = None) -> None:
        self.gate = gate
        self._breaker = Breaker(SKIP_SECONDS, clock or SystemClock())
        for check in CHECKS:
            FAILED_OPEN.labels(check)  # told as 0 before the first, or nobody would see it rise

    def enter(self, limits: Sequence[Limit], claim: Claim | None) -> Entry:
        entry = self._ask(lambda: self.gate.enter(limits, claim))
        if entry is None:
            FAILED_OPEN.labels(THROTTLE).inc()
            if claim:
                FAILED_OPEN.labels(IDEMPOTENCY).inc()
        return entry or Entry()

    def settle(self, claim: Claim, answer: str) -> None:
        self._ask(lambda: self.gate.settle(claim, answer))

    def release(self, claim: Claim) -> None:
        self._ask(lambda: self.gate.release(claim))

    def _ask(self, call: Callable[[], Answer]) -> Answer | None:
        if not self._breaker.ready():
            return None
        self._breaker.begin()
        try:
            answer = call()
        except GateAwayError as error:
            if self._breaker.closed:
                logger.warning("Limits and idempotency records are left out: Redis is away (%s)", error)
            self._breaker.fail()
            return None
        self._breaker.succeed()
        return answer
