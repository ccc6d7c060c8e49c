"""The buffer in one process, for tests."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from workers.buffer.base import Appended, BufferUnavailableError, Group, Limits


class MemoryBuffer:
    """`broken` makes every call fail, as a server that is away does."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.broken = False
        self._entries: dict[int, dict[UUID, int]] = {}
        self._ready: dict[int, float] = {}
        self._lock = threading.Lock()

    def append(self, groups: Sequence[Group], now: float) -> Appended:
        self._check()
        with self._lock:
            added, over = 0, {}
            for group in groups:
                held = self._entries.setdefault(group.binding, {})
                room = max(0, min(self.limits.binding - len(held), self.limits.total - self._total()))
                before = len(held)
                for position, submission in group.entries[:room]:
                    held.setdefault(submission, position)
                added += len(held) - before
                if len(group.entries) > room:
                    over[group.binding] = group.entries[room][0]
                if len(held) >= group.full or group.binding in over:
                    self._ready[group.destination] = min(now, self._ready.get(group.destination, now))
                else:
                    self._ready.setdefault(group.destination, now + group.wait)
            return Appended(added, over)

    def peek(self, binding: int, limit: int) -> list[tuple[int, UUID]]:
        self._check()
        held = self._entries.get(binding, {})
        return sorted((position, submission) for submission, position in held.items())[:limit]

    def sizes(self, bindings: Sequence[int]) -> dict[int, int]:
        self._check()
        return {binding: len(self._entries.get(binding, {})) for binding in bindings}

    def total(self) -> int:
        self._check()
        return self._total()

    def due(self, now: float, limit: int, again_at: float) -> list[int]:
        self._check()
        with self._lock:
            found = sorted((at, destination) for destination, at in self._ready.items() if at <= now)[:limit]
            self._ready.update({destination: again_at for _, destination in found})
            return [destination for _, destination in found]

    def set_due(self, destinations: Iterable[int], at: float) -> None:
        self._check()
        with self._lock:
            self._ready.update(dict.fromkeys(destinations, at))

    def settle(self, destination: int, settled: Mapping[int, int], now: float, wait: float, full: int) -> int:
        self._check()
        with self._lock:
            left = 0
            for binding, position in settled.items():
                held = {key: at for key, at in self._entries.pop(binding, {}).items() if at > position}
                left += len(held)
                if held:
                    self._entries[binding] = held
            if left:
                self._ready[destination] = now if left >= full else now + wait
            else:
                self._ready.pop(destination, None)
            return left

    def forget(self, bindings: Sequence[int], submissions: Sequence[UUID]) -> None:
        self._check()
        for binding in bindings:
            for submission in submissions:
                self._entries.get(binding, {}).pop(submission, None)

    def drop(self, binding: int) -> None:
        self._check()
        self._entries.pop(binding, None)

    def bindings(self) -> set[int]:
        self._check()
        return {binding for binding, held in self._entries.items() if held}

    def clear(self) -> None:
        """Lose everything, as a server that was flushed does."""
        self._entries.clear()
        self._ready.clear()

    def _total(self) -> int:
        return sum(map(len, self._entries.values()))

    def _check(self) -> None:
        if self.broken:
            raise BufferUnavailableError("the buffer does not answer")
