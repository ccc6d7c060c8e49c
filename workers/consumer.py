"""Carries records from the log to a handler. One turn is testable; the loop only repeats it.

What a group has done and how far it has read move together, in the handler's own transaction, so a crash at any point
repeats work and loses none. The commit to Kafka afterwards is for lag tools and never read.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from django.db import close_old_connections

from apps.archive import offsets
from apps.archive.offsets import OffsetMovedError
from formhub.core import logs
from formhub.core.clock import Clock, SystemClock
from formhub.core.envelope import Envelope, UnreadableRecordError, decode
from formhub.core.metrics import CONSUMED, FAILED_TURNS, LOST
from formhub.core.position import position
from formhub.core.stream.base import OffsetOutOfRange, Record, Source, StreamError
from workers.heartbeat import Heartbeat
from workers.lag import Lag

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
LAG_EVERY_SECONDS = 5.0
# So many failed turns in a row end the process: a fresh one starts with fresh connections.
FAILURES_MAX = 20
REOPEN_AFTER = 3  # failures of the stream's in a row
BACK_OFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A submission and its place in the order of its form."""

    record: Record
    envelope: Envelope
    position: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no envelope of a known version. The message holds nothing of its content."""

    record: Record
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of a partition: where the group stood before, and where it stands afterwards."""

    first: int
    next: int


@dataclass(frozen=True, slots=True)
class Taken:
    """One poll's worth, in order within each partition."""

    topic: str
    topic_id: str
    decoded: list[Decoded]
    unreadable: list[Unreadable]
    spans: dict[int, Span]

    @property
    def moves(self) -> dict[int, tuple[int, int]]:
        return {partition: (span.first, span.next) for partition, span in self.spans.items()}


@dataclass(frozen=True, slots=True)
class Lost:
    """Offsets of a partition that nobody of the group can read any more, from `first` to `last`."""

    topic: str
    topic_id: str
    partition: int
    first: int
    last: int


class Handler(Protocol):
    group: str

    def handle(self, taken: Taken) -> None:
        """When it returns, all of it is durable, the group's offsets included."""

    def blocked(self) -> bool:
        """Whether nothing more can be taken for now; asked each turn."""

    def missed(self, lost: "Lost") -> None:
        """Records left the log before this group had read them; called before the group goes on behind them."""


class SourceFactory(Protocol):
    def __call__(self, listener: "Consumer") -> Source: ...


class ConsumerFailedError(Exception):
    """The loop cannot go on by itself; the process should end and be started again."""


