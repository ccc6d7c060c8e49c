"""`make demo`: everything on this machine, on loopback, with its data in one folder, until somebody presses Ctrl-C.

What it starts is described in `demo.json` of that folder for as long as it runs.
"""

import argparse
import base64
import json
import os
import secrets
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from rich.console import Console
from rich.text import Text

from deploy.local import private
from deploy.local.crew import Crew, EndedError
from deploy.local.description import describe, to_open
from deploy.local.lock import Lock, TakenError
from deploy.local.manage import ENVIRONMENT, FOLDER
from deploy.local.process import (
    ServiceError,
    allow_many_files,
    ask_loopback_directly,
    free_port,
    with_children,
)
from deploy.local.roles import (
    ROLES,
    ROOT,
    SETUP,
    SHEETS,
    SPREADSHEET,
    Place,
    commands,
    environment,
    inherited,
    node,
    setup_command,
    sheets_command,
)
from deploy.local.services import Services
from deploy.local.wish import StopAsked, Wish

WEB_PORT = 8000
SHEETS_PORT = 8001
DESCRIPTION = "demo.json"
HEARTBEATS = ("archive", "deliver")
READY_SECONDS = 90.0
SETUP_SECONDS = 300.0


class Demo:
    def __init__(self, folder: Path, lock: Lock, wish: Wish, say: Callable[[str], None]) -> None:
        self.place = Place(folder, free_port(WEB_PORT), free_port(SHEETS_PORT))
        self.say = say
        self._wish = wish
        inherit = (lock.fileno(),)
        self.services = Services(folder, FOLDER / "kafka-jars", say, inherit)
        self.crew = Crew(folder / "logs", wish, self.services.ended, inherit)

    def start(self) -> dict[str, Any]:
        """The description, once everything answers. Raises StopAsked, EndedError, ServiceError."""
        self._forget()
        self._keep_secrets()
        with self._wish.interrupting():
            self.services.launch()
        ours = environment(self.place, self.services.environment)
        private.write(self.place.file(ENVIRONMENT), json.dumps(ours, indent=2) + "\n")
        self._environment = inherited(ours)
        self.say("Starting the emulator of Google Sheets")
        self._start(SHEETS, sheets_command(self.place))
        with self._wish.interrupting():
            self.services.wait_ready()
        sheets = self._sheets()
        self._set_up(sheets["spreadsheets"][SPREADSHEET])
        self._start_roles()
        demo = describe(self.place, self._read("setup.json"), sheets, ours, self._pids())
        private.write(self.place.file(DESCRIPTION), json.dumps(demo, indent=2) + "\n")
        return demo

    def run(self) -> None:
        """Until somebody asks to end (StopAsked), or a process ends by itself (EndedError)."""
        self.crew.run()

    def stop(self) -> None:
        """First what serves and works, then the Sheets that it writes to, then the services that it stands on."""
        self.place.file(DESCRIPTION).unlink(missing_ok=True)
        try:
            if self.crew.pids():
                self.say("Stopping web, consumers and workers")
            self.crew.stop((SETUP, *ROLES))
            self.crew.stop((SHEETS,))
        finally:
            if self.services.provided:
                self.say("Stopping the services")
            self.services.stop()

    def _forget(self) -> None:
        """What a run that was killed has left behind would pass for signs of life."""
        self.place.file(DESCRIPTION).unlink(missing_ok=True)
        shutil.rmtree(self.place.file("heartbeats"), ignore_errors=True)

    def _keep_secrets(self) -> None:
        private.keep(self.place.file("secret-key"), lambda: secrets.token_urlsafe(50))
        private.keep(
            self.place.file("encryption-keys"), lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        )
        private.keep(self.place.file("owner-password"), lambda: secrets.token_urlsafe(12))

    def _sheets(self) -> dict[str, Any]:
        self.crew.until(lambda: _answers(self.place.sheets), READY_SECONDS, "the emulator of Google Sheets answers")
        return self._read("sheets", "emulator.json")

    def _set_up(self, spreadsheet: str) -> None:
        self.say("Setting up tables, topic and the demo's form")
        self._start(SETUP, setup_command(self.place, spreadsheet))
        self.crew.finish(SETUP, SETUP_SECONDS)

    def _start_roles(self) -> None:
        self.say("Starting web, consumers and workers")
        for name, command in commands(self.place, self.place.file("queues").read_text().strip()).items():
            self._start(name, command)
        beats = [self.place.file("heartbeats", name) for name in HEARTBEATS]
        with Celery(broker=self._environment["CELERY_BROKER_URL"]) as celery:
            checks: Mapping[str, Callable[[], bool]] = {
                "web answers": lambda: _answers(f"{self.place.web}/readyz"),
                "the consumers read": lambda: all(path.exists() for path in beats),
                "the workers answer": lambda: _there(celery, "consumer", "worker"),
            }
            for what, done in checks.items():
                self.crew.until(done, READY_SECONDS, what)

    def _start(self, name: str, command: list[str]) -> None:
        self.crew.start(name, command, self._environment, ROOT)

    def _pids(self) -> dict[str, list[int]]:
        roles = {name: with_children(pids) for name, pids in self.crew.pids().items()}
        services = {name: with_children([pid]) for name, pid in self.services.pids.items()}
        return {"demo": [os.getpid()], **roles, **services}

    def _read(self, *parts: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.place.file(*parts).read_text())
        return found


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
        return bool(answer.status == 200)
    return False


