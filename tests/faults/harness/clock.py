"""A clock that steps, of one process and never of the machine: a library of ours stands before its questions for it.

Debian's libfaketime would do the same but for one thing: in its version 0.9.10 `time.sleep` of Python fails as soon as
CLOCK_MONOTONIC is left alone, and a clock that somebody sets leaves it alone.
"""

from collections.abc import Mapping
from pathlib import Path

from tests.faults.harness import preload

SOURCE = Path(__file__).with_name("clock.c")
HOUR, DAY = 3600, 86_400


class SteppingClock:
    """Right until told otherwise. `environment`: what a process is started with."""

    def __init__(self, folder: Path) -> None:
        library, self._file = preload.built(SOURCE, folder), folder / "clock"
        self.step(0)
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self._file)}

    def step(self, seconds: int) -> None:
        """To so much ahead of the true time, or behind it."""
        preload.tell(self._file, str(seconds))
