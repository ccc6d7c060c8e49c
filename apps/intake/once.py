"""Things with threads or connections, of which a process has one: made when first used, never inherited by a fork."""

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class OncePerProcess(Generic[Thing]):
    def __init__(self, make: Callable[[], Thing]) -> None:
        self._make = make
        self._made: Thing | None = None
        self._lock = threading.Lock()
        self._inherited: list[Thing] = []
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self) -> Thing:
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
        return self._made

    @property
    def made(self) -> Thing | None:
        """What there is, without making it."""
        return self._made

    def install(self, thing: Thing | None) -> Thing | None:
        """Put another in its place; returns what was there."""
        with self._lock:
            before, self._made = self._made, thing
        return before

    def _forget(self) -> None:
        # The parent's threads do not exist here, and its lock may be held for ever. The thing itself is kept, since
        # collecting a Kafka producer switches off its module's log for the whole process.
        self._lock = threading.Lock()
        if self._made is not None:
            self._inherited.append(self._made)
        self._made = None
