"""From the outbox into the log: oldest first per form, each row gone only with its own receipt.

A turn is one transaction: it takes a batch of each partition that no other relay holds, publishes, and drops what has a
receipt. Whatever ends it in between leaves the rows where they were, and publishes some of them once more; the readers
tell repeats by the submission's id. A relay that stands still loses its transaction to a timeout of the database's, and
whoever holds its partitions next repeats what it had begun: later copies never change an order.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction

from apps.intake import outbox
from apps.intake.outbox import Row
from formhub.core.clock import Clock
from formhub.core.metrics import RELAYED
from formhub.core.stream.base import Message, Outcome, Publisher, Receipt, RefusedError, partition_of

logger = logging.getLogger(__name__)
# A batch of one partition: as much as a group of the intake's, so that it stays below one batch of the producer.
ITEMS = 1_000
BYTES = 700_000
# Beyond the time in which the client tells what became of a record. With it a turn stays below outbox.TURN_SECONDS.
PATIENCE_SECONDS = 12.0
# A partition that took nothing is left alone for so long: the others do not wait for it in every turn.
REST_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Turn:
    """`relayed`: rows with a receipt. `failed`: partitions that took nothing of some row, or none. `refused`: rows."""

    relayed: int = 0
    failed: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Group:
    """A partition's rows on their way."""

    rows: Sequence[Row]
    outcomes: Sequence[Outcome] = ()
    done: threading.Event = field(default_factory=threading.Event)

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = outcomes
        self.done.set()

    def taken(self) -> list[UUID]:
        return [row.id for row, outcome in self._told() if isinstance(outcome, Receipt)]

    def refused(self) -> dict[UUID, str]:
        return {row.id: str(outcome) for row, outcome in self._told() if isinstance(outcome, RefusedError)}

    def failed(self) -> bool:
        return not self.done.is_set() or len(self.taken()) + len(self.refused()) < len(self.rows)

    def _told(self) -> Sequence[tuple[Row, Outcome]]:
        return list(zip(self.rows, self.outcomes, strict=True)) if self.done.is_set() else []


class Relay:
    """Of a process. `partitions`: how many the topic has now; a row's own may be from before there were more."""

    def __init__(self, publisher: Publisher, partitions: int, clock: Clock) -> None:
        self.publisher = publisher
        self.partitions = partitions
        self.clock = clock
        self._resting: dict[int, float] = {}

    def run(self, seconds: float) -> bool:
        """Turns while they bring something, for some `seconds`; whether there was more to do at the end."""
        until = self.clock.monotonic() + seconds
        while (turn := self.turn()).relayed or turn.refused:
            if self.clock.monotonic() >= until:
                return True
        self._mend_size()
        return False

    def turn(self) -> Turn:
        """Raises django.db.Error, after which nothing is dropped."""
        with transaction.atomic():
            outbox.begin_turn()
            groups = self._take()
            self._publish(groups)
            taken = [id for group in groups.values() for id in group.taken()]
            refused = {id: why for group in groups.values() for id, why in group.refused().items()}
            outbox.drop(taken)
            outbox.set_aside(refused)
        RELAYED.inc(len(taken))
        for id, why in refused.items():
            logger.error("submission %s is set aside in the outbox: %s", id, why)
        return Turn(len(taken), self._rest(groups), len(refused))

    def _mend_size(self) -> None:
        """An outbox that holds nothing is empty, whatever was once done to its rows by hand."""
        found = outbox.state()
        if found.rows and found.oldest is None and not found.refused:
            outbox.recount()

    def _take(self) -> dict[int, _Group]:
        now = self.clock.monotonic()
        awake = [number for number in outbox.waiting() if self._resting.get(number, now) <= now]
        held = [number for number in awake if outbox.hold(number)]
        taken = {number: outbox.oldest(number, ITEMS, BYTES) for number in held}
        # Of one that another relay held until a moment ago nothing may be left.
        return {number: _Group(rows) for number, rows in taken.items() if rows}

    def _publish(self, groups: Mapping[int, _Group]) -> None:
        until = self.clock.monotonic() + PATIENCE_SECONDS
        for group in groups.values():
            self.publisher.publish([self._message(row) for row in group.rows], group.settle)
            if group.done.is_set() and group.failed() and not group.taken():
                break  # not even queued: no broker is in reach, and each further group would wait as long to learn it
        for group in groups.values():
            if not group.done.wait(max(0.0, until - self.clock.monotonic())):
                break

    def _message(self, row: Row) -> Message:
        return Message(row.key, row.value, row.headers, partition_of(row.key, self.partitions))

    def _rest(self, groups: Mapping[int, _Group]) -> int:
        """How many failed; those rest."""
        failed = [number for number, group in groups.items() if group.failed()]
        now = self.clock.monotonic()
        self._resting = {number: until for number, until in self._resting.items() if until > now}
        self._resting |= dict.fromkeys(failed, now + REST_SECONDS)
        return len(failed)
