"""Deadlines by the thousand. What waits equally long gives up in the order in which it came, so one timer serves all.

A timer of the loop for each would have to be sorted in, and nearly all of them be cancelled again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Wait = TypeVar("Wait")
# How much later than its deadline something may give up.
STEP_SECONDS = 0.1


class Deadlines(Generic[Wait]):
    """Of one loop, whose thread alone may use it. `over` tells whether a wait has come to its end by itself; for one
    that has not within `seconds`, `give_up` is called.
    """

    def __init__(self, seconds: float, over: Callable[[Wait], bool], give_up: Callable[[Wait], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._over = over
        self._give_up = give_up
        self._waits: deque[tuple[float, Wait]] = deque()
        self._looking = False

    def add(self, wait: Wait) -> None:
        self._waits.append((self._loop.time() + self._seconds, wait))
        if not self._looking:
            self._look()

    def _look(self) -> None:
        now = self._loop.time()
        while self._waits and (self._over(self._waits[0][1]) or self._waits[0][0] <= now):
            _, wait = self._waits.popleft()
            if not self._over(wait):
                self._give_up(wait)
        self._looking = bool(self._waits)
        if self._looking:
            self._loop.call_later(STEP_SECONDS, self._look)
