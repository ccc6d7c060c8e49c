"""What clients did and heard, written down before and after each call, and on disk before they go on."""

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HASHED = ("name", "roll", "email", "university")


def digest(answers: Mapping[str, Any]) -> str:
    """Of the answers that are stored as they were sent."""
    text = json.dumps([str(answers.get(name, "")) for name in HASHED])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class Call:
    """All that is known of a key. ids: what it was told; refused: a status that promises that nothing was kept.

    Neither: nobody knows, it may have arrived once or not at all.
    """

    form: str
    digest: str
    ids: set[str] = field(default_factory=set)
    refused: bool = False


History = dict[str, Call]


class Journal:
    """Thread-safe; one JSON line an event."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def sent(self, key: str, form: str, digest: str) -> None:
        self._write(event="sent", key=key, form=form, digest=digest)

    def ok(self, key: str, submission: str) -> None:
        self._write(event="ok", key=key, id=submission)

    def refused(self, key: str, status: int) -> None:
        self._write(event="refused", key=key, status=status)

    def unknown(self, key: str, why: str) -> None:
        self._write(event="unknown", key=key, why=why)

    def history(self) -> History:
        with self._lock:
            return history(json.loads(line) for line in self._path.read_text().splitlines())

    def close(self) -> None:
        self._file.close()

    def _write(self, **entry: Any) -> None:
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())


def history(entries: Iterable[Mapping[str, Any]]) -> History:
    found: History = {}
    for entry in entries:
        match entry["event"]:
            case "sent":
                found.setdefault(entry["key"], Call(entry["form"], entry["digest"]))
            case "ok":
                found[entry["key"]].ids.add(entry["id"])
            case "refused":
                found[entry["key"]].refused = True
    return found
