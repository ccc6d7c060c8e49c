"""Where submissions stand at the actions of their form."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.lookups import IsNull

from apps.sinks import walks
from apps.sinks.models import (
    UNFINISHED,
    Batch,
    BatchItem,
    BatchState,
    Binding,
    BindingRevision,
    FormerItem,
    Parked,
    Walk,
)
from apps.sinks.revisions import Revision, Revisions
from formhub.core import logic


class Standing(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class State:
    """A submission at an action. at: when it was delivered or failed. why: the trouble, in words for the owner."""

    binding: int
    name: str
    kind: str
    standing: Standing
    at: datetime | None = None
    code: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """delivered: in all. sending: in deliveries that are under way. again: failed, and waiting to be tried again."""

    delivered: int = 0
    sending: int = 0
    failed: int = 0
    again: int = 0


def states(form_id: UUID, submission_id: UUID, position: int, answers: Mapping[str, Any] | None = None) -> list[State]:
    """One state per action of the form, in the order in which they were made; five queries.

    With `answers` a submission that is not decided yet is told apart by the action's condition.
    """
    bindings = list(Binding.objects.filter(form_id=form_id).order_by("pk"))
    keys = [binding.pk for binding in bindings]
    items = BatchItem.objects.filter(binding__in=keys, submission_id=submission_id).select_related("batch")
    held = {item.binding_id: item for item in items}
    parked = {row.binding_id: row for row in Parked.objects.filter(binding__in=keys, submission_id=submission_id)}
    revisions, fills = revisions_of(keys), walks.unfinished(keys)
    found = []
    for binding in bindings:
        if binding.pk in parked:
            standing = _parked(parked[binding.pk])
        elif binding.pk in held:
            standing = _held(held[binding.pk])
        else:
            undecided = _undecided(binding, revisions[binding.pk], fills.get(binding.pk), position, answers)
            standing = (undecided, None, "", "")
        found.append(State(binding.pk, binding.name, binding.kind, *standing))
    return found


def counts(bindings: Sequence[int]) -> dict[int, Counts]:
    """By action; those unknown are left out."""
    sending = BatchItem.objects.filter(binding__in=bindings, batch__state__in=UNFINISHED)
    under_way = _by_binding(sending)
    failed = _by_binding(Parked.objects.filter(binding__in=bindings, again=False))
    again = _by_binding(Parked.objects.filter(binding__in=bindings, again=True))
    delivered = Binding.objects.filter(pk__in=bindings).values_list("pk", "delivered")
    return {
        key: Counts(count, under_way.get(key, 0), failed.get(key, 0), again.get(key, 0)) for key, count in delivered
    }


def carried_by(submissions: Any, bindings: Any) -> Q:
    """The deliveries that carried these submissions for these actions, those before a replay too."""
    # By action and submission, as the ledger's key has it: by submission alone there is no index.
    wanted = {"binding__in": bindings, "submission_id__in": submissions}
    present, former = (model.objects.filter(**wanted).values("batch") for model in (BatchItem, FormerItem))
    # In one list: of two that are alternatives Postgres would look through all deliveries.
    return Q(pk__in=present.union(former))


def carries(bindings: Any) -> Q:
    """As a condition on deliveries: whether they carry, or carried, anything for one of these actions."""
    # Asked of each delivery in turn: as EXISTS, Postgres would first read everything that the actions ever delivered.
    found = [
        Subquery(rows.filter(batch=OuterRef("pk"), binding__in=bindings).values("position")[:1])
        for rows in (BatchItem.objects.all(), FormerItem.objects.all())
    ]
    return Q(IsNull(found[0], False)) | Q(IsNull(found[1], False))


def contents(batch: Batch, most: int, bindings: Any = None) -> list[BatchItem | FormerItem]:
    """What a delivery carried, in order; also what was delivered once more since, by another one."""
    found: list[BatchItem | FormerItem] = []
    for rows in (batch.items.all(), batch.former_items.all()):
        own: Any = rows if bindings is None else rows.filter(binding__in=bindings)
        found += own.select_related("binding").order_by("binding_id", "position")[:most]
    return sorted(found, key=lambda item: (item.binding_id, item.position))[:most]


def revisions_of(bindings: Iterable[int]) -> dict[int, Revisions]:
    found: dict[int, list[Revision]] = defaultdict(list)
    keys = list(bindings)
    for row in BindingRevision.objects.filter(binding__in=keys).order_by("from_position", "id"):
        found[row.binding_id].append(Revision(row.from_position, row.on, row.condition))
    return {key: Revisions(found[key]) for key in keys}


_Standing = tuple[Standing, datetime | None, str, str]


def _parked(row: Parked) -> _Standing:
    return (Standing.WAITING if row.again else Standing.FAILED, row.parked_at, row.code, row.message)


def _held(item: BatchItem) -> _Standing:
    batch = item.batch
    if batch.state == BatchState.DELIVERED:
        return (Standing.DELIVERED, batch.finished_at, "", "")
    return (Standing.WAITING, None, batch.code, batch.last_error)


def _undecided(
    binding: Binding, revisions: Revisions, fill: Walk | None, position: int, answers: Mapping[str, Any] | None
) -> Standing:
    revision = revisions.at(position)
    # What is settled and in no delivery was found not to be owed, where no fill has yet to look at it again.
    settled = position <= max(binding.since, binding.settled_to)
    if (settled and not (fill and fill.cursor < position <= fill.until)) or not revision.on:
        return Standing.NOT_APPLICABLE
    if answers is not None and not _may_hold(revision.condition, answers):
        return Standing.NOT_APPLICABLE
    return Standing.WAITING


def _may_hold(condition: Any, answers: Mapping[str, Any]) -> bool:
    try:
        return logic.holds(condition, answers)
    except logic.ConditionError:
        return True  # the delivery will park it with this reason


def _by_binding(rows: Any) -> dict[int, int]:
    return dict(rows.order_by().values_list("binding_id").annotate(count=Count("submission_id")))
