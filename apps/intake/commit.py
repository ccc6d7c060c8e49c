"""Group commit: submissions that arrive while a group is on its way to the broker become the next group.

One thread per process hands groups to the publisher, since handing over may block while topic metadata is missing.
Each partition has a lane with one group in flight, which keeps a form's submissions in the order they came in.
A submission past its deadline is dropped before it is handed over, never after.
"""

import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from functools import partial

from apps.intake.breaker import Breaker
from apps.intake.ticket import NotCommittedError, Outcome, OverloadedError, Ticket, not_committed
from apps.intake.waiting import Futures, wake
from formhub.core.clock import Clock, SystemClock
from formhub.core.metrics import ACK_SECONDS, BREAKER_OPEN, GROUP_SIZE, PENDING
from formhub.core.stream.base import Message, Publisher, Receipt, StreamError
from formhub.core.stream.base import Outcome as Published

LANE_OPEN_SECONDS = 2.0
OPEN_SECONDS = 1.0
# One lane's failures may be one partition's leader changing; this many in a row without a success are the broker.
FAILURES_IN_A_ROW = 3
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """`items` and `bytes`: what may wait in this process. A group stays below one batch of the producer."""

    items: int
    bytes: int
    seconds: float
    group_items: int = 1_000
    group_bytes: int = 700_000


@dataclass(slots=True)
class _Group:
    lane: "_Lane"
    tickets: list[Ticket]
    overdue: bool = False
    done: bool = False

    @property
    def deadline(self) -> float:
        return self.tickets[0].deadline


@dataclass(slots=True)
class _Lane:
    breaker: Breaker
    waiting: deque[Ticket] = field(default_factory=deque)
    flying: _Group | None = None
    failures: int = 0


