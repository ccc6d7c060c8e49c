"""A value that another thread will bring: a thread waits for it, a loop awaits it.

Where no loop runs an await waits in place, so one coroutine serves threads and loops: see `formhub.core.lanes.drive`.
"""

import asyncio
import threading
from collections.abc import Generator, Iterable
from typing import Generic, TypeVar

from formhub.core.lanes import on_loop

Value = TypeVar("Value")
Futures = list[asyncio.Future[None]]


class NotSettledError(Exception):
    """Nobody brought the value in time."""


class Waiting(Generic[Value]):
    """Settled once. `patience`: seconds after which an await gives up."""

    __slots__ = ("_futures", "_locks", "_value", "patience")

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._value: tuple[Value] | None = None
        self._locks: list[threading.Lock] = []
        self._futures: Futures = []

    def result(self, timeout: float) -> Value:
        """Raises NotSettledError when `timeout` seconds have passed."""
        # First register, then look: `settle` does the reverse, so one of the two sees the other.
        lock = threading.Lock()
        lock.acquire()
        self._locks.append(lock)
        if self._value is None and not lock.acquire(timeout=timeout):
            raise NotSettledError
        return self._get()

    def __await__(self) -> Generator[None, None, Value]:
        if self._value is not None:
            return self._value[0]
        if not on_loop():
            return self.result(self.patience)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._futures.append(future)
        if self._value is None:
            timer = loop.call_later(self.patience, _set_all, [future])
            try:
                yield from future
            finally:
                timer.cancel()
        if self._value is None:
            raise NotSettledError
        return self._get()

    def settle(self, value: Value) -> Futures:
        """Take the value, unless there is one; what is to be handed to `wake`. Called by one thread at a time."""
        if self._value is not None:
            return []
        self._value = (value,)
        for lock in self._locks:
            lock.release()
        return self._futures

    def _get(self) -> Value:
        assert self._value is not None
        return self._value[0]


def wake(futures: Iterable[asyncio.Future[None]]) -> None:
    """One call into each loop, however many of its futures are woken."""
    by_loop: dict[asyncio.AbstractEventLoop, Futures] = {}
    for future in futures:
        by_loop.setdefault(future.get_loop(), []).append(future)
    for loop, waiting in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set_all, waiting)


def _set_all(futures: Futures) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
