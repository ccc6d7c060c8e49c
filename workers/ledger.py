"""What reached where: batches, their items, and how each attempt ended.

A function that takes a lease works under the destination's lock and raises workers.lease.LeaseLostError when
somebody else holds it by now; one that takes a destination expects it locked. A batch that is delivered or refused
never changes again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import F, Min
from django.db.models.functions import Coalesce, Least, Now

from apps.sinks.models import UNFINISHED, Batch, BatchItem, BatchState, Binding, BindingState, Destination, Parked
from formhub.core.ids import uuid7
from workers.lease import Lease, fenced
from workers.rooms import Place, Stored

Item = tuple[int, UUID]  # action, submission


@dataclass(frozen=True, slots=True)
class Frozen:
    """batch: None when nothing was owed. rows: its submissions by action, in order.
    more: the archive holds further rows to examine. behind: an action's buffer does not list all that waits.
    """

    batch: Batch | None
    rows: dict[int, list[Stored]]
    more: bool
    behind: bool


@dataclass(slots=True)
class Room:
    """What still fits into the batch."""

    items: int
    bytes: int
    empty: bool = True

    def take(self, size: int) -> bool:
        if self.items < 1 or (size > self.bytes and not self.empty):
            return False
        self.items -= 1
        self.bytes -= size
        self.empty = False
        return True


def insert_items(batch: UUID, binding: int, rows: Sequence[Stored]) -> list[Stored]:
    """Write rows down as the batch's; those that are in the ledger already, or parked, are left out."""
    fresh = insert_places(batch, binding, [(row.position, row.id) for row in rows])
    return [row for row in rows if row.id in fresh]


def insert_places(batch: UUID, binding: int, places: Sequence[Place]) -> set[UUID]:
    """The same by position and id alone."""
    if not places:
        return set()
    query = """
        INSERT INTO sinks_batchitem (binding_id, submission_id, batch_id, position)
        SELECT %s, submission, %s, position FROM unnest(%s::uuid[], %s::bigint[]) AS item (submission, position)
        WHERE NOT EXISTS (SELECT 1 FROM sinks_parked WHERE binding_id = %s AND submission_id = submission)
        ON CONFLICT DO NOTHING RETURNING submission_id
    """
    with connection.cursor() as cursor:
        cursor.execute(query, [binding, batch, [id for _, id in places], [at for at, _ in places], binding])
        return {row[0] for row in cursor.fetchall()}


def new_batch(
    destination: Destination, batch: UUID, size: int, *, late: bool = False, turn: str = "", after: UUID | None = None
) -> Batch:
    """The destination's next batch. The destination's row must be locked."""
    destination.sequence += 1
    destination.save(update_fields=["sequence"])
    return Batch.objects.create(
        id=batch,
        organization_id=destination.organization_id,
        destination=destination,
        sequence=destination.sequence,
        turn=turn or f"{destination.sequence:016d}",
        size=size,
        late=late,
        after=after,
    )


def unfinished(lease: Lease) -> Batch | None:
    """The batch to be offered before anything new, the same as it was offered before.

    A batch that is certainly not applied loses the parts that are paused or have moved elsewhere; one of which nobody
    knows that is offered as it is. Where all of a batch's actions are paused it waits for them.
    """
    # Only the holder of the lease makes batches: where there is none now there is none, and nothing to lock.
    if not Batch.objects.filter(destination=lease.destination, state__in=UNFINISHED).exists():
        return None
    with fenced(lease) as destination:
        _note_interrupted(destination)
        _let_go(destination)
        while True:
            batch = _next(destination)
            if batch is None or not _rearranged(destination, batch):
                return batch


def _note_interrupted(destination: Destination) -> None:
    """A batch whose attempt was never marked may have landed: its worker ended in the middle of the call."""
    sending = Batch.objects.filter(destination=destination, state=BatchState.SENDING)
    sending.update(state=BatchState.AMBIGUOUS, ambiguous_at=Coalesce("offered_at", "created_at"))


def _let_go(destination: Destination) -> None:
    """Actions that moved take along what is certainly not applied here, whatever else stands before it."""
    pending = Batch.objects.filter(destination=destination, state=BatchState.PENDING)
    items = BatchItem.objects.filter(batch__in=pending)
    moved = items.exclude(binding__destination=destination).values_list("binding_id", flat=True).distinct()
    if (first := pending.order_by("turn").first()) and (bindings := list(moved)):
        take_out(destination, first, bindings)


def _next(destination: Destination) -> Batch | None:
    idle = Binding.objects.filter(state=BindingState.PAUSED)
    for batch in Batch.objects.filter(destination=destination, state__in=UNFINISHED).order_by("turn"):
        bindings = set(batch.items.values_list("binding_id", flat=True).distinct())
        if not bindings or idle.filter(pk__in=bindings).count() < len(bindings):
            return batch
    return None


