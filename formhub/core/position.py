"""The order of a form's submissions: the log's own, never a clock's.

A position is epoch x 2^44 + offset. The epoch numbers the topic's incarnation (a topic made anew starts at offset
0 again), so positions of one form only ever grow. Up to epoch 511 they are exact in a double, which lets a position
be the score of a sorted set.
"""

from typing import NamedTuple

OFFSET_BITS = 44
MAX_OFFSET = 2**OFFSET_BITS - 1
MAX_EPOCH = 2 ** (53 - OFFSET_BITS) - 1


class Place(NamedTuple):
    epoch: int
    offset: int


def position(epoch: int, offset: int) -> int:
    """Raises ValueError where the result would not be exact in a double."""
    if not 0 <= epoch <= MAX_EPOCH or not 0 <= offset <= MAX_OFFSET:
        raise ValueError(f"epoch {epoch} or offset {offset} is out of range")
    return epoch << OFFSET_BITS | offset


def place(value: int) -> Place:
    return Place(value >> OFFSET_BITS, value & MAX_OFFSET)
