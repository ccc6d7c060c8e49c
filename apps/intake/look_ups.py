"""What only the database can tell, for a loop, which must not ask it: a few threads of their own do.

All who want the same wait for one question, and nobody for longer than SECONDS, also where the database stands still
and never answers. The threads serve nothing else, so that those which hang keep nobody else from his answer.
"""

from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import Error, close_old_connections

from apps.intake.waiting import NotSettledError, Waiting, wake

THREADS = 4
SECONDS = 3.0
# Different questions at a time; with more, a caller is told to come again.
ASKED_MAX = 1_000
Value = TypeVar("Value")
_Found = tuple[Any, Exception | None]


class NotLookedUpError(Exception):
    """The database did not answer, or not in time."""


class LookUps:
    """`ask` is called on a loop."""

    def __init__(self, threads: int = THREADS, seconds: float = SECONDS, asked_max: int = ASKED_MAX) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="look-up")
        self._seconds = seconds
        self._asked_max = asked_max
        self._asked: dict[Hashable, Waiting[_Found]] = {}

    async def ask(self, name: Hashable, look_up: Callable[[], Value]) -> Value:
        """`look_up()`, or the answer to the one under this name that is under way. Raises NotLookedUpError."""
        try:
            value, error = await (self._asked.get(name) or self._begin(name, look_up))
        except NotSettledError:
            raise NotLookedUpError from None
        if isinstance(error, Error):
            raise NotLookedUpError from error
        if error is not None:
            raise error
        found: Value = value
        return found

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, name: Hashable, look_up: Callable[[], object]) -> Waiting[_Found]:
        if len(self._asked) >= self._asked_max:
            raise NotLookedUpError
        waiting: Waiting[_Found] = Waiting(self._seconds)
        self._asked[name] = waiting
        self._threads.submit(self._look_up, name, look_up, waiting)
        return waiting

    def _look_up(self, name: Hashable, look_up: Callable[[], object], waiting: Waiting[_Found]) -> None:
        found: _Found
        try:
            close_old_connections()  # it may have died since the last one
            found = look_up(), None
        except Exception as error:  # noqa: BLE001 - for those who wait
            found = None, error
        # From here on the next one asks anew.
        del self._asked[name]
        wake(waiting.settle(found))
