"""How an attempt ended, written into the ledger: each a transaction under the destination's lock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, QuerySet
from django.db.models.functions import Now

from apps.sinks import notices, tally
from apps.sinks.models import (
    UNFINISHED,
    Batch,
    BatchItem,
    BatchState,
    Binding,
    BindingState,
    Destination,
    FormerItem,
)
from apps.sinks.registry import UnknownKindError
from workers.lease import Lease, fenced
from workers.ledger import Item, close, divide, halve, items_of
from workers.parked import park_items

TRIES_KEPT = 10  # of a batch's attempts, the last ones
MESSAGE_LENGTH = 1000
UNSURE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong, in words for the owner of the form."""

    code: str
    message: str
    part: int | None = None


def sending(lease: Lease, batch: Batch, account: str) -> None:
    """Written down before the call, so that a batch whose worker dies is known to be perhaps delivered."""
    changes: dict[str, Any] = {"state": BatchState.SENDING, "attempts": F("attempts") + 1, "offered_at": Now()}
    if batch.ambiguous_at is None:
        changes["account"] = account[:200]
    with fenced(lease):
        _unfinished(batch).update(**changes)
    batch.state, batch.attempts = BatchState.SENDING, batch.attempts + 1
    batch.account = changes.get("account", batch.account)


def keep(lease: Lease, batch: Batch, body: bytes) -> None:
    """Write the rendered body down before it is sent."""
    with fenced(lease):
        _unfinished(batch).update(body=body)


def remember(lease: Lease, state: Mapping[str, Any]) -> None:
    """The destination's small memory."""
    with fenced(lease) as destination:
        _update(destination, state=dict(state))


def delivered(lease: Lease, batch: Batch, state: Mapping[str, Any]) -> None:
    with fenced(lease) as destination:
        items = _first_delivered(batch) if batch.late else batch.items
        counts = items.order_by().values_list("binding_id").annotate(count=Count("submission_id"))
        for binding, count in counts:
            counted = Binding.objects.filter(pk=binding)
            counted.update(delivered=F("delivered") + count, delivered_at=Now())
        tally.delivered(dict(counts))
        close(batch, BatchState.DELIVERED)
        _update(destination, state=dict(state), failures=0, last_error="", delivered_at=Now())


def _first_delivered(batch: Batch) -> QuerySet[BatchItem]:
    """Without those that were delivered before, and were counted then."""
    before = FormerItem.objects.filter(binding=OuterRef("binding"), submission_id=OuterRef("submission_id"))
    return batch.items.exclude(Exists(before))


def rest(lease: Lease, again: float) -> None:
    """Nothing more to do for now, unless somebody asked for it since the lease was taken.

    Actions that were behind have caught up. What arrived before the routing learns of it stands in no buffer: another
    look in `again` seconds.
    """
    with fenced(lease) as destination:
        behind = Binding.objects.filter(destination=destination, behind_at__isnull=False)
        caught_up = behind.exclude(state=BindingState.PAUSED).update(behind_at=None, updated_at=Now())
        if caught_up:
            postpone(destination, again)
        elif destination.next_attempt_at == lease.wake:
            _update(destination, next_attempt_at=None, queued_until=None)


def absent(lease: Lease, batch: Batch) -> None:
    """The sink found that no former attempt landed, nor can any more."""
    with fenced(lease):
        _unfinished(batch).update(state=BatchState.PENDING, ambiguous_at=None)
        batch.refresh_from_db()


def wait(lease: Lease, batch: Batch, trouble: Trouble, seconds: float, *, ambiguous: bool) -> None:
    """Offer the same batch again after `seconds`."""
    with fenced(lease) as destination:
        _note(batch, trouble, ambiguous=ambiguous)
        postpone(destination, seconds)
        _update(destination, failures=F("failures") + 1, last_error=trouble.message[:MESSAGE_LENGTH])


def hold(lease: Lease, batch: Batch | None, message: str, seconds: float) -> None:
    """There was no room for a call: it counts as no attempt and as no failure."""
    with fenced(lease) as destination:
        if batch is not None:
            state = BatchState.AMBIGUOUS if batch.ambiguous_at else BatchState.PENDING
            attempts = batch.attempts - 1 if batch.state == BatchState.SENDING else batch.attempts
            _unfinished(batch).update(state=state, attempts=attempts)
        postpone(destination, seconds)
        _update(destination, last_error=message[:MESSAGE_LENGTH])


def postpone(destination: Destination, seconds: float) -> None:
    """Due again in `seconds`, and not before."""
    _update(destination, next_attempt_at=Now() + timedelta(seconds=seconds), queued_until=None)