def _there(celery: Celery, *roles: str) -> bool:
    nodes = [node(role) for role in roles]
    try:
        answers = celery.control.ping(destination=nodes, timeout=1.0)
    except (OperationalError, OSError):
        return False
    return len(answers or []) == len(nodes)


def announce(console: Console, demo: Mapping[str, Any], seconds: float) -> None:
    console.print(f"\n[bold]FormHub runs[/] [dim](after {seconds:.1f} s)[/]\n")
    for name, text in to_open(demo):
        # As it stands: an address that is broken over two lines cannot be opened.
        console.print(Text.assemble((f"  {name:<9}", "bold"), text), soft_wrap=True, highlight=False)
    console.print("\n  Ctrl-C stops everything; the data is kept.\n", highlight=False)


def keep_running(demo: Demo, console: Console) -> str:
    """Start, run and stop; why it could not go on, or nothing if somebody asked to end."""
    started = time.monotonic()
    try:
        announce(console, demo.start(), time.monotonic() - started)
        demo.run()
    except StopAsked:
        return ""
    except EndedError as error:
        _complain(console, error)  # at once, and again as the last line: what is stopped now has its say as well
        return f"Everything was stopped. {error}"
    except ServiceError as error:
        return str(error)
    finally:
        demo.stop()
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy.local.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to keep the data (default: .formhub)")
    folder: Path = parser.parse_args().folder.resolve()
    os.umask(0o077)  # everything below holds answers, keys or a password
    allow_many_files()
    ask_loopback_directly()
    console = Console()
    wish = Wish()
    say = partial(_say, console)
    say(f"FormHub, data in {folder}")
    try:
        with wish.interrupting():
            lock = Lock(folder, say=say)
    except StopAsked:
        return 0
    except TakenError as error:
        _complain(console, error)
        return 1
    except OSError as error:
        _complain(console, f"{folder} cannot be used: {error.strerror}.")
        return 1
    if trouble := keep_running(Demo(folder, lock, wish, say), console):
        _complain(console, trouble)
        return 1
    say("Everything is stopped.")
    return 0


def _say(console: Console, text: object, style: str = "dim") -> None:
    with suppress(OSError, SystemExit):  # a terminal that is gone must not keep anything from ending in order
        console.print(Text(str(text), style), soft_wrap=True)


def _complain(console: Console, what: object) -> None:
    _say(console, what, "red")


if __name__ == "__main__":
    sys.exit(main())
