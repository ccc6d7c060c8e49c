"""Deliver what a destination is owed, one batch after the other.

The ledger is written before and after every call, so a worker may die between any two lines of this: the next one
finds an unfinished batch and offers the same again, or freezes what comes after the last.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models.functions import Now

from apps.sinks.contract import ConfigurationError, Sink
from apps.sinks.models import Batch, Binding, Destination
from apps.sinks.registry import UnknownKindError
from formhub.core import logs, metrics
from formhub.core.clock import Clock
from workers import outcomes
from workers.buffer.base import Buffer, BufferUnavailableError
from workers.compose import Rows, opened, read
from workers.freeze import active, freeze, waiting
from workers.lease import Lease, LeaseLostError, acquire, release
from workers.ledger import unfinished
from workers.limits import Charge, Limiter, RateLimitedError, spend_on_one
from workers.offer import Offer, Result, Speaker
from workers.rooms import Archive, Forms

logger = logging.getLogger(__name__)
BUDGET_SECONDS = 20.0  # a task ends after the call during which this is over; what is left is due again at once
UNKNOWN_KIND_SECONDS = 300.0
UNEXPECTED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Flusher:
    """`failing_max`: how many destinations of a kind whose last call failed are called at a time.

    `stopping`: whether to leave the rest to another worker, which is asked after each batch.
    """

    kinds: Callable[[str], type[Sink]]
    archive: Archive
    forms: Forms
    buffer: Buffer
    limiter: Limiter
    clock: Clock
    holder: str
    failing_max: int = 2
    stopping: Callable[[], bool] = lambda: False

    def flush(self, destination_id: int) -> None:
        """Does nothing while the destination has to wait or somebody else is at it."""
        destination = Destination.objects.filter(pk=destination_id).exclude(next_attempt_at__gt=Now()).first()
        if destination is None or self._crowded(destination):
            return
        lease = acquire(destination_id, self.holder)
        if lease is None:
            return
        with logs.context(destination=destination_id):
            self._run_under(lease, destination)

    def _run_under(self, lease: Lease, destination: Destination) -> None:
        try:
            self._run(lease, destination)
        except LeaseLostError as error:
            logger.warning("%s", error)
        except Exception:
            outcomes.hold(lease, None, "Unexpected error; see the log of the workers.", UNEXPECTED_SECONDS)
            raise
        finally:
            release(lease)

    def _crowded(self, destination: Destination) -> bool:
        """Whether workers enough are busy with destinations of this kind that fail."""
        failing = Destination.objects.filter(kind=destination.kind, failures__gt=0, leased_until__gt=Now())
        if not destination.failures or failing.count() < self.failing_max:
            return False
        outcomes.postpone(destination, 1)
        return True

    def _run(self, lease: Lease, destination: Destination) -> None:
        try:
            kind = self.kinds(destination.kind)
        except UnknownKindError as error:
            outcomes.without_kind(lease, error, UNKNOWN_KIND_SECONDS)
            return
        end = self.clock.monotonic() + BUDGET_SECONDS
        while self._turn(lease, kind):
            if self.clock.monotonic() >= end or self.stopping():
                outcomes.postpone(destination, 0)
                return

    def _turn(self, lease: Lease, kind: type[Sink]) -> bool:
        """One batch at most; whether to go on."""
        batch = unfinished(lease)
        if batch is not None:
            return self._again(lease, kind, batch)
        candidates = waiting(lease.destination, self.archive)
        if not candidates:
            if self._settle(lease, kind):
                self._clear(lease, kind)
            outcomes.rest(lease, kind.policy.max_seconds)
            return False
        return self._fresh(lease, kind, candidates)

    def _again(self, lease: Lease, kind: type[Sink], batch: Batch) -> bool:
        rows = read(batch, self.archive)
        speaker = self._spend(lease, kind, batch, self._speakers(kind, Binding.objects.get(pk=min(rows)), batch))
        if speaker is None:
            return False
        result = self._offer(lease, kind, batch, speaker, rows)
        if result is Result.DELIVERED:
            self._settle(lease, kind)
        return result is not Result.WAITING

    def _fresh(self, lease: Lease, kind: type[Sink], candidates: Sequence[Binding]) -> bool:
        # The call is paid for before the batch is frozen: while a rate is used up, batches grow instead of queueing.
        speaker = self._spend(lease, kind, None, self._speakers(kind, candidates[0]))
        if speaker is None:
            return False
        frozen = freeze(lease, kind.policy, self.archive, [binding.pk for binding in candidates])
        result = Result.DELIVERED
        if frozen.batch is None:
            self.limiter.give_back(speaker.charges)
        else:
            result = self._offer(lease, kind, frozen.batch, speaker, frozen.rows)
        if result is not Result.DELIVERED:
            return result is Result.CHANGED
        left = self._settle(lease, kind)
        if left >= kind.policy.max_items or (frozen.more and (frozen.behind or not left)):
            return True
        outcomes.rest(lease, kind.policy.max_seconds)
        return False

    def _offer(self, lease: Lease, kind: type[Sink], batch: Batch, speaker: Speaker, rows: Rows) -> Result:
        return Offer(lease, batch, kind, speaker, self.limiter, self.forms, self.clock).make(rows)

    def _speakers(self, kind: type[Sink], binding: Binding, batch: Batch | None = None) -> list[Speaker]:
        """The accounts that may make the call. One that may have delivered the batch is the one to repeat it."""
        try:
            found = kind.accounts(opened(binding, batch).opened, binding.destination.state)
        except ConfigurationError:
            return [Speaker("", ())]  # the offer meets the same trouble before any call, and pauses the action
        speakers = [
            Speaker(account.name, [Charge(account.rate_keys[rate.name], rate) for rate in kind.policy.rates])
            for account in found
        ]
        frozen = batch.account if batch and batch.ambiguous_at else None
        return [speaker for speaker in speakers if speaker.account == frozen] or speakers

    def _spend(
        self, lease: Lease, kind: type[Sink], batch: Batch | None, speakers: Sequence[Speaker]
    ) -> Speaker | None:
        try:
            return speakers[spend_on_one(self.limiter, [speaker.charges for speaker in speakers])]
        except RateLimitedError as error:
            metrics.QUOTA_HELD.labels(kind.name).inc()
            outcomes.hold(lease, batch, str(error), error.after)
            return None

    def _clear(self, lease: Lease, kind: type[Sink]) -> None:
        """Nothing is owed and yet something is listed: what the archive has not read so far, which stays; and records
        that repeat one of its rows or that it can never take, which would be looked for until the form's next one.
        """
        forms = active(lease.destination).values_list("pk", "form_id")
        # The bound is read first: what lies below it is then certainly among what is looked for.
        read = {binding: self.archive.archived_below(form) - 1 for binding, form in forms}
        if not waiting(lease.destination, self.archive):
            self._settle(lease, kind, read)

    def _settle(self, lease: Lease, kind: type[Sink], read: Mapping[int, int] | None = None) -> int:
        """Remove from the buffer what the ledger has; how many are left. The hint may be away: the sweep finds it.

        read: for each action a position up to which nothing is owed, whatever the ledger says.
        """
        rows = list(active(lease.destination).values_list("pk", "settled_to", "flush_seconds"))
        wait = min((seconds or kind.policy.max_seconds for *_, seconds in rows), default=kind.policy.max_seconds)
        settled = {binding: max(position, (read or {}).get(binding, position)) for binding, position, _ in rows}
        now = self.clock.now().timestamp()
        try:
            return self.buffer.settle(lease.destination, settled, now, wait, kind.policy.max_items)
        except BufferUnavailableError as error:
            logger.warning("destination %s: %s", lease.destination, error)
            return 0