def refuse(lease: Lease, batch: Batch, trouble: Trouble, ids: frozenset[UUID] | None) -> None:
    """Park what the service refuses and go on with the rest in a new batch; divide until it is known which that is."""
    with fenced(lease) as destination:
        _note(batch, trouble, ambiguous=False)
        items = items_of(batch)
        suspects = [item for item in items if trouble.part in (None, item[0])] or items
        named = [item for item in suspects if item[1] in (ids or ())]
        bad = named or suspects
        rest = [item for item in items if item not in set(bad)]
        if named or len(bad) == 1:
            park_items(batch, bad, trouble.code, trouble.message)
            divide(destination, batch, [rest] if rest else [])
        else:
            halve(destination, batch, rest, bad)
        postpone(destination, 0)
        _update(destination, failures=0, last_error=trouble.message[:MESSAGE_LENGTH])


def give_up(lease: Lease, batch: Batch, trouble: Trouble) -> None:
    """Park the whole batch."""
    with fenced(lease) as destination:
        _note(batch, trouble, ambiguous=False)
        park_items(batch, items_of(batch), trouble.code, trouble.message)
        close(batch, BatchState.REFUSED, trouble.code)
        postpone(destination, 0)
        _update(destination, failures=F("failures") + 1, last_error=trouble.message[:MESSAGE_LENGTH])


def pause(lease: Lease, batch: Batch, trouble: Trouble, remedy: str) -> None:
    """Pause the actions concerned; the others go on without them where the batch is certainly not applied.

    An action that is off cannot be paused: what it still owed is parked instead of being tried for ever.
    """
    with fenced(lease) as destination:
        _note(batch, trouble, ambiguous=False)
        bindings = batch.items.values_list("binding_id", flat=True).distinct()
        named = set(bindings) & {trouble.part} if trouble.part else set(bindings)
        # One that has moved is not to blame for what is wrong here.
        concerned = Binding.objects.filter(pk__in=named, destination=destination)
        off = set(concerned.filter(state=BindingState.OFF).values_list("pk", flat=True))
        on = list(concerned.filter(state=BindingState.ON).values_list("pk", flat=True))
        Binding.objects.filter(pk__in=on).update(
            state=BindingState.PAUSED,
            pause_reason=trouble.message,
            pause_remedy=remedy,
            paused_at=Now(),
            updated_at=Now(),
        )
        notices.paused(on)
        if off and not batch.ambiguous_at:
            _park_part(destination, batch, [item for item in items_of(batch) if item[0] in off], trouble)
        # What may have landed is asked about again, but not at once: the settings must be repaired first.
        postpone(destination, UNSURE_SECONDS if batch.ambiguous_at else 0)
        _update(destination, last_error=trouble.message[:MESSAGE_LENGTH])


def without_kind(lease: Lease, error: UnknownKindError, seconds: float) -> None:
    """Pause the actions of a kind that cannot be used here until it can: nothing of theirs is touched meanwhile.

    What an action that is off still owes waits as well; it is looked at again after `seconds`.
    """
    with fenced(lease) as destination:
        on = Binding.objects.filter(destination=destination, state=BindingState.ON).order_by("pk").select_for_update()
        for binding in on:
            origin = f"It came with {binding.package}." if binding.package else ""
            Binding.objects.filter(pk=binding.pk).update(
                state=BindingState.PAUSED,
                pause_reason=error.reason,
                pause_remedy=f"{error.remedy} {origin}".strip(),
                pause_code=Binding.PauseCode.KIND_AWAY,
                paused_at=Now(),
                updated_at=Now(),
            )
            notices.paused([binding.pk])
        postpone(destination, seconds)
        _update(destination, last_error=error.reason[:MESSAGE_LENGTH])


def _park_part(destination: Destination, batch: Batch, items: Sequence[Item], trouble: Trouble) -> None:
    park_items(batch, items, trouble.code, trouble.message)
    rest = items_of(batch)
    divide(destination, batch, [rest] if rest else [])


def _unfinished(batch: Batch) -> Any:
    return Batch.objects.filter(pk=batch.pk, state__in=UNFINISHED)


def _note(batch: Batch, trouble: Trouble, *, ambiguous: bool) -> None:
    """One ambiguous attempt makes the batch ambiguous until somebody knows: a later refusal says nothing of it."""
    unsure = ambiguous or batch.ambiguous_at is not None
    attempt = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "code": trouble.code}
    changes: dict[str, Any] = {
        "state": BatchState.AMBIGUOUS if unsure else BatchState.PENDING,
        "code": trouble.code[:100],
        "last_error": trouble.message[:MESSAGE_LENGTH],
        "tries": [*batch.tries, attempt][-TRIES_KEPT:],
    }
    if ambiguous:
        changes["ambiguous_at"] = Now()
    _unfinished(batch).update(**changes)
    batch.refresh_from_db()


def _update(destination: Destination, **changes: Any) -> None:
    Destination.objects.filter(pk=destination.pk).update(**changes)
