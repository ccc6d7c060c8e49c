"""What the ledger keeps of erased submissions: their ids, and that they were delivered; nothing of how they failed."""

from collections.abc import Sequence
from uuid import UUID

from apps.sinks.models import UNFINISHED, BatchItem, Binding, Parked


def actions_of(form_id: UUID) -> list[int]:
    return list(Binding.objects.filter(form_id=form_id).values_list("pk", flat=True))


def clear(form_id: UUID, ids: Sequence[UUID]) -> int:
    """Take them from the failed ones; how many stood there."""
    gone, _ = Parked.objects.filter(binding__in=actions_of(form_id), submission_id__in=list(ids)).delete()
    return gone


def held(form_id: UUID, ids: Sequence[UUID]) -> dict[UUID, set[UUID]]:
    """Those of the submissions that stand in deliveries under way, by delivery.

    Such a delivery goes on without them, but what its sink kept for an identical repeat may still hold them.
    """
    items = BatchItem.objects.filter(
        binding__in=actions_of(form_id), submission_id__in=list(ids), batch__state__in=UNFINISHED
    )
    found: dict[UUID, set[UUID]] = {}
    for batch, submission in items.values_list("batch_id", "submission_id"):
        found.setdefault(batch, set()).add(submission)
    return found