def _rearranged(destination: Destination, batch: Batch) -> bool:
    """Whether the batch was taken apart, so that another look is needed."""
    if not batch.items.exists():
        close(batch, BatchState.REFUSED, "empty")
        return True
    if batch.state != BatchState.PENDING:
        return False
    bindings = Binding.objects.filter(pk__in=batch.items.values("binding_id").distinct())
    if apart := list(bindings.filter(state=BindingState.PAUSED).values_list("pk", flat=True)):
        take_out(destination, batch, apart)
        return True
    if _holds_the_refused(batch):
        halve(destination, batch)
        return True
    return False


def _holds_the_refused(batch: Batch) -> bool:
    """Its other half was delivered whole, so offering this one whole could only be refused again."""
    if batch.after is None or batch.attempts or batch.size < 2:
        return False
    return Batch.objects.filter(pk=batch.after, state=BatchState.DELIVERED).exists()


def items_of(batch: Batch) -> list[Item]:
    """In the order in which they are delivered."""
    return list(batch.items.order_by("binding_id", "position").values_list("binding_id", "submission_id"))


def take_out(destination: Destination, batch: Batch, bindings: Sequence[int]) -> None:
    """Remove actions' items from this and every later batch that is certainly not applied; they are owed again."""
    later = Batch.objects.filter(destination=destination, state=BatchState.PENDING, turn__gte=batch.turn)
    for other in later.order_by("turn"):
        items = other.items.filter(binding_id__in=bindings)
        lowest = dict(items.values_list("binding_id").annotate(lowest=Min("position")))
        if not lowest:
            continue
        if other.late:
            _ask_again(other, bindings)
        else:
            for binding, position in lowest.items():
                Binding.objects.filter(pk=binding).update(settled_to=Least(F("settled_to"), position - 1))
        items.delete()
        _go_on_without(destination, other)


def _ask_again(batch: Batch, bindings: Sequence[int]) -> None:
    for item in batch.items.filter(binding_id__in=bindings).select_related("binding"):
        Parked.objects.get_or_create(
            binding_id=item.binding_id,
            submission_id=item.submission_id,
            defaults={
                "organization_id": batch.organization_id,
                "form_id": item.binding.form_id,
                "position": item.position,
                "batch_id": batch.pk,
                "code": "taken_out",
                "attempts": batch.attempts,
                "again": True,
            },
        )


def _go_on_without(destination: Destination, batch: Batch) -> None:
    rest = items_of(batch)
    if batch.attempts:
        divide(destination, batch, [rest] if rest else [])
    elif rest:
        Batch.objects.filter(pk=batch.pk).update(size=len(rest))
    else:
        close(batch, BatchState.REFUSED, "taken_out")


def halve(destination: Destination, batch: Batch, first: Sequence[Item] = (), bad: Sequence[Item] = ()) -> None:
    """Divide the batch in two, or what is refused of it after a first part of all that is not."""
    bad = bad or items_of(batch)
    middle = len(bad) // 2
    groups = [list(first), list(bad[:middle]), list(bad[middle:])]
    made = divide(destination, batch, [group for group in groups if group])
    if middle:
        Batch.objects.filter(pk=made[-1].pk).update(after=made[-2].pk)


def divide(destination: Destination, batch: Batch, groups: Sequence[Sequence[Item]]) -> list[Batch]:
    """Close the batch and give its items to new ones that take its turn."""
    made = []
    for number, group in enumerate(groups):
        turn = batch.turn if len(groups) == 1 else f"{batch.turn}.{number}"
        part = new_batch(destination, uuid7(), len(group), late=batch.late, turn=turn)
        _hand_over(batch, part, group)
        made.append(part)
    close(batch, BatchState.REFUSED, batch.code or "divided")
    return made


def _hand_over(batch: Batch, part: Batch, group: Sequence[Item]) -> None:
    query = """
        UPDATE sinks_batchitem SET batch_id = %s FROM unnest(%s::bigint[], %s::uuid[]) AS item (binding, submission)
        WHERE batch_id = %s AND binding_id = item.binding AND submission_id = item.submission
    """
    with connection.cursor() as cursor:
        cursor.execute(query, [part.pk, [key for key, _ in group], [id for _, id in group], batch.pk])


def close(batch: Batch, state: BatchState, code: str = "") -> None:
    """The end of a batch; what was only needed to repeat it goes."""
    changes = {"state": state, "code": code, "finished_at": Now(), "body": None, "settings": {}}
    Batch.objects.filter(pk=batch.pk, state__in=UNFINISHED).update(**changes)
