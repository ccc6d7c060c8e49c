"""What waits at an action: how many, and since when.

Most of it stands nowhere but in the archive, which is another room: the setting SINKS_ARCHIVE names its module.
"""

from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db.models import Min

from apps.sinks.models import UNFINISHED, BatchItem, Binding, Parked
from apps.sinks.queries import Counts, counts, revisions_of

COUNTED = 10_000
FAR = 1 << 62


@dataclass(frozen=True, slots=True)
class Backlog:
    """count: of those not yet looked at, also the ones that the condition will leave out; more: it is no exact number,
    there are others. since: when the oldest was archived, or asked to be tried again.
    """

    count: int
    more: bool
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an action is."""

    waiting: Backlog
    counts: Counts


def standing(binding: Binding) -> Standing:
    return Standing(backlog(binding), counts([binding.pk])[binding.pk])


def backlog(binding: Binding) -> Backlog:
    under_way = BatchItem.objects.filter(binding=binding, batch__state__in=UNFINISHED).order_by()
    again = Parked.objects.filter(binding=binding, again=True).order_by()
    undecided, oldest = _undecided(binding)
    parts = [len(under_way.values_list("position")[:COUNTED]), len(again.values_list("position")[:COUNTED]), undecided]
    begun = under_way.aggregate(at=Min("batch__created_at"))["at"]
    asked = again.aggregate(at=Min("parked_at"))["at"]
    known = [at for at in (begun, asked, oldest) if at is not None]
    return Backlog(sum(parts), any(part >= COUNTED for part in parts), min(known, default=None))


def _undecided(binding: Binding) -> tuple[int, datetime | None]:
    """Those in the archive that no delivery has been made of yet."""
    start = revisions_of([binding.pk])[binding.pk].start_after(max(binding.settled_to, binding.since))
    end = FAR if binding.owes_below is None else binding.owes_below
    if start is None or start >= end - 1:
        return 0, None
    archive: Any = import_module(settings.SINKS_ARCHIVE)
    count = len(archive.places(binding.form_id, start, end, COUNTED))
    return count, archive.oldest_after([(binding.form_id, start)])[0] if count else None
