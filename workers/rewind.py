"""Have a group read a part of the log once more.

Its stored offsets are set back; whoever reads for it finds out within seconds and seeks there. Nothing comes twice of
it: the archive takes in no id that it has, and the ledger lets no submission into a second delivery.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction

from apps.archive import offsets
from formhub.core.stream.kafka import TopicState


class NeverReadError(Exception):
    """The group has no place in the topic as it is now: there is nothing to set back."""


@dataclass(frozen=True, slots=True)
class Move:
    """Of one partition. wanted: before the log's bounds were looked at."""

    partition: int
    stood: int
    stands: int
    wanted: int

    @property
    def records(self) -> int:
        return self.stood - self.stands

    @property
    def gone(self) -> int:
        """Records that were asked for and that the log holds no longer."""
        return max(0, self.stands - self.wanted)


def by(stood: Mapping[int, int], count: int) -> dict[int, int]:
    return {partition: offset - count for partition, offset in stood.items()}


def rewind(group: str, topic: str, state: TopicState, wanted: Mapping[int, int]) -> list[Move]:
    """Set the group back to these offsets, within the log's bounds and never forward. Raises NeverReadError."""
    with transaction.atomic():
        stood = offsets.stored(group, state.id)
        if not stood:
            raise NeverReadError(f"The group {group} has read nothing of {topic} as it is now.")
        moves = []
        for partition, offset in sorted(wanted.items()):
            if partition in stood and partition in state.bounds:
                start = state.bounds[partition][0]
                stands = min(stood[partition], max(start, offset))
                moves.append(Move(partition, stood[partition], stands, offset))
        # Only from where it was seen to stand: a reader that goes on meanwhile is not to be overtaken unseen.
        offsets.advance(group, state.id, {move.partition: (move.stood, move.stands) for move in moves})
    return moves