class Committer:
    """Thread-safe. `submit` never blocks; every ticket is settled by its deadline."""

    def __init__(self, publisher: Publisher, bounds: Bounds, clock: Clock | None = None) -> None:
        self.publisher = publisher
        self.bounds = bounds
        self.clock = clock or SystemClock()
        self._mutex = threading.Lock()
        self._work = threading.Condition(self._mutex)
        self._lanes: dict[int, _Lane] = {}
        self._ready: deque[_Lane] = deque()
        self._breaker = Breaker(OPEN_SECONDS, self.clock)
        self._failures = 0
        self._receipt_at: float | None = None
        self._items = 0
        self._bytes = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self._show_breakers()

    def submit(self, message: Message) -> Ticket:
        """Raises OverloadedError at the bounds, NotCommittedError while the breaker keeps callers away."""
        now = self.clock.monotonic()
        ticket = Ticket(message, now, now + self.bounds.seconds)
        with self._mutex:
            lane = self._lanes.get(message.partition) or self._open_lane(message.partition)
            self._admit(lane, ticket)
            lane.waiting.append(ticket)
            if lane.flying is None and len(lane.waiting) == 1:
                self._ready.append(lane)
                self._work.notify()
        return ticket

    def close(self, seconds: float) -> None:
        """Refuse what comes now; wait at most `seconds` for what is here, then give it up."""
        until = self.clock.monotonic() + seconds
        with self._mutex:
            self._closing = True
            self._work.notify()
        if self._thread is not None:
            self._thread.join(seconds)
        self.publisher.close(max(0.0, until - self.clock.monotonic()))
        with self._mutex:
            futures = [future for lane in self._lanes.values() for future in self._give_up(lane)]
        wake(futures)

    @property
    def seconds_since_receipt(self) -> float | None:
        return None if self._receipt_at is None else self.clock.monotonic() - self._receipt_at

    @property
    def pending(self) -> int:
        return self._items

    def _open_lane(self, partition: int) -> _Lane:
        lane = self._lanes[partition] = _Lane(Breaker(LANE_OPEN_SECONDS, self.clock))
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(target=self._run, name="intake-committer", daemon=True)
            self._thread.start()
        return lane

    def _admit(self, lane: _Lane, ticket: Ticket) -> None:
        if self._closing:
            raise NotCommittedError("closing")
        if self._items >= self.bounds.items or self._bytes + ticket.size > self.bounds.bytes:
            raise OverloadedError("overloaded")
        stalled = lane.flying is not None and lane.flying.overdue
        if stalled or not (lane.breaker.ready() and self._breaker.ready()):
            raise NotCommittedError("breaker")
        lane.breaker.begin()
        self._breaker.begin()
        self._items += 1
        self._bytes += ticket.size

    def _run(self) -> None:
        while True:
            with self._mutex:
                futures = self._expire()
                group = self._next_group()
                if group is None and not futures:
                    if self._closing and self._items == 0:
                        return
                    self._work.wait(self._seconds_to_deadline())
                    continue
            wake(futures)
            if group is not None:
                self._hand_over(group)

    def _next_group(self) -> _Group | None:
        while self._ready:
            lane = self._ready.popleft()
            # Those who made it ready may have been dropped since, and others have made it ready once more.
            if lane.waiting and lane.flying is None:
                lane.flying = _Group(lane, self._take(lane.waiting))
                return lane.flying
        return None

    def _take(self, waiting: deque[Ticket]) -> list[Ticket]:
        taken = [waiting.popleft()]
        size = taken[0].size
        while waiting and len(taken) < self.bounds.group_items:
            size += waiting[0].size
            if size > self.bounds.group_bytes:
                break
            taken.append(waiting.popleft())
        return taken

    def _hand_over(self, group: _Group) -> None:
        GROUP_SIZE.observe(len(group.tickets))
        PENDING.set(self._items)
        try:
            self.publisher.publish([ticket.message for ticket in group.tickets], partial(self._done, group))
        except StreamError as error:
            self._done(group, [error] * len(group.tickets))
        except Exception:  # this thread ending would leave every later submission without an answer
            logger.exception("The publisher failed on a group of %d", len(group.tickets))
            self._done(group, [StreamError("the publisher failed")] * len(group.tickets))

    def _done(self, group: _Group, outcomes: list[Published]) -> None:
        """Any thread, and within `publish` or later."""
        now = self.clock.monotonic()
        with self._mutex:
            if group.done:
                return
            group.done = True
            group.lane.flying = None
            futures = self._settle(group.tickets, outcomes)
            if any(isinstance(outcome, Receipt) for outcome in outcomes):
                self._succeeded(group.lane)
            elif not group.overdue:
                # A group that fails while it is handed over could not even be queued: no broker is in reach.
                handing_over = threading.current_thread() is self._thread
                futures += self._failed(group.lane, FAILURES_IN_A_ROW if handing_over else 1)
            if group.lane.waiting:
                self._ready.append(group.lane)
            self._work.notify()
        wake(futures)
        for ticket, outcome in zip(group.tickets, outcomes, strict=True):
            if isinstance(outcome, Receipt):
                ACK_SECONDS.observe(now - ticket.since)

    def _settle(self, tickets: list[Ticket], outcomes: list[Published]) -> Futures:
        self._release(tickets)
        futures: Futures = []
        for ticket, outcome in zip(tickets, outcomes, strict=True):
            futures += ticket.settle(outcome if isinstance(outcome, Receipt) else not_committed(outcome))
        return futures

    def _succeeded(self, lane: _Lane) -> None:
        self._failures = lane.failures = 0
        self._receipt_at = self.clock.monotonic()
        if lane.breaker.closed and self._breaker.closed:
            return
        lane.breaker.succeed()
        self._breaker.succeed()
        self._show_breakers()

    def _show_breakers(self) -> None:
        BREAKER_OPEN.labels("broker").set(not self._breaker.closed)
        BREAKER_OPEN.labels("partition").set(sum(not lane.breaker.closed for lane in self._lanes.values()))

    def _failed(self, lane: _Lane, weight: int) -> Futures:
        """Those who wait in a lane are its next try; only a lane that failed twice, or stands still, lets them go."""
        lane.failures += weight
        self._failures += weight
        futures: Futures = []
        if lane.failures > 1:
            lane.breaker.fail()
            futures += self._drop(lane)
        if self._failures >= FAILURES_IN_A_ROW:
            self._breaker.fail()
            futures += [future for other in self._lanes.values() for future in self._drop(other)]
        self._show_breakers()
        return futures

    def _expire(self) -> Futures:
        now = self.clock.monotonic()
        futures: Futures = []
        for lane in self._lanes.values():
            flying = lane.flying
            if flying and not flying.overdue and flying.deadline <= now:
                # It stays in flight, and its bytes stay counted, until the publisher has an answer.
                flying.overdue = True
                silent = NotCommittedError("silent", ambiguous=True)
                futures += _finish(flying.tickets, silent)
                futures += self._failed(lane, FAILURES_IN_A_ROW - 1)
            while lane.waiting and lane.waiting[0].deadline <= now:
                futures += self._end([lane.waiting.popleft()], NotCommittedError("deadline"))
        return futures

    def _seconds_to_deadline(self) -> float | None:
        deadlines = [lane.waiting[0].deadline for lane in self._lanes.values() if lane.waiting]
        deadlines += [lane.flying.deadline for lane in self._lanes.values() if lane.flying and not lane.flying.overdue]
        return max(0.0, min(deadlines) - self.clock.monotonic()) if deadlines else None

    def _drop(self, lane: _Lane) -> Futures:
        dropped = list(lane.waiting)
        lane.waiting.clear()
        return self._end(dropped, NotCommittedError("breaker"))

    def _give_up(self, lane: _Lane) -> Futures:
        flying = lane.flying.tickets if lane.flying else []
        return _finish(flying, NotCommittedError("closing", ambiguous=True)) + self._drop(lane)

    def _end(self, tickets: list[Ticket], outcome: Outcome) -> Futures:
        self._release(tickets)
        return _finish(tickets, outcome)

    def _release(self, tickets: list[Ticket]) -> None:
        self._items -= len(tickets)
        self._bytes -= sum(ticket.size for ticket in tickets)
        PENDING.set(self._items)


def _finish(tickets: list[Ticket], outcome: Outcome) -> Futures:
    return [future for ticket in tickets for future in ticket.settle(outcome)]
