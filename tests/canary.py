"""Answers and keys that must never turn up in a log. Tests plant them; the end of each session looks for them."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from formhub.core.logs import Formatter

NEEDLE = "kanari5531"
ANSWER = f"Signora {NEEDLE}"
EMAIL = f"{NEEDLE}@example.org"
KEY = f"fh_live_{NEEDLE}{'x' * 22}"
LEAKS_MAX = 20


class Watch(logging.Handler):
    """Puts each record into words as a process in production would, and keeps those that give a canary away."""

    def __init__(self) -> None:
        super().__init__()
        self.leaks: list[str] = []
        self.setFormatter(Formatter("json"))

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if NEEDLE in line.lower() and len(self.leaks) < LEAKS_MAX:
            self.leaks.append(line)


def log_files(folder: Path) -> Iterator[Path]:
    """Those of processes; Kafka calls its data files `.log` too, and names them by numbers."""
    return (path for path in folder.rglob("*.log*") if path.is_file() and not path.stem.isdecimal())


def leaks_in(files: Iterable[Path]) -> list[str]:
    """The lines of log files that give a canary away, with the file's name."""
    found: list[str] = []
    for path in files:
        with path.open(errors="replace") as lines:
            found += [f"{path.name}: {line.strip()[:500]}" for line in lines if NEEDLE in line.lower()]
    return found[:LEAKS_MAX]
