"""The latest calls, for people and tests to read. Ids and ranges only: never a value."""

from collections import deque
from dataclasses import asdict, dataclass, field
from itertools import count
from threading import Lock
from typing import Any

KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """`kinds` are those of a batch of updates; status 0 is a call that got no answer."""

    number: int
    at: float
    method: str
    path: str
    account: str
    kinds: tuple[str, ...]
    fault: str
    status: int
    milliseconds: float


@dataclass
class Calls:
    _entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT))
    _numbers: Any = field(default_factory=lambda: count(1))
    _lock: Lock = field(default_factory=Lock)

    def add(self, **entry: Any) -> None:
        with self._lock:
            self._entries.append(Entry(number=next(self._numbers), **entry))

    def after(self, number: int = 0) -> list[Entry]:
        """The oldest first, from the one after `number` on."""
        with self._lock:
            return [entry for entry in self._entries if entry.number > number]

    def as_json(self, number: int = 0) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self.after(number)]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
