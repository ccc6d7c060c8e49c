"""The processes of FormHub on one machine: which commands, in which environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

# Asked to end together; the emulator comes after them, so that a delivery under way finds its destination.
ROLES = ("web", "consumer", "worker", "beat")
SHEETS = "sheets"
SETUP = "setup"
SPREADSHEET = "Student data"

_CELERY = [str(BIN / "celery"), "--app", "formhub", "--quiet"]
# What is by design on one machine: no collected static files, and root if that is who runs the demo.
_QUIET = ("No directory at:UserWarning", "You're running the worker with superuser privileges:UserWarning")
_WORKER = ["worker", "--pool", "threads", "--without-gossip", "--without-mingle", "--loglevel", "WARNING"]


@dataclass(frozen=True)
class Place:
    """Where a demo keeps its files, and the ports on which it is reached."""

    folder: Path
    web_port: int
    sheets_port: int

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def sheets(self) -> str:
        return f"http://127.0.0.1:{self.sheets_port}"

    def file(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)


def environment(place: Place, services: Mapping[str, str]) -> dict[str, str]:
    """What FormHub's processes find in their environment beside what the runner's own holds."""
    return {
        "DJANGO_SETTINGS_MODULE": "formhub.settings.local",
        **services,
        "CELERY_BROKER_URL": services["REDIS_URL"],
        "PUBLIC_URL": place.web,  # else a link that a worker writes, in a mail or a cell, would lead nowhere
        "SECRET_KEY_FILE": str(place.file("secret-key")),
        "ENCRYPTION_KEYS_FILE": str(place.file("encryption-keys")),
        "SHEETS_BASE_URL": place.sheets,
        "SHEETS_SERVICE_ACCOUNT_FILE": str(place.file("sheets", "service-account.json")),
        "HEARTBEAT_DIR": str(place.file("heartbeats")),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": ",".join(f"ignore:{text}" for text in _QUIET),
    }


def inherited(ours: Mapping[str, str]) -> dict[str, str]:
    """The runner's environment with `ours` in it. A secret may be given as NAME or NAME_FILE: ours is the only one."""
    others = {f"{name}_FILE" for name in ours} | {name.removesuffix("_FILE") for name in ours if name.endswith("_FILE")}
    return {name: value for name, value in os.environ.items() if name not in others} | dict(ours)


def sheets_command(place: Place) -> list[str]:
    where = ["--port", str(place.sheets_port), "--data", str(place.file("sheets"))]
    return [sys.executable, "-m", "sheets_emulator", *where, "--create", SPREADSHEET]


def setup_command(place: Place, spreadsheet: str) -> list[str]:
    return [
        sys.executable, "-m", "deploy.local.setup", "--folder", str(place.folder), "--web", place.web,
        f"--spreadsheet={spreadsheet}",  # an id may begin with a dash
    ]  # fmt: skip


def commands(place: Place, queues: str) -> dict[str, list[str]]:
    """For each of ROLES. `queues`: those of deliveries, comma-separated."""
    return {
        "web": [sys.executable, "-m", "formhub.serve", "--port", str(place.web_port)],
        "consumer": [*_CELERY, *_WORKER, "-c", "1", "-Q", "consumer", "-n", node("consumer"),
                     "--consume", "archive,deliver,processors"],
        "worker": [*_CELERY, *_WORKER, "-c", "8", "-Q", f"celery,{queues}", "-n", node("worker")],
        "beat": [*_CELERY, "beat", "--schedule", str(place.file("beat")), "--loglevel", "WARNING"],
    }  # fmt: skip


def node(role: str) -> str:
    """The name under which a Celery worker is asked whether it is there."""
    return f"{role}@demo"