class Consumer:
    """One group's loop. It is its source's rebalance listener: assignments arrive inside a poll, on the same thread."""

    def __init__(
        self,
        open_source: SourceFactory,
        handler: Handler,
        topic: str,
        *,
        heartbeat: Heartbeat | None = None,
        batch: int = 2000,
        clock: Clock | None = None,
    ) -> None:
        self.handler = handler
        self.topic = topic
        self.batch = batch
        self.clock = clock or SystemClock()
        self.heartbeat = heartbeat
        self._next: dict[int, int] = {}
        self._topic_id = ""
        self._epoch = 0
        self._paused = False
        self._lag = Lag(handler.group, self.clock)
        for counter in (FAILED_TURNS, LOST):
            counter.labels(handler.group)  # told as 0 before the first, or nobody would see it rise
        self._lag_at = 0.0
        self._compared_at = self.clock.monotonic()
        self._misplaced = False
        self._open_source = open_source
        self.source = open_source(listener=self)

    # Loop

    def run(self, stop: Event) -> None:
        """Repeat turns until told to stop. Raises ConsumerFailedError after FAILURES_MAX failed turns in a row."""
        with logs.context(group=self.handler.group):
            try:
                self._repeat(stop)
            finally:
                self.close()

    def _repeat(self, stop: Event) -> None:
        failures = 0
        of_stream = 0
        while not stop.is_set():
            close_old_connections()
            try:
                self.turn()
                failures = of_stream = 0
            except Exception as error:
                failures += 1
                FAILED_TURNS.labels(self.handler.group).inc()
                logger.warning("%s: turn failed (%s), %d in a row", self.handler.group, _named(error), failures)
                if failures >= FAILURES_MAX:
                    raise ConsumerFailedError(self.handler.group) from error
                self._misplaced = True
                if isinstance(error, StreamError):
                    of_stream += 1
                    if of_stream % REOPEN_AFTER == 0:
                        self._reopen()
                else:
                    self._report_lag_if_possible()
                stop.wait(BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS)) - 1])

    def _reopen(self) -> None:
        """Go on as a new member: a client that lost a broker which stood still may never find its way back."""
        logger.warning("%s: opening the log anew", self.handler.group)
        with suppress(StreamError):
            self.source.close()
        self.source = self._open_source(listener=self)

    def turn(self) -> int:
        """Take one poll's worth and hand it over; how many records it was."""
        if self._misplaced:
            self._place(self.source.assignment())
        self._hold_back()
        try:
            records = self.source.poll(self.batch, POLL_SECONDS)
        except OffsetOutOfRange:
            self._place(self.source.assignment())
            records = []
        # An assignment whose stored offsets could not be read leaves nothing to go by: read again from the right place.
        if records and not self._misplaced:
            self._lag.saw(records)
            self._hand_over(records)
        elif not records and not self._misplaced:
            self._notice_rewind()
        if self.heartbeat:
            self.heartbeat.beat()
        self._report_lag()
        self._lag.done()
        return len(records)

    def close(self) -> None:
        self._lag.close()
        self.source.close()

    # Rebalance listener

    def assigned(self, partitions: set[int]) -> None:
        self._paused = False
        self._place(partitions)

    def revoked(self, partitions: set[int]) -> None:
        for partition in partitions:
            self._next.pop(partition, None)
            self._lag.forget(partition)

    # Parts of a turn

    def _hand_over(self, records: list[Record]) -> None:
        taken = self._decode(records)
        try:
            self.handler.handle(taken)
        except OffsetMovedError:
            logger.warning("%s: another reader moved the offsets; seeking again", self.handler.group)
            self._place(self.source.assignment())
            return
        except Exception:
            # Nothing was kept: the same records have to be read again.
            self._misplaced = True
            raise
        self._next.update({partition: span.next for partition, span in taken.spans.items()})
        CONSUMED.labels(self.handler.group).inc(len(records))
        ends = {partition: span.next for partition, span in taken.spans.items()}
        self._lag.took(records, ends)
        self._tell_kafka(ends)

    def _decode(self, records: list[Record]) -> Taken:
        decoded: list[Decoded] = []
        unreadable: list[Unreadable] = []
        ends: dict[int, int] = {}
        for record in records:
            ends[record.partition] = record.offset + 1
            try:
                envelope = decode(record.value, record.headers)
            except UnreadableRecordError as error:
                unreadable.append(Unreadable(record, error.code, str(error)))
            else:
                decoded.append(Decoded(record, envelope, position(self._epoch, record.offset)))
        spans = {partition: Span(self._next[partition], end) for partition, end in ends.items()}
        return Taken(self.topic, self._topic_id, decoded, unreadable, spans)

    def _place(self, partitions: set[int]) -> None:
        """Stand where the group's stored offsets say, or at the log's start on a first reading."""
        self._misplaced = True
        if partitions:
            self._topic_id = self.source.topic_id()
            self._epoch = offsets.epoch(self.topic, self._topic_id)
            stored = offsets.stored(self.handler.group, self._topic_id)
            bounds = {number: span for number, span in self.source.bounds().items() if number in partitions}
            self._correct(stored, bounds)
            self._next.update({number: stored[number] for number in bounds})
            self.source.seek({number: stored[number] for number in bounds})
        self._misplaced = False

    def _correct(self, stored: dict[int, int], bounds: Mapping[int, tuple[int, int]]) -> None:
        """Make `stored` lie within the log, and write down what had to be changed."""
        changed: dict[int, int] = {}
        set_back = False
        for number, (start, end) in bounds.items():
            offset = stored.get(number)
            if offset is None:
                changed[number] = start
            elif offset < start:
                logger.error(
                    "%s: records %d to %d of partition %d left the log before they were read",
                    *(self.handler.group, offset, start - 1, number),
                )
                self.handler.missed(Lost(self.topic, self._topic_id, number, offset, start - 1))
                LOST.labels(self.handler.group).inc(start - offset)
                changed[number] = start
            elif offset > end:
                logger.error("%s: partition %d was set back from %d to %d", self.handler.group, number, offset, end)
                changed[number] = start
                set_back = True
        if set_back:
            self._epoch = offsets.open_epoch(self.topic, self._topic_id)
            changed = {number: changed.get(number, stored.get(number, 0)) for number in bounds}
        if changed:
            offsets.place(self.handler.group, self.topic, self._topic_id, self._epoch, changed)
            stored.update(changed)

    def _notice_rewind(self) -> None:
        """With nothing to take nobody would ever find out that the group was set back."""
        if self.clock.monotonic() - self._compared_at < LAG_EVERY_SECONDS:
            return
        self._compared_at = self.clock.monotonic()
        stored = offsets.stored(self.handler.group, self._topic_id)
        if any(stored.get(number) != offset for number, offset in self._next.items()):
            logger.warning("%s: the offsets were moved by hand; seeking again", self.handler.group)
            self._place(self.source.assignment())

    def _hold_back(self) -> None:
        """Go on polling while blocked, without taking anything: whoever does not poll is thrown out of the group."""
        blocked = self.handler.blocked()
        if blocked != self._paused:
            (self.source.pause if blocked else self.source.resume)(self.source.assignment())
            self._paused = blocked

    def _tell_kafka(self, ends: Mapping[int, int]) -> None:
        try:
            self.source.commit(ends)
        except StreamError as error:
            logger.info("%s: the commit for lag tools failed (%s)", self.handler.group, error)

    def _report_lag(self) -> None:
        if self.clock.monotonic() - self._lag_at < LAG_EVERY_SECONDS:
            return
        self._lag_at = self.clock.monotonic()
        self._lag.measured({partition: end for partition, (_, end) in self.source.bounds().items()}, self._next)

    def _report_lag_if_possible(self) -> None:
        """What the group cannot take is behind all the same."""
        with suppress(StreamError):
            self._report_lag()


def _named(error: BaseException) -> str:
    """The kind of error; its text may hold data, except where we wrote it."""
    return f"{type(error).__name__}: {error}" if isinstance(error, StreamError) else type(error).__name__
