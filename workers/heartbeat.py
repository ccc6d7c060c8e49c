"""A file per loop whose time of change says that the loop still turns: what a probe of a consumer looks at."""

import time
from pathlib import Path


class Heartbeat:
    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        folder.mkdir(parents=True, exist_ok=True)
        self._beaten = 0.0

    def beat(self) -> None:
        # Once a second is enough for a probe, whatever the pace of the loop.
        now = time.monotonic()
        if now - self._beaten >= 1.0:
            self.path.touch()
            self._beaten = now

    def age(self) -> float:
        """Seconds since the last beat; infinity if there was none."""
        try:
            return max(0.0, time.time() - self.path.stat().st_mtime)
        except FileNotFoundError:
            return float("inf")
