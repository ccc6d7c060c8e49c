"""The processes of the demo under honcho's manager, which runs them, names and colours their lines, and stops them.

What is added: they start in stages and end in order, one that ends by itself is named, and what each of them says is
also kept in a file of its own.
"""

import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from logging import makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from honcho import manager, printer, process

from deploy.local.process import Process, ServiceError, die_with_parent, running
from deploy.local.wish import SIGNALS, Wish

LOG_BYTES = 10_000_000
# Lines waiting to be shown. Beyond them a process that says more is held up instead of filling the memory.
LINES_MAX = 10_000
NAME_WIDTH = 8
STOP_SECONDS = 30.0
ORPHAN_SECONDS = 1.0  # for children whose parent has ended
LAST_SECONDS = 5.0


class EndedError(Exception):
    """A process ended by itself; the message says which one and where its log is."""


class Role(process.Process):  # type: ignore[misc]
    """One process of ours, below a small one of honcho's that passes its lines on. Neither outlives the runner."""

    def __init__(self, *args: Any, inherit: Sequence[int], **options: Any) -> None:
        super().__init__(*args, **options)
        self._child_ctor = partial(
            process.Popen, shell=False, stdin=subprocess.DEVNULL, pass_fds=inherit, preexec_fn=_begin
        )

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        for number in SIGNALS:  # at once: a Ctrl-C at the terminal reaches this process too
            signal.signal(number, signal.SIG_IGN)
        die_with_parent(signal.SIGKILL)
        super().run(events, ignore_signals)


def _begin() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    die_with_parent()


class Printer(printer.Printer):  # type: ignore[misc]
    """Shows each line with its time and who said it, and keeps it in `folder`/NAME.log."""

    def __init__(self, folder: Path) -> None:
        super().__init__(sys.stdout, width=NAME_WIDTH)
        self.folder = folder
        self._files: dict[str, RotatingFileHandler] = {}

    def write(self, message: Any) -> None:
        with suppress(OSError, ValueError):  # a terminal that is gone must not keep anything from ending in order
            super().write(message)
        text = message.data.decode(errors="replace").rstrip("\n")
        self._file(message.name).emit(makeLogRecord({"msg": f"{message.time:%Y-%m-%d %H:%M:%S} {text}"}))

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _file(self, name: str) -> RotatingFileHandler:
        if name not in self._files:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.path(name)
            self._files[name] = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
        return self._files[name]


class Crew(manager.Manager):  # type: ignore[misc]
    """`others` finds a process outside the crew that has ended by itself. `inherit`: open files handed to each."""

    def __init__(
        self,
        logs: Path,
        wish: Wish,
        others: Callable[[], Process | None] = lambda: None,
        inherit: Sequence[int] = (),
    ) -> None:
        self._lines = Printer(logs)
        super().__init__(self._lines)
        self._lines.width = NAME_WIDTH
        self.events: multiprocessing.Queue[Any] = multiprocessing.Queue(LINES_MAX)
        self._process_ctor = partial(Role, inherit=inherit)
        self._wish = wish
        self._others = others
        self._expected: set[str] = set()  # those that may end

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> None:
        role = self.add_process(name, list(command), env=dict(environment), cwd=str(cwd))
        pump = multiprocessing.Process(name=name, target=role.run, args=(self.events, True))
        self._processes[name]["process"] = pump
        pump.start()

    def until(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        """Show what is said until `done`. Raises StopAsked, EndedError, or ServiceError with `what` when time is up."""
        deadline = time.monotonic() + seconds
        while not done():
            self._show()
            self._check()
            if time.monotonic() > deadline:
                raise ServiceError(f"Not within {seconds:.0f} s: {what}. The logs lie in {self._lines.folder}.")

    def run(self) -> None:
        """Show what is said until somebody asks to end (StopAsked) or a process ends by itself (EndedError)."""
        self.until(lambda: False, float("inf"), "")

    def finish(self, name: str, seconds: float) -> None:
        """Wait until a process has done its work. Raises as `until`, EndedError too if it did not end well."""
        self._expected.add(name)
        self.until(lambda: self._ended(name), seconds, f"{name} is done")
        self._show()
        if self._code(name) != 0:
            raise self._error(name)

    def stop(self, names: Iterable[str], seconds: float = STOP_SECONDS) -> None:
        """Ask them to end, all at once; insist with those that have not ended in time."""
        asked = [name for name in names if name in self._processes and not self._ended(name)]
        self._expected.update(asked)
        self._wait(asked, self._begun, LAST_SECONDS)
        for name in asked:
            self._ask(name)
        self._wait(asked, lambda name: not self._alive(name), seconds)
        for name in self._wait(asked, self._ended, ORPHAN_SECONDS):
            self._insist(name)
        self._wait(asked, self._ended, LAST_SECONDS)
        for name in asked:
            pump = self._processes[name]["process"]
            pump.join(LAST_SECONDS)
            pump.kill()

    def pids(self) -> dict[str, list[int]]:
        """Of each that runs: its own id, and that of the process which passes its lines on."""
        found = {name: entry for name, entry in self._processes.items() if name not in self._expected}
        return {name: [entry["pid"], entry["process"].pid] for name, entry in found.items() if "pid" in entry}

    def _show(self) -> None:
        """What has been said by now; waits a moment for something."""
        with suppress(queue.Empty):
            self._take(self.events.get(timeout=0.1))
            for _ in range(LINES_MAX):
                self._take(self.events.get_nowait())

    def _take(self, message: Any) -> None:
        if message.type == "line":
            self._lines.write(message)
        else:
            self._processes[message.name].update(message.data)  # started: its pid; stopped: its returncode

    def _check(self) -> None:
        self._wish.check()
        for name in self._processes:
            if name not in self._expected and not self._alive(name):
                raise self._error(name)
        if other := self._others():
            raise EndedError(f"{other.name} ended. Its log: {other.log}")

    def _error(self, name: str) -> EndedError:
        self._show()
        code = self._code(name)
        how = "ended" if code is None else f"ended with exit code {code}"
        return EndedError(f"{name} {how}. Its log: {self._lines.path(name)}")

    def _code(self, name: str) -> int | None:
        code: int | None = self._processes[name].get("returncode")
        return code

    def _begun(self, name: str) -> bool:
        return "pid" in self._processes[name] or self._ended(name)

    def _ended(self, name: str) -> bool:
        """It has, and so has every child of it that could still say something."""
        return self._code(name) is not None or not self._processes[name]["process"].is_alive()

    def _alive(self, name: str) -> bool:
        # The process is looked at as well: a child that it left behind would keep its lines open.
        pid = self._processes[name].get("pid")
        return not self._ended(name) and (pid is None or running(pid))

    def _ask(self, name: str) -> None:
        # It alone, not its children: each program knows in which order to end them.
        if not self._ended(name) and "pid" in self._processes[name]:
            with suppress(ProcessLookupError):
                os.kill(self._processes[name]["pid"], signal.SIGTERM)

    def _insist(self, name: str) -> None:
        if "pid" in self._processes[name]:
            self._procmgr.kill(self._processes[name]["pid"])  # its whole session

    def _wait(self, names: list[str], done: Callable[[str], bool], seconds: float) -> list[str]:
        """Those that are not `done` after `seconds`."""
        deadline = time.monotonic() + seconds
        while (left := [name for name in names if not done(name)]) and time.monotonic() < deadline:
            self._show()
        return left
