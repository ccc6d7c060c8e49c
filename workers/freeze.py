"""Decide what the next batch of a destination holds, and write it down before anything is sent.

The archive decides, in one transaction under the destination's lock: the rows after `settled_to` of each action, in
the order of the log and without a gap, less those that are not owed, already in the ledger, or parked. `settled_to`
rises over everything examined. So a batch can neither skip nor repeat a submission, whatever the buffer says.

What is owed below `settled_to` (failed ones asked for again, back-fills, what the reconciler found) goes into late
batches; they take turns with live ones, and the live ones' order knows nothing of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import orjson
from django.db.models import QuerySet

from apps.sinks.contract import Policy
from apps.sinks.models import Batch, BatchItem, BatchState, Binding, BindingState, Destination, Parked
from apps.sinks.queries import revisions_of
from apps.sinks.revisions import Revisions
from formhub.core.ids import uuid7
from workers.backfill import freeze_fill, running_fills
from workers.lease import Lease, fenced
from workers.ledger import Frozen, Room, insert_items, new_batch
from workers.outcomes import postpone
from workers.parked import freeze_again, park_broken
from workers.rooms import Archive, Stored

EXAMINE = 2000  # rows read at a time for an action with a condition, of which perhaps few are owed
ACTIONS = 100  # of one destination that may have a part in one batch
MOVING_SECONDS = 1.0


@dataclass(slots=True)
class _Taken:
    binding: Binding
    settled_to: int
    rows: list[Stored] = field(default_factory=list)
    broken: list[Stored] = field(default_factory=list)
    more: bool = False


def waiting(destination: int, archive: Archive) -> list[Binding]:
    """The actions of a destination that have rows to examine, live or late ones."""
    bindings = list(active(destination))
    starts = [(binding, _start(binding, revisions)) for binding, revisions in _with_revisions(bindings)]
    looking = [(binding, start) for binding, start in starts if start is not None]
    oldest = archive.oldest_after([(binding.form_id, start) for binding, start in looking])
    found = {binding.pk for (binding, _), at in zip(looking, oldest, strict=True) if at is not None}
    found |= set(Parked.objects.filter(binding__in=bindings, again=True).values_list("binding_id", flat=True))
    found |= set(running_fills(bindings).values_list("binding_id", flat=True))
    return [binding for binding in bindings if binding.pk in found]


def freeze(lease: Lease, policy: Policy, archive: Archive, candidates: Sequence[int]) -> Frozen:
    """`candidates`: the actions that `waiting` found. Raises workers.lease.LeaseLostError."""
    with fenced(lease) as destination:
        locked = active(destination.pk).select_for_update(no_key=True).filter(pk__in=candidates)
        bindings = _arrived(destination, list(locked))
        # Late ones and live ones take turns, and so do the actions among themselves.
        if destination.sequence % 2 == 0 and (late := _freeze_late(destination, bindings, policy, archive)).batch:
            return late
        chosen = _rotated(bindings, destination.sequence)
        live = _freeze_live(destination, chosen, policy, archive, more=len(chosen) < len(bindings))
        if live.batch is None and not live.more:
            return _freeze_late(destination, bindings, policy, archive)
        return replace(live, more=True, behind=True) if running_fills(bindings).exists() else live


def _freeze_late(destination: Destination, bindings: Sequence[Binding], policy: Policy, archive: Archive) -> Frozen:
    again = freeze_again(destination, bindings, policy, archive)
    return again or freeze_fill(destination, bindings, policy, archive) or Frozen(None, {}, more=False, behind=False)


def active(destination: int) -> QuerySet[Binding]:
    """Its actions that owe something or may: one that is off still owes what came before."""
    return Binding.objects.filter(destination_id=destination).exclude(state=BindingState.PAUSED).order_by("pk")


def _arrived(destination: Destination, bindings: Sequence[Binding]) -> list[Binding]:
    """Without those that moved here while the former destination still has something of theirs that may come along:
    it is older than anything here. What is not known there does not hold them up, which may take for ever.
    """
    keys = [str(binding.pk) for binding in bindings]
    elsewhere = Batch.objects.filter(
        organization_id=destination.organization_id,
        state__in=[BatchState.PENDING, BatchState.SENDING],
        settings__has_any_keys=keys,
    ).exclude(destination=destination)
    items = BatchItem.objects.filter(batch__in=elsewhere, binding__in=bindings)
    moving = set(items.values_list("binding_id", flat=True))
    if moving:
        postpone(destination, MOVING_SECONDS)
    return [binding for binding in bindings if binding.pk not in moving]


def _rotated(bindings: list[Binding], sequence: int) -> list[Binding]:
    start = sequence % len(bindings) if bindings else 0
    return (bindings[start:] + bindings[:start])[:ACTIONS]


def _with_revisions(bindings: Sequence[Binding]) -> list[tuple[Binding, Revisions]]:
    found = revisions_of(binding.pk for binding in bindings)
    return [(binding, found[binding.pk]) for binding in bindings]


def _start(binding: Binding, revisions: Revisions) -> int | None:
    return revisions.start_after(max(binding.settled_to, binding.since))


def _freeze_live(
    destination: Destination, bindings: list[Binding], policy: Policy, archive: Archive, *, more: bool
) -> Frozen:
    room = Room(policy.max_items, policy.max_bytes)
    taken = []
    for index, (binding, revisions) in enumerate(_with_revisions(bindings)):
        share = Room(-(-room.items // (len(bindings) - index)), room.bytes, room.empty)
        taken.append(_take(binding, revisions, archive, share))
        used = len(taken[-1].rows)
        room = Room(room.items - used, share.bytes, room.empty and not used)
    batch_id = uuid7()
    rows = {part.binding.pk: kept for part in taken if (kept := insert_items(batch_id, part.binding.pk, part.rows))}
    batch = new_batch(destination, batch_id, sum(map(len, rows.values()))) if rows else None
    for part in taken:
        park_broken(part.binding, part.broken)
        _settle(part)
    return Frozen(
        batch=batch,
        rows=rows,
        more=more or any(part.more for part in taken),
        behind=any(part.binding.behind_at is not None for part in taken),
    )


def _take(binding: Binding, revisions: Revisions, archive: Archive, room: Room) -> _Taken:
    taken = _Taken(binding, binding.settled_to)
    start = _start(binding, revisions)
    if start is None:
        return taken
    taken.settled_to = start
    limit = room.items + 1 if binding.condition is None else EXAMINE
    # The bound is read first: what lies below it is then certainly among the rows read after it.
    below = archive.archived_below(binding.form_id)
    rows = archive.after(binding.form_id, start, below, limit)
    taken.more = len(rows) == limit
    for row in rows:
        owed = revisions.at(row.position).owes(row.answers)
        if owed is None:
            taken.broken.append(row)
        elif owed and not room.take(len(orjson.dumps(row.answers))):
            taken.more = True
            break
        elif owed:
            taken.rows.append(row)
        taken.settled_to = row.position
    return taken


def _settle(part: _Taken) -> None:
    if part.settled_to != part.binding.settled_to:
        Binding.objects.filter(pk=part.binding.pk).update(settled_to=part.settled_to)
