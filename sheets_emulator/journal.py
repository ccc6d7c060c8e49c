"""Keeps a demo's spreadsheets over a restart: every change is committed to SQLite before it is answered.

What is written down is the call, not its result: applying the calls again in order gives the same spreadsheets.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import orjson


class Journal:
    def __init__(self, path: Path | None) -> None:
        """Without a path nothing is kept."""
        self._lock = Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None) if path else None
        if self._database:
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute("CREATE TABLE IF NOT EXISTS calls (number INTEGER PRIMARY KEY, entry TEXT NOT NULL)")

    def write(self, kind: str, **entry: Any) -> None:
        if self._database:
            text = orjson.dumps({"kind": kind, **entry}).decode()
            with self._lock:
                self._database.execute("INSERT INTO calls (entry) VALUES (?)", [text])

    def entries(self) -> Iterator[dict[str, Any]]:
        if self._database:
            for (text,) in self._database.execute("SELECT entry FROM calls ORDER BY number"):
                yield orjson.loads(text)

    def close(self) -> None:
        if self._database:
            self._database.close()
