"""List in the buffer what waits, from the archive.

Nothing needs it: what no buffer lists, the sweep finds and the flush takes from the archive all the same. It saves the
wait for that after a buffer was lost.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from apps.sinks.contract import Sink
from apps.sinks.models import Binding, BindingState
from apps.sinks.queries import revisions_of
from formhub.core.clock import Clock
from workers.buffer.base import Buffer, Group
from workers.due import policy_of
from workers.rooms import Archive

LOOK = 2000


@dataclass(frozen=True, slots=True)
class Listed:
    """behind: its buffer is full, the rest comes from the archive without being listed."""

    action: int
    count: int
    behind: bool


def rebuild(archive: Archive, buffer: Buffer, kinds: Callable[[str], type[Sink]], clock: Clock) -> Iterator[Listed]:
    """By action what is listed now. Entries that are there stay. Raises BufferUnavailableError."""
    for binding in Binding.objects.filter(state=BindingState.ON).order_by("pk").iterator(chunk_size=200):
        yield _list(binding, archive, buffer, kinds, clock)


def _list(
    binding: Binding, archive: Archive, buffer: Buffer, kinds: Callable[[str], type[Sink]], clock: Clock
) -> Listed:
    """Conditions are not asked: an entry too many is a hint that leads to nothing."""
    policy = policy_of(kinds, binding.kind)
    wait, count = binding.flush_seconds or policy.max_seconds, 0
    start = revisions_of([binding.pk])[binding.pk].start_after(max(binding.settled_to, binding.since))
    while start is not None:
        entries = archive.places(binding.form_id, start, archive.archived_below(binding.form_id), LOOK)
        if not entries:
            break
        group = Group(binding.pk, binding.destination_id, wait, policy.max_items, entries)
        appended = buffer.append([group], clock.now().timestamp())
        count += appended.added
        if appended.over:
            behind_at = appended.over[binding.pk]
            Binding.objects.filter(pk=binding.pk, behind_at__isnull=True).update(behind_at=behind_at)
            return Listed(binding.pk, count, behind=True)
        start = entries[-1][0]
    return Listed(binding.pk, count, behind=False)
