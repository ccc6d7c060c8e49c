"""Which destinations want a flush: asked every second, and more thoroughly now and then.

Everything here is a hint: two beats queue at most a task too many, and the lease decides who works.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from apps.sinks import actions
from apps.sinks.contract import Policy, Sink
from apps.sinks.models import UNFINISHED, Batch, Binding, BindingState, Destination, Parked, Walk
from apps.sinks.registry import UnknownKindError
from formhub.core.clock import Clock
from workers.buffer.base import Buffer, BufferUnavailableError
from workers.rooms import Archive

logger = logging.getLogger(__name__)
QUEUED_SECONDS = 30.0  # a task that was queued and lost is queued again after this
GRACE_SECONDS = 20.0  # a sweep leaves alone what the buffer should bring about by itself
CHUNK = 1000
PER_TICK = 500

_CLAIM = """
WITH due AS (
  SELECT id FROM sinks_destination
  WHERE next_attempt_at <= now() AND (queued_until IS NULL OR queued_until < now())
  ORDER BY next_attempt_at LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE sinks_destination SET queued_until = now() + make_interval(secs => %s) FROM due
WHERE sinks_destination.id = due.id RETURNING sinks_destination.id, kind
"""


def due(buffer: Buffer, clock: Clock, limit: int = PER_TICK) -> dict[int, str]:
    """Destinations to be flushed now, with their kind: by the buffer's hints and by the database."""
    found = _hinted(buffer, clock, limit)
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [limit, QUEUED_SECONDS])
        found.update(cursor.fetchall())
    return found


def _hinted(buffer: Buffer, clock: Clock, limit: int) -> dict[int, str]:
    now = clock.now().timestamp()
    try:
        hinted = buffer.due(now, limit, now + QUEUED_SECONDS)
        rows = Destination.objects.in_bulk(hinted)
        for destination in hinted:
            if destination not in rows:
                buffer.settle(destination, {}, now, 0, 1)
            elif (at := rows[destination].next_attempt_at) and at.timestamp() > now:
                buffer.set_due([destination], at.timestamp())
    except BufferUnavailableError as error:
        logger.warning("%s", error)
        return {}
    moment = clock.now()
    return {row.pk: row.kind for row in rows.values() if not _engaged(row, moment)}


def _engaged(destination: Destination, now: datetime) -> bool:
    """It has to wait, or somebody is at it, who will look again before the end."""
    return any(until is not None and until > now for until in (destination.next_attempt_at, destination.leased_until))


@dataclass(frozen=True, slots=True)
class _Owing:
    destination: int
    form: UUID
    settled_to: int
    wait: float


def sweep(archive: Archive, buffer: Buffer, kinds: Callable[[str], type[Sink]], clock: Clock) -> int:
    """Wake every destination that owes something nobody is about to deliver; how many that were.

    This alone finds what a lost buffer had listed.
    """
    overdue = set[int]()
    owing = _owing(kinds)
    for first in range(0, len(owing), CHUNK):
        overdue |= _overdue(owing[first : first + CHUNK], archive, clock.now())
    idle = Destination.objects.filter(next_attempt_at__isnull=True).exclude(leased_until__gt=Now())
    unfinished = Batch.objects.filter(destination=OuterRef("pk"), state__in=UNFINISHED)
    again = Parked.objects.filter(binding__destination=OuterRef("pk"), again=True)
    fills = Walk.objects.filter(
        binding__destination=OuterRef("pk"), purpose=Walk.Purpose.FILL, state=Walk.State.RUNNING
    ).exclude(binding__state=BindingState.PAUSED)
    woken = idle.filter(Q(pk__in=overdue) | Exists(unfinished) | Exists(again) | Exists(fills)).update(
        next_attempt_at=Now()
    )
    _forget_deleted(buffer)
    return woken


def _owing(kinds: Callable[[str], type[Sink]]) -> list[_Owing]:
    """The actions that may owe anything. One that is off owes only what came before."""
    open_ended = Q(owes_below__isnull=True) | Q(settled_to__lt=F("owes_below") - 1)
    active = Binding.objects.filter(open_ended).exclude(state=BindingState.PAUSED)
    rows = active.values_list("destination_id", "form_id", "settled_to", "since", "flush_seconds", "kind")
    return [
        _Owing(destination, form, max(settled_to, since), seconds or policy_of(kinds, kind).max_seconds)
        for destination, form, settled_to, since, seconds, kind in rows
    ]


def _overdue(owing: Sequence[_Owing], archive: Archive, now: datetime) -> set[int]:
    oldest = archive.oldest_after([(item.form, item.settled_to) for item in owing])
    return {
        item.destination
        for item, at in zip(owing, oldest, strict=True)
        if at is not None and at < now - timedelta(seconds=item.wait + GRACE_SECONDS)
    }


def _forget_deleted(buffer: Buffer) -> None:
    try:
        held = buffer.bindings()
        for binding in held - set(Binding.objects.filter(pk__in=held).values_list("pk", flat=True)):
            buffer.drop(binding)
    except BufferUnavailableError as error:
        logger.warning("%s", error)


def resume_returned(kinds: Callable[[str], type[Sink]]) -> None:
    """Actions that were paused because their kind could not be used go on once it can."""
    away = Binding.objects.filter(state=BindingState.PAUSED, pause_code=Binding.PauseCode.KIND_AWAY)
    for name in away.order_by("kind").values_list("kind", flat=True).distinct():
        try:
            kinds(name)
        except UnknownKindError:
            continue
        for binding in away.filter(kind=name).order_by("pk")[:CHUNK]:
            logger.info("action %s goes on: its kind %s is back", binding.pk, name)
            actions.resume(binding)


def policy_of(kinds: Callable[[str], type[Sink]], kind: str) -> Policy:
    """The kind's policy; the usual one for a kind that is not installed at present."""
    try:
        return kinds(kind).policy
    except UnknownKindError:
        return Policy()
