"""A value that another thread will bring: a thread waits for it, a loop awaits it.

Where no loop runs an await waits in place, so one coroutine serves threads and loops: see `formhub.core.lanes.drive`.
"""

import asyncio
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Generic, TypeVar

from formhub.core.deadlines import Deadlines
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
            _deadlines(loop, self.patience).add(future)
            yield from future
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


class _OfLoop(threading.local):
    """The deadlines of this thread's loop, by their seconds."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.deadlines: dict[float, Deadlines[asyncio.Future[None]]] = {}


_of_loop = _OfLoop()


def _deadlines(loop: asyncio.AbstractEventLoop, seconds: float) -> Deadlines[asyncio.Future[None]]:
    if _of_loop.loop is not loop:
        _of_loop.loop, _of_loop.deadlines = loop, {}
    seconds = round(seconds, 2)  # computed ones differ behind the point
    found = _of_loop.deadlines.get(seconds)
    if found is None:
        found = _of_loop.deadlines[seconds] = Deadlines(seconds, asyncio.Future.done, _set)
    return found


async def pause(seconds: float) -> None:
    """Wait for nothing."""
    with suppress(NotSettledError):
        await Waiting[None](seconds)


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
        _set(future)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
