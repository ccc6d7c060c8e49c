"""Finds what blocks an event loop: everybody who submits waits while it stands.

A thread asks the loop for a sign every EVERY_SECONDS and measures how long it takes; for one that is slow it logs
where the loop's thread stands, once for each time that it is blocked.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback

from formhub.core.metrics import LOOP_BLOCKED, LOOP_SECONDS

EVERY_SECONDS = 0.25
BLOCKED_SECONDS = 0.5
logger = logging.getLogger(__name__)


class Watchdog:
    """`start` is called on the loop's thread."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, every: float = EVERY_SECONDS, blocked: float = BLOCKED_SECONDS
    ) -> None:
        self._loop = loop
        self._every = every
        self._blocked = blocked
        self._stop = threading.Event()
        self._sign = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._watched = 0

    def start(self) -> None:
        self._watched = threading.get_ident()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self._every) and not self._loop.is_closed():
            self._ask()

    def _ask(self) -> None:
        asked = time.monotonic()
        self._sign.clear()
        try:
            self._loop.call_soon_threadsafe(self._sign.set)
        except RuntimeError:  # it was closed meanwhile
            return
        if not self._sign.wait(self._blocked):
            LOOP_BLOCKED.inc()
            logger.warning("The event loop stands still at %s", self._place())
            while not self._sign.wait(self._every) and not self._stop.is_set():
                pass
        LOOP_SECONDS.observe(time.monotonic() - asked)

    def _place(self) -> str:
        """The innermost places, without anything of what they hold."""
        frame = sys._current_frames().get(self._watched)
        places = traceback.extract_stack(frame, limit=5) if frame else []
        return " < ".join(f"{place.filename}:{place.lineno} {place.name}" for place in reversed(places))
