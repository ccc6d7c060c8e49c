"""The buffer: which submissions wait at which action, in the order of the log, and which destinations are due.

It is a hint and holds no truth: a flush takes what it delivers from the archive, so a buffer that was lost, is
incomplete or is away delays nothing for longer than a sweep and changes no order. It holds ids, never answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


class BufferUnavailableError(Exception):
    """The buffer does not answer."""


@dataclass(frozen=True, slots=True)
class Group:
    """What one append adds for one action. entries: (position, submission), ascending.

    wait: seconds after which the destination is due at the latest; full: the number of waiting submissions at which
    it is due at once.
    """

    binding: int
    destination: int
    wait: float
    full: int
    entries: Sequence[tuple[int, UUID]]


@dataclass(frozen=True, slots=True)
class Appended:
    """over: for each action at its cap (or with no room left for any) the lowest position that was not taken."""

    added: int
    over: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Limits:
    """Entries at most, per action and in all."""

    binding: int
    total: int


class Buffer(Protocol):
    """Times are seconds since 1970. Every method raises BufferUnavailableError."""

    def append(self, groups: Sequence[Group], now: float) -> Appended:
        """One atomic round trip, idempotent by submission: one that is there keeps its position."""

    def peek(self, binding: int, limit: int) -> list[tuple[int, UUID]]:
        """The first entries, ascending by position."""

    def sizes(self, bindings: Sequence[int]) -> dict[int, int]: ...

    def total(self) -> int: ...

    def due(self, now: float, limit: int, again_at: float) -> list[int]:
        """Destinations that are due, longest first. Each is next due at `again_at` unless a flush says otherwise."""

    def set_due(self, destinations: Iterable[int], at: float) -> None:
        """Due at `at`, whatever was said before."""

    def settle(self, destination: int, settled: Mapping[int, int], now: float, wait: float, full: int) -> int:
        """Remove what lies at or below each action's position and say when the destination is due next: not at all
        when nothing is left, at once when `full` or more are, else after `wait`. Returns how many are left.
        """

    def forget(self, bindings: Sequence[int], submissions: Sequence[UUID]) -> None:
        """Remove submissions that were erased."""

    def drop(self, binding: int) -> None:
        """Remove everything of an action."""

    def bindings(self) -> set[int]:
        """The actions that have entries."""
