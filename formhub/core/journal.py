"""The journal of erasures: lines in files outside the database, so that no restored backup forgets what was erased.

One file a month, `erased-2026-11.jsonl`, a JSON object a line: {"form": uuid, "submission": uuid or null, "at": time}.
Without a submission the whole form was erased. Lines are only ever added, and are on disk when `append` returns.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson

_NAME = re.compile(r"erased-(\d{4})-(\d{2})\.jsonl")


@dataclass(frozen=True, slots=True)
class Entry:
    """submission: None for all of the form."""

    form: UUID
    submission: UUID | None
    at: datetime


class Journal:
    """Several processes may write to one folder, on one machine or on a shared file system that knows locks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, entries: Iterable[Entry], now: datetime) -> None:
        """Raises OSError; then some of the lines may stand there, and all of them may be written again."""
        lines = b"".join(_line(entry) for entry in entries)
        if not lines:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"erased-{now.astimezone(UTC):%Y-%m}.jsonl"
        made = not path.exists()
        with path.open("a+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
            _write(file.fileno(), (b"" if _is_whole(file.fileno()) else b"\n") + lines)
            os.fsync(file.fileno())
        if made:
            _sync_folder(self.folder)

    def entries(self) -> Iterator[Entry]:
        """All of them, oldest file first. A line that was cut short by a crash was written once more after it."""
        for path in self.files():
            with path.open("rb") as file:
                yield from (entry for line in file if (entry := _entry(line)) is not None)

    def files(self) -> list[Path]:
        """Raises OSError for a folder that cannot be read; none of a folder that is not there."""
        found = list(self.folder.iterdir()) if self.folder.exists() else []
        return sorted(path for path in found if _NAME.fullmatch(path.name))

    def tail(self, size: int = 64 * 1024) -> list[Entry]:
        """The last entries of the newest file."""
        files = self.files()
        if not files:
            return []
        with files[-1].open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - size))
            return [entry for line in file if (entry := _entry(line)) is not None]

    def drop_older(self, now: datetime, days: int) -> int:
        """Remove the files whose month ended more than `days` ago; how many."""
        old = [path for path in self.files() if _end_of(path) < now.astimezone(UTC) - timedelta(days=days)]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)


def _line(entry: Entry) -> bytes:
    at = entry.at.astimezone(UTC).isoformat(timespec="seconds")
    return orjson.dumps({"form": entry.form, "submission": entry.submission, "at": at}) + b"\n"


def _entry(line: bytes) -> Entry | None:
    try:
        found = orjson.loads(line)
        submission = found["submission"]
        at = datetime.fromisoformat(found["at"])
        return Entry(UUID(found["form"]), None if submission is None else UUID(submission), at)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_whole(file: int) -> bool:
    """Whether the file ends with the end of a line: a crash may have left half of one."""
    size = os.fstat(file).st_size
    return size == 0 or os.pread(file, 1, size - 1) == b"\n"


def _write(file: int, lines: bytes) -> None:
    rest = memoryview(lines)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync_folder(folder: Path) -> None:
    # So that the new name itself survives a power cut.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end_of(path: Path) -> datetime:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    year, month = int(match[1]), int(match[2])
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
