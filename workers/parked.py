"""Submissions that an action could not deliver: put aside with the reason, and tried again when somebody asks."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from apps.sinks import tally
from apps.sinks.contract import Policy
from apps.sinks.models import Batch, Binding, Destination, Parked
from formhub.core import metrics
from formhub.core.ids import uuid7
from workers.ledger import Frozen, Item, Room, insert_items, new_batch
from workers.rooms import Archive, Stored

_PARK = """
    INSERT INTO sinks_parked (organization_id, binding_id, form_id, submission_id, position, batch_id, code, message,
                              attempts, again, parked_at)
    SELECT b.organization_id, b.id, b.form_id, i.submission_id, i.position, i.batch_id, %s, %s, %s, false, now()
    FROM unnest(%s::bigint[], %s::uuid[]) AS item (binding, submission)
    JOIN sinks_batchitem i ON i.binding_id = item.binding AND i.submission_id = item.submission AND i.batch_id = %s
    JOIN sinks_binding b ON b.id = i.binding_id
    ON CONFLICT (binding_id, submission_id)
    DO UPDATE SET code = excluded.code, message = excluded.message, attempts = excluded.attempts,
                  batch_id = excluded.batch_id, again = false, parked_at = excluded.parked_at
"""
_UNLIST = """
    DELETE FROM sinks_batchitem i USING unnest(%s::bigint[], %s::uuid[]) AS item (binding, submission)
    WHERE i.binding_id = item.binding AND i.submission_id = item.submission AND i.batch_id = %s
"""


def park_items(batch: Batch, items: Sequence[Item], code: str, message: str) -> None:
    """Move items from a batch to the failed ones, in the caller's transaction."""
    keys: list[Any] = [[binding for binding, _ in items], [submission for _, submission in items], batch.pk]
    with connection.cursor() as cursor:
        cursor.execute(_PARK, [code[:100], message, batch.attempts, *keys])
        cursor.execute(_UNLIST, keys)
    tally.failed(Counter(binding for binding, _ in items))
    metrics.PARKED.labels(batch.destination.kind, metrics.parked_code(code)).inc(len(items))


def park_broken(binding: Binding, rows: Sequence[Stored]) -> None:
    """Rows of which nobody can say whether they are owed."""
    if not rows:
        return
    parked = [
        Parked(
            organization_id=binding.organization_id,
            binding=binding,
            form_id=binding.form_id,
            submission_id=row.id,
            position=row.position,
            code="condition",
            message="The action's condition cannot be evaluated for these answers.",
        )
        for row in rows
    ]
    Parked.objects.bulk_create(parked, ignore_conflicts=True)
    tally.failed({binding.pk: len(rows)})
    metrics.PARKED.labels(binding.kind, "condition").inc(len(rows))


def freeze_again(
    destination: Destination, bindings: Sequence[Binding], policy: Policy, archive: Archive
) -> Frozen | None:
    """A late batch of failed submissions that somebody asked to try once more; None if there are none."""
    wanted = Parked.objects.filter(binding__in=bindings, again=True).order_by("binding_id", "position")
    found = list(wanted[: policy.max_items])
    if not found:
        return None
    batch_id, room, rows = uuid7(), Room(policy.max_items, policy.max_bytes), {}
    for binding in bindings:
        ids = [parked.submission_id for parked in found if parked.binding_id == binding.pk]
        if kept := _unpark(batch_id, binding, ids, room, archive):
            rows[binding.pk] = kept
    batch = new_batch(destination, batch_id, sum(map(len, rows.values())), late=True) if rows else None
    return Frozen(batch, rows, more=True, behind=True)


def _unpark(batch: UUID, binding: Binding, ids: Sequence[UUID], room: Room, archive: Archive) -> list[Stored]:
    present = sorted(archive.by_ids(binding.form_id, ids), key=lambda row: row.position) if ids else []
    taken = [row for row in present if room.take(len(orjson.dumps(row.answers)))]
    left = {row.id for row in present} - {row.id for row in taken}
    # The rows of erased submissions go as well: there is nothing left to deliver.
    Parked.objects.filter(binding=binding, submission_id__in=set(ids) - left).delete()
    return insert_items(batch, binding.pk, taken)
