"""The future of one submission's receipt: a thread waits for it, a loop awaits it."""

import asyncio
import threading
from collections.abc import Generator, Iterable

from formhub.core.stream.base import Message, Receipt, StreamError

RETRY_SECONDS = 2


class NotCommittedError(Exception):
    """No receipt. `ambiguous`: the record may be in the log all the same; its id absorbs a repetition."""

    def __init__(self, reason: str, *, ambiguous: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.ambiguous = ambiguous


class OverloadedError(NotCommittedError):
    """Refused at once: as many submissions, or bytes of them, wait as this process may hold."""


Outcome = Receipt | NotCommittedError


class Ticket:
    """Settled once, by its deadline at the latest. Times are those of the committer's monotonic clock."""

    __slots__ = ("_outcome", "_settled", "_waiting", "deadline", "message", "since")

    def __init__(self, message: Message, since: float, deadline: float) -> None:
        self.message = message
        self.since = since
        self.deadline = deadline
        self._outcome: Outcome | None = None
        self._settled = threading.Lock()
        self._settled.acquire()
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def size(self) -> int:
        return len(self.message.value)

    def result(self, timeout: float) -> Receipt:
        """Raises NotCommittedError, also when `timeout` seconds have passed."""
        if not self._settled.acquire(timeout=timeout):
            raise NotCommittedError("silent", ambiguous=True)
        self._settled.release()
        return self._value()

    def __await__(self) -> Generator[None, None, Receipt]:
        # First register, then look: `finish` does the reverse, so one of the two sees the other.
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if self._outcome is None:
            yield from future
        return self._value()

    def finish(self, outcome: Outcome) -> list[asyncio.Future[None]]:
        """Take the outcome, unless there is one; the futures that are to be woken. Called under one lock."""
        if self._outcome is not None:
            return []
        self._outcome = outcome
        self._settled.release()
        return self._waiting

    def _value(self) -> Receipt:
        assert self._outcome is not None
        if isinstance(self._outcome, NotCommittedError):
            # A new one: a group shares its error, and each raise would lengthen the shared traceback.
            raise NotCommittedError(self._outcome.reason, ambiguous=self._outcome.ambiguous)
        return self._outcome


def wake(futures: Iterable[asyncio.Future[None]]) -> None:
    """One call into each loop, however many of its futures are woken."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for future in futures:
        by_loop.setdefault(future.get_loop(), []).append(future)
    for loop, waiting in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_set_all, waiting)


def _set_all(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


def not_committed(error: StreamError) -> NotCommittedError:
    return NotCommittedError("broker", ambiguous=error.ambiguous)
