"""Group commit into the outbox: submissions that come while a group is being written become the next group.

One thread per process writes, so that an outage of the log costs Postgres one connection and one commit for many, and
nobody else waits where Postgres hangs. A submission past its deadline is dropped before it is written, never after.
"""

import logging
import threading
from collections import deque
from collections.abc import Generator, Sequence

from apps.intake.breaker import Breaker
from apps.intake.commit import Bounds
from apps.intake.outbox import OutboxAwayError, Row, Store
from apps.intake.ticket import NotCommittedError, OverloadedError
from apps.intake.waiting import Futures, NotSettledError, Waiting, wake
from formhub.core.clock import Clock, SystemClock
from formhub.core.metrics import BREAKER_OPEN

# After a failure nobody waits for the outbox for so long, save for one group that then finds out.
OPEN_SECONDS = 1.0
# So long its connection is kept for the next group.
IDLE_SECONDS = 5.0
# What the thread needs to tell its answer at the end of a group's time.
GRACE_SECONDS = 0.25
logger = logging.getLogger(__name__)


class Keeping(Waiting[NotCommittedError | None]):
    """Settled with None when the outbox has the row; soon after `until` nobody waits any longer."""

    __slots__ = ("_clock", "row", "until")

    def __init__(self, row: Row, seconds: float, clock: Clock) -> None:
        super().__init__(seconds)
        self.row = row
        self.until = clock.monotonic() + seconds
        self._clock = clock

    def __await__(self) -> Generator[None, None, None]:
        """Raises NotCommittedError."""
        # Those of one batch are waited for one after the other, and all of them no longer than one.
        self.patience = max(0.0, self.until - self._clock.monotonic()) + GRACE_SECONDS
        try:
            outcome = yield from super().__await__()
        except NotSettledError:
            outcome = NotCommittedError("outbox", ambiguous=True)
        if outcome is not None:
            raise NotCommittedError(outcome.reason, ambiguous=outcome.ambiguous)


class Keeper:
    """Thread-safe. `keep` never blocks."""

    def __init__(self, store: Store, bounds: Bounds, clock: Clock | None = None) -> None:
        self.store = store
        self.bounds = bounds
        self.clock = clock or SystemClock()
        self._mutex = threading.Lock()
        self._work = threading.Condition(self._mutex)
        self._breaker = Breaker(OPEN_SECONDS, self.clock)
        self._waiting: deque[Keeping] = deque()
        self._bytes = 0
        self._closing = False
        self._kept_at: float | None = None
        self._thread: threading.Thread | None = None
        self._show_breaker()

    def keep(self, row: Row) -> Keeping:
        """Raises OverloadedError at the bounds, NotCommittedError while the breaker keeps callers away."""
        keeping = Keeping(row, self.bounds.seconds, self.clock)
        with self._mutex:
            self._admit(row)
            self._waiting.append(keeping)
            self._bytes += len(row.value)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="intake-outbox", daemon=True)
                self._thread.start()
            self._work.notify()
        return keeping

    def close(self, seconds: float) -> None:
        """Refuse what comes now; write what is here, for `seconds` at most."""
        with self._mutex:
            self._closing = True
            self._work.notify()
        if self._thread is not None:
            self._thread.join(seconds)

    @property
    def seconds_since_kept(self) -> float | None:
        return None if self._kept_at is None else self.clock.monotonic() - self._kept_at

    def _admit(self, row: Row) -> None:
        if self._closing:
            raise NotCommittedError("closing")
        if len(self._waiting) >= self.bounds.items or self._bytes + len(row.value) > self.bounds.bytes:
            raise OverloadedError("overloaded")
        if not self._breaker.ready():
            raise NotCommittedError("outbox")
        self._breaker.begin()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            if group:
                self._write(group)
        self.store.close()

    def _next_group(self) -> list[Keeping] | None:
        """None when nothing is left and nothing will come; empty where all that waited was late."""
        with self._mutex:
            while not self._waiting and not self._closing:
                if not self._work.wait(IDLE_SECONDS):
                    self.store.close()
            if not self._waiting:
                return None
            group, late = self._take()
            futures = [future for keeping in late for future in keeping.settle(NotCommittedError("deadline"))]
        wake(futures)
        return group

    def _take(self) -> tuple[list[Keeping], list[Keeping]]:
        group: list[Keeping] = []
        late: list[Keeping] = []
        size, now = 0, self.clock.monotonic()
        while self._waiting and len(group) < self.bounds.group_items:
            following = len(self._waiting[0].row.value)
            if group and size + following > self.bounds.group_bytes:
                break
            keeping = self._waiting.popleft()
            self._bytes -= following
            if keeping.until <= now:
                late.append(keeping)
            else:
                size += following
                group.append(keeping)
        return group, late

    def _write(self, group: Sequence[Keeping]) -> None:
        outcome: NotCommittedError | None = None
        try:
            self.store.insert([keeping.row for keeping in group])
        except OutboxAwayError as error:
            outcome = NotCommittedError("outbox", ambiguous=error.ambiguous)
            logger.warning("The outbox takes nothing: %s", error)
        except Exception:  # this thread ending would leave every later submission without an answer
            outcome = NotCommittedError("outbox", ambiguous=True)
            logger.exception("The outbox failed on a group of %d", len(group))
        with self._mutex:
            futures = [future for keeping in group for future in keeping.settle(outcome)]
            if outcome is None:
                self._succeeded()
            else:
                futures += self._failed()
        wake(futures)

    def _succeeded(self) -> None:
        self._kept_at = self.clock.monotonic()
        if not self._breaker.closed:
            self._breaker.succeed()
            self._show_breaker()

    def _failed(self) -> Futures:
        """Those who came meanwhile do not wait for the next trial."""
        self._breaker.fail()
        self._show_breaker()
        left, self._bytes = list(self._waiting), 0
        self._waiting.clear()
        return [future for keeping in left for future in keeping.settle(NotCommittedError("outbox"))]

    def _show_breaker(self) -> None:
        BREAKER_OPEN.labels("outbox").set(not self._breaker.closed)
