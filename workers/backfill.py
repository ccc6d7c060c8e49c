"""Late batches of what an action owes at or below its `settled_to` and what is written down nowhere.

A back-fill was asked for, or the reconciler found something missing. The fill's cursor moves in the transaction that
makes the batch, so a worker may die anywhere: nothing is left out, and the ledger lets nothing in twice. Live rows are
not touched: what lies above `settled_to` is theirs.
"""

from collections.abc import Iterator, Sequence

import orjson
from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now

from apps.sinks.contract import Policy
from apps.sinks.models import Binding, Destination, Walk
from apps.sinks.queries import revisions_of
from apps.sinks.revisions import Revisions
from formhub.core.ids import uuid7
from workers.ledger import Frozen, Room, insert_items, new_batch
from workers.parked import park_broken
from workers.rooms import Archive, Place, Stored

LOOK = 2000  # places that are compared with the ledger at a time
READ = 50  # rows whose answers are read at a time: each may hold a megabyte
STEPS = 5  # of LOOK places in one transaction, where nothing is found

_UNWRITTEN = """
    SELECT place.id FROM unnest(%s::uuid[]) AS place (id)
    WHERE NOT EXISTS (SELECT 1 FROM sinks_batchitem WHERE binding_id = %s AND submission_id = place.id)
    AND NOT EXISTS (SELECT 1 FROM sinks_parked WHERE binding_id = %s AND submission_id = place.id)
"""


def running_fills(bindings: Sequence[Binding]) -> QuerySet[Walk]:
    return Walk.objects.filter(binding__in=bindings, purpose=Walk.Purpose.FILL, state=Walk.State.RUNNING)


def unwritten(binding: Binding, places: Sequence[Place], archive: Archive) -> Iterator[Stored]:
    """The rows at these places that are neither in the ledger nor failed, in order."""
    with connection.cursor() as cursor:
        cursor.execute(_UNWRITTEN, [[id for _, id in places], binding.pk, binding.pk])
        fresh = {row[0] for row in cursor.fetchall()}
    wanted = [id for _, id in places if id in fresh]
    for first in range(0, len(wanted), READ):
        found = archive.by_ids(binding.form_id, wanted[first : first + READ])
        yield from sorted(found, key=lambda row: row.position)


def freeze_fill(
    destination: Destination, bindings: Sequence[Binding], policy: Policy, archive: Archive
) -> Frozen | None:
    """A late batch of the fill that waited longest; None if there is none. The actions' rows must be locked."""
    walk = running_fills(bindings).select_for_update().order_by("updated_at", "pk").first()
    if walk is None:
        return None
    binding = next(binding for binding in bindings if binding.pk == walk.binding_id)
    filling = _Filling(walk, binding, policy, archive)
    filling.run()
    batch_id = uuid7()
    kept = insert_items(batch_id, binding.pk, filling.taken)
    batch = new_batch(destination, batch_id, len(kept), late=True) if kept else None
    park_broken(binding, filling.broken)
    walk.found += len(kept)
    walk.save()
    return Frozen(batch, {binding.pk: kept} if kept else {}, more=True, behind=True)


class _Filling:
    """One stretch of a fill: from its cursor on until the batch is full or STEPS are done."""

    def __init__(self, walk: Walk, binding: Binding, policy: Policy, archive: Archive) -> None:
        self.taken: list[Stored] = []
        self.broken: list[Stored] = []
        self._walk = walk
        self._binding = binding
        self._revisions: Revisions = revisions_of([binding.pk])[binding.pk]
        self._archive = archive
        self._room = Room(policy.max_items, policy.max_bytes)

    def run(self) -> None:
        for _ in range(STEPS):
            if not self._step() or self._walk.state == Walk.State.DONE:
                return

    def _step(self) -> bool:
        """Whether there is room for more."""
        walk, end = self._walk, min(self._walk.until, self._binding.settled_to)
        places = self._archive.places(self._binding.form_id, walk.cursor, end + 1, LOOK)
        for row in unwritten(self._binding, places, self._archive):
            owed = self._revisions.at(row.position).owes(row.answers)
            if owed is None:
                self.broken.append(row)
            elif owed and not self._room.take(len(orjson.dumps(row.answers))):
                self._move([place for place in places if place[0] < row.position])
                return False
            elif owed:
                self.taken.append(row)
        self._move(places)
        if len(places) < LOOK:
            walk.cursor, walk.state, walk.missing = walk.until, Walk.State.DONE, 0
            walk.finished_at = Now()
        return True

    def _move(self, looked_at: Sequence[Place]) -> None:
        if looked_at:
            self._walk.cursor = looked_at[-1][0]
            self._walk.examined += len(looked_at)
