"""One demo a folder. Nothing but the standard library: `make clean-demo` works without a virtual environment."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

NAME = "demo.lock"
ENDING_SECONDS = 30.0  # how long the processes of a demo that was killed may take to end


class TakenError(Exception):
    """The folder is in use; the message says by whom."""


class Lock:
    """Held while the file is open, here or in a child that was handed it; the system lets go when the last one ends.

    So no lock is ever stale, and a database whose runner was killed is not started a second time while it still ends.
    """

    def __init__(
        self, folder: Path, seconds: float = ENDING_SECONDS, say: Callable[[str], None] = lambda text: None
    ) -> None:
        """Raises TakenError: at once if the demo runs, after `seconds` if only what it left behind does."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / NAME
        self._file = path.open("a+")
        if not self._taken():
            try:
                self._wait(path, seconds, say)
            except BaseException:
                self._file.close()
                raise
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()

    def release(self) -> None:
        self._file.close()

    def _wait(self, path: Path, seconds: float, say: Callable[[str], None]) -> None:
        deadline = time.monotonic() + seconds
        told = False
        while not self._taken():
            if pid := _runner(path):
                raise TakenError(f"A demo with its data in {path.parent} runs already (process {pid}).")
            if not told:
                say("Waiting for the processes of a demo that was killed")
                told = True
            if time.monotonic() > deadline:
                raise TakenError(f"Processes of an earlier demo still hold {path}: `fuser {path}` names them.")
            time.sleep(0.1)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _runner(path: Path) -> int | None:
    """The process that took the lock, if it is there."""
    text = path.read_text().strip()
    return int(text) if text.isdigit() and Path(f"/proc/{text}").exists() else None
