"""Erase submissions: the one function for whoever asks, and what it does at once.

One transaction takes the answers out of every table and leaves a tombstone. What lies outside the database (the
journal, the buffer) and what deliveries under way still keep is cleared by the workers, from the tombstone on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from apps.archive import erasing as archive
from apps.archive.models import Submission
from apps.intake import outbox
from apps.intake.models import OutboxRow
from apps.orgs import audit
from apps.orgs.access import Actor
from apps.sinks import erasing as ledger
from apps.sinks.models import BatchItem, BatchState, Binding, FormerItem, Parked

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Report:
    """How many were erased now, were erased before, and were unknown to the archive (buried all the same)."""

    erased: int = 0
    before: int = 0
    unknown: int = 0

    def __add__(self, other: "Report") -> "Report":
        return Report(self.erased + other.erased, self.before + other.before, self.unknown + other.unknown)


@dataclass(frozen=True, slots=True)
class Copy:
    """An action that was given the submission: what lies there is not ours to erase."""

    name: str
    kind: str


def erase(who: Actor, organization_id: UUID | None, form_id: UUID, ids: Sequence[UUID]) -> Report:
    """Any number of submissions of one form, some hundred in each transaction; each that is new is in the trail."""
    report = Report()
    for some in _portions(ids):
        with transaction.atomic():
            report += _erase(who, organization_id, form_id, some)
    return report


def look(form_id: UUID, ids: Sequence[UUID]) -> Report:
    """What `erase` would report."""
    report = Report()
    for some in _portions(ids):
        before = _before(form_id, some)
        present = Submission.objects.filter(form_id=form_id, id__in=set(some) - before).count()
        report += Report(present, len(before), len(some) - len(before) - present)
    return report


def erased_before(form_id: UUID, submission_id: UUID) -> bool:
    return bool(_before(form_id, [submission_id]))


def copies(form_id: UUID, submission_id: UUID) -> list[Copy]:
    """Where it was delivered to, or may have been: erasing does not reach what is outside."""
    bindings = list(Binding.objects.filter(form_id=form_id).order_by("pk"))
    items = BatchItem.objects.filter(binding__in=bindings, submission_id=submission_id)
    gone_out = items.exclude(batch__state=BatchState.PENDING, batch__attempts=0)
    reached = set(gone_out.values_list("binding_id", flat=True))
    unsure = Parked.objects.filter(binding__in=bindings, submission_id=submission_id, code="outcome_unknown")
    reached |= set(unsure.values_list("binding_id", flat=True))
    former = FormerItem.objects.filter(binding__in=bindings, submission_id=submission_id)
    reached |= set(former.values_list("binding_id", flat=True))
    return [Copy(binding.name, binding.kind) for binding in bindings if binding.pk in reached]


def _erase(who: Actor, organization_id: UUID | None, form_id: UUID, ids: Sequence[UUID]) -> Report:
    before = _before(form_id, ids)
    archive.bury(form_id, ids)
    erased = archive.remove(form_id, ids)
    ledger.clear(form_id, ids)
    for id in ids:
        if id not in before:
            audit.record(who, organization_id, "erased", Submission(form_id=form_id, id=id))
    # Last, as the outbox asks of whoever takes rows away. One that is on its way meets the tombstone.
    outbox.drop(OutboxRow.objects.filter(form_id=form_id, id__in=ids).values_list("id", flat=True))
    return Report(erased, len(before), max(0, len(ids) - len(before) - erased))


def _before(form_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    return {id for _, id in archive.buried({(form_id, id) for id in ids})}


def _portions(ids: Sequence[UUID]) -> Iterator[list[UUID]]:
    unique = list(dict.fromkeys(ids))
    for first in range(0, len(unique), CHUNK):
        yield unique[first : first + CHUNK]
