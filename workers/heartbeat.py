"""A file per part of a role whose time of change says that it still turns: what a probe of a container looks at.

The parts: each loop of a consumer by its group's name; a Celery worker by the first half of its node's name
(`worker@host`); `beat`. Processes that share HEARTBEAT_DIR must not share a name.
"""

import time
from pathlib import Path

# Without a sign for so long a part is dead. A loop may be busy with one batch, or wait for the database.
SECONDS = {"archive": 300.0, "deliver": 300.0, "process": 300.0}
SECONDS_OTHERWISE = 60.0


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
        return age(self.path)


def age(path: Path) -> float:
    """Seconds since the last beat; infinity if there was none."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return float("inf")


def longest(name: str) -> float:
    """Seconds for which a part may be silent."""
    return SECONDS.get(name.partition(".")[0], SECONDS_OTHERWISE)
