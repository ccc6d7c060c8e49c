"""A clock that steps, of one process and never of the machine: a library of ours stands before its questions for it.

Debian's libfaketime would do the same but for one thing: in its version 0.9.10 `time.sleep` of Python fails as soon as
CLOCK_MONOTONIC is left alone, and a clock that somebody sets leaves it alone.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.faults.harness.disk import COMPILER

SOURCE = Path(__file__).with_name("clock.c")
HOUR, DAY = 3600, 86_400


class SteppingClock:
    """Right until told otherwise. `environment`: what a process is started with."""

    def __init__(self, folder: Path) -> None:
        assert COMPILER, "no C compiler"
        library, self._file = folder / "clock.so", folder / "clock"
        subprocess.run([COMPILER, "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True, timeout=60)
        self.step(0)
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self._file)}

    def step(self, seconds: int) -> None:
        """To so much ahead of the true time, or behind it."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._file)
