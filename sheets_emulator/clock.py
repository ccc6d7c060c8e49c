"""Time that a test can hurry: quotas, lives of tokens and late applications go by this clock, not by the machine's."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable

LATER_MAX = 10_000
SETTLE_SECONDS = 10
Work = Callable[[], object]


class Clock:
    """Runs `speed` times as fast as real time, and can be put forward."""

    def __init__(self, speed: float = 1.0, real: Callable[[], float] = time.time) -> None:
        self.speed = speed
        self._real = real
        self._start = real()
        self._ahead = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Work]] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._busy = False

    def __call__(self) -> float:
        return self._start + (self._real() - self._start) * self.speed + self._ahead

    def advance(self, seconds: float) -> None:
        """Put it forward; what falls due by that is begun at once."""
        with self._wake:
            self._ahead += max(0.0, seconds)
            self._wake.notify_all()

    def real_seconds(self, seconds: float) -> float:
        """How long `seconds` of this clock take."""
        return seconds / self.speed

    def later(self, seconds: float, work: Work) -> None:
        """Do it once so many seconds have passed here. Raises OverflowError if too much waits already."""
        with self._wake:
            if len(self._due) >= LATER_MAX:
                raise OverflowError(f"At most {LATER_MAX} calls may wait to be applied late.")
            heapq.heappush(self._due, (self() + seconds, next(self._order), work))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sheets-emulator-later", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def settle(self) -> None:
        """Wait until nothing that has fallen due is still to be done."""
        with self._wake:
            self._wake.wait_for(self._is_settled, SETTLE_SECONDS)

    def close(self) -> None:
        """What has not fallen due by now never happens."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()

    def _is_settled(self) -> bool:
        return not self._busy and not (self._due and self._due[0][0] <= self())

    def _run(self) -> None:
        while (work := self._next()) is not None:
            work()
            with self._wake:
                self._busy = False
                self._wake.notify_all()

    def _next(self) -> Work | None:
        with self._wake:
            while not self._stopped:
                wait = self._due[0][0] - self() if self._due else None
                if wait is not None and wait <= 0:
                    self._busy = True
                    return heapq.heappop(self._due)[2]
                self._wake.wait(None if wait is None else self.real_seconds(wait))
        return None
