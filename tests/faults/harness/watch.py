"""Looks at every process all the while: what it tells Prometheus, and the memory it takes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException

import psutil

from tests.faults.harness.signs import Nowhere, Sign
from tests.stack import Stack, wait_until

EVERY_SECONDS = 1.0
UP_SECONDS = 90.0
BORN = "process_start_time_seconds "


class Watch:
    """`seen_at`: when the sign showed, by time.monotonic(). memory: by role the most it took, children included."""

    def __init__(self, stack: Stack, roles: tuple[str, ...], sign: Sign | Nowhere | None) -> None:
        self._stack = stack
        self._roles = roles
        self._sign = sign if isinstance(sign, Sign) else None
        self._stop = threading.Event()
        self._born = ""
        self._before: float | None = None
        self.seen_at: float | None = None
        self.memory = dict.fromkeys(roles, 0)

    @contextmanager
    def on(self) -> Iterator[None]:
        """From a first look, which is how things stand without the fault, to the end of the block."""
        if self._sign:
            wait_until(self._settled, UP_SECONDS, f"the {self._sign.role} tells its metrics")
        thread = threading.Thread(target=self._run, name="watch", daemon=True)
        weigher = threading.Thread(target=self._weigh_all, name="weigher", daemon=True)
        for each in (thread, weigher):
            each.start()
        try:
            yield
        finally:
            self._stop.set()
            for each in (thread, weigher):
                each.join()

    def _settled(self) -> bool:
        assert self._sign
        text = self._scrape(self._sign.role)
        self._born, self._before = born(text), self._sign.value(text)
        return bool(text)

    def _run(self) -> None:
        while self._sign and not self._stop.wait(EVERY_SECONDS):
            self._look(self._sign, self._scrape(self._sign.role))

    def _look(self, sign: Sign, text: str) -> None:
        if text and born(text) != self._born:
            self._note(sign, None)  # between the last answer of one process and the first of the next
            self._born = born(text)
        self._note(sign, sign.value(text))

    def _note(self, sign: Sign, now: float | None) -> None:
        if self.seen_at is None and sign.seen(self._before, now):
            self.seen_at = time.monotonic()
        self._before = now

    def _scrape(self, role: str) -> str:
        try:
            return self._stack.scrape(role)
        except HTTPException:  # it ended in the middle of its answer
            return ""

    def _weigh_all(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            for role in self._roles:
                self.memory[role] = max(self.memory[role], weight(self._stack, role))


def born(text: str) -> str:
    return next((line for line in text.splitlines() if line.startswith(BORN)), "")


def weight(stack: Stack, role: str) -> int:
    """Resident memory in bytes of a role's process and what it has started; 0 of one that is gone."""
    process, found = stack.processes.get(role), 0
    if process is None or not process.alive():
        return 0
    with suppress(psutil.NoSuchProcess):
        master = psutil.Process(process.pid)
        for each in (master, *master.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                found += each.memory_info().rss
    return found
