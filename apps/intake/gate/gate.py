"""The gate of a process: what comes while a turn is with Redis becomes the next turn.

One thread asks for all, so that many requests cost one round trip. Without Redis it goes on: limits are then not kept,
and a repeated key is caught by the id derived from it.
"""

import logging
import threading
from collections.abc import Generator, Sequence
from queue import Empty, SimpleQueue

from apps.intake.breaker import Breaker
from apps.intake.gate.base import Call, Claim, Enter, Entry, GateAwayError, Limit, Release, Settle, Store
from apps.intake.waiting import NotSettledError, Waiting, wake
from formhub.core.clock import Clock, SystemClock
from formhub.core.metrics import FAILED_OPEN

# After a failure nobody waits for Redis for so long, save for one turn that then finds out.
SKIP_SECONDS = 5.0
# A script keeps everybody else waiting: so many calls take Redis some two milliseconds.
TURN_CALLS = 200
CALLS_MAX = 20_000
# Two turns at Redis' timeout, the one under way and the next, and time for this machine.
PATIENCE_SECONDS = 2.0
CHECKS = THROTTLE, IDEMPOTENCY = "throttle", "idempotency"
logger = logging.getLogger(__name__)


class Asked(Waiting[Entry]):
    """Ends with an empty entry where Redis has not answered in time: whoever asks goes on without it."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(PATIENCE_SECONDS)

    def result(self, timeout: float) -> Entry:
        try:
            return super().result(timeout)
        except NotSettledError:
            return Entry()

    def __await__(self) -> Generator[None, None, Entry]:
        try:
            return (yield from super().__await__())
        except NotSettledError:
            return Entry()


_Turn = tuple[Call, Asked | None]


class Gate:
    """Thread-safe. A process's calls are done in the order in which they came."""

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self.store = store
        self._breaker = Breaker(SKIP_SECONDS, clock or SystemClock())
        self._calls: SimpleQueue[_Turn | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        for check in CHECKS:
            FAILED_OPEN.labels(check)  # told as 0 before the first, or nobody would see it rise

    def ask(self, limits: Sequence[Limit], claim: Claim | None) -> Asked:
        """To be awaited."""
        asked = Asked()
        call = Enter(limits, claim)
        if not self._put(call, asked):
            _count_open(call)
            asked.settle(Entry())
        return asked

    def settle(self, claim: Claim, answer: str) -> None:
        """Keep the answer for repetitions. Nobody waits for it: what this process asks next comes after it."""
        self._put(Settle(claim, answer), None)

    def release(self, claim: Claim) -> None:
        """Forget a try that was refused."""
        self._put(Release(claim), None)

    def close(self, seconds: float) -> None:
        """Do what was asked so far, for `seconds` at most."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join(seconds)

    def _put(self, call: Call, asked: Asked | None) -> bool:
        """Whether it will be done."""
        if not self._breaker.ready() or self._calls.qsize() >= CALLS_MAX:
            return False
        if self._thread is None:
            self._start()
        self._calls.put((call, asked))
        return True

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="intake-gate", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (first := self._calls.get()) is not None:
            turn = [first]
            while len(turn) < TURN_CALLS and (more := self._next()) is not None:
                turn.append(more)
            self._take(turn)

    def _next(self) -> _Turn | None:
        try:
            found = self._calls.get_nowait()
        except Empty:
            return None
        if found is None:
            self._calls.put(None)  # the end, which is for `_run` to see
        return found

    def _take(self, turn: Sequence[_Turn]) -> None:
        entries = self._entries([call for call, _ in turn])
        futures = []
        for (_, asked), entry in zip(turn, entries, strict=True):
            if asked is not None:
                futures += asked.settle(entry)
        wake(futures)

    def _entries(self, calls: Sequence[Call]) -> Sequence[Entry]:
        # Those who asked before the last turn failed do not wait for the next trial.
        if self._breaker.ready():
            self._breaker.begin()
            try:
                entries = self.store.turn(calls)
            except GateAwayError as error:
                if self._breaker.closed:
                    logger.warning("Limits and idempotency records are left out: Redis is away (%s)", error)
            except Exception:  # this thread ending would leave every later request waiting
                logger.exception("The gate's store failed on a turn of %d", len(calls))
            else:
                self._breaker.succeed()
                return entries
            self._breaker.fail()
        for call in calls:
            _count_open(call)
        return [Entry()] * len(calls)


def _count_open(call: Call) -> None:
    if isinstance(call, Enter):
        FAILED_OPEN.labels(THROTTLE).inc()
        if call.claim:
            FAILED_OPEN.labels(IDEMPOTENCY).inc()
