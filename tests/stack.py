"""The whole of FormHub as its own processes, for tests that kill them."""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from apps.sinks.registry import BUILTIN
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.process import Process, free_port
from deploy.local.valkey import Valkey
from sheets_emulator.emulator import SheetsEmulator

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass
class Stack:
    """web, consumer, worker and beat, each a process group that can be killed and started again.

    `metrics`: the port on which a role serves its metrics. With `web_workers` above one the web server is as many
    processes, which share the folder `multiproc`. `kinds`: whose deliveries the worker takes.
    """

    folder: Path
    environment: Mapping[str, str]
    port: int = field(default_factory=free_port)
    metrics: Mapping[str, int] = field(default_factory=dict)
    web_workers: int = 1
    interface: str = "rsgi"
    kinds: Sequence[str] = tuple(BUILTIN)
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *arguments: str) -> None:
        self.python("manage.py", *arguments)

    def python(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-3000:]}"

    def start(self, *roles: str) -> None:
        for role in roles:
            process = Process(
                role,
                self._command(role),
                self.folder / f"{role}.log",
                self._ready if role == "web" else (lambda: True),
                cwd=ROOT,
                environment=self._environment_of(role),
                stop_seconds=30,
            )
            self.processes[role] = process
            process.launch()
        for role in roles:
            self.processes[role].wait_ready()

    def kill(self, role: str) -> None:
        """As a power cut does: no signal handler runs, children included."""
        self.processes[role].kill()

    def stop(self) -> None:
        for process in self.processes.values():
            process.stop()
            process.kill()

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))

    def scrape(self, role: str) -> str:
        """What the role tells Prometheus; nothing while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics[role]}/metrics", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def _environment_of(self, role: str) -> dict[str, str]:
        own = {"METRICS_PORT": str(self.metrics.get(role, 0))}
        if role == "web" and self.web_workers > 1:
            (self.folder / "multiproc").mkdir(exist_ok=True)
            own["PROMETHEUS_MULTIPROC_DIR"] = str(self.folder / "multiproc")
        return self._environment | own

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment, "PYTHONUNBUFFERED": "1"}

    def _command(self, role: str) -> Sequence[str]:
        celery = [str(BIN / "celery"), "-A", "formhub"]
        quiet = ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
        return {
            "web": [
                sys.executable, "-m", "formhub.serve", "--interface", self.interface, "--port", str(self.port),
                "--workers", str(self.web_workers),
            ],
            "consumer": [
                *celery, "worker", "--pool", "threads", "-c", "1", "-Q", "consumer", "-n", "consumer@%h",
                "--consume", "archive,deliver", *quiet,
            ],
            "worker": [
                *celery, "worker", "--pool", "threads", "-c", "8",
                "-Q", ",".join(["celery", "notices", *(f"flush.{kind}" for kind in self.kinds)]),
                "-n", "worker@%h", *quiet,
            ],
            "beat": [*celery, "beat", "--schedule", str(self.folder / "beat"), "--loglevel", "WARNING"],
        }[role]  # fmt: skip

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.web}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def environment(
    folder: Path, postgres: Postgres, valkey: Valkey, kafka: Kafka, emulator: SheetsEmulator
) -> dict[str, str]:
    """That of an installation of its own on shared services: a database, a topic, an account for Sheets."""
    name = f"stack_{secrets.token_hex(4)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    (folder / "account.json").write_text(json.dumps(emulator.new_account()))
    redis = valkey.url.rpartition("/")[0]
    return {
        "DJANGO_SETTINGS_MODULE": "formhub.settings.local",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ENCRYPTION_KEYS": "dGVzdC1vbmx5LXRlc3Qtb25seS10ZXN0LW9ubHktdGU=",
        "DATABASE_URL": postgres.url.rpartition("/")[0] + f"/{name}",
        "REDIS_URL": f"{redis}/2",
        "REDIS_BUFFER_URL": f"{redis}/3",
        "KAFKA_BOOTSTRAP_SERVERS": kafka.url,
        "SUBMISSIONS_TOPIC": name,
        "SHEETS_BASE_URL": emulator.url,
        "SHEETS_SERVICE_ACCOUNT_FILE": str(folder / "account.json"),
        "HEARTBEAT_DIR": str(folder / "heartbeats"),
    }


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def wait_until(done: Any, seconds: float, what: str) -> None:
    """Asks every fifth of a second; fails the test with `what` when time is up."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)
