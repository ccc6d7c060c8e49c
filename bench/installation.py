"""An installation of its own for a benchmark: real services in a folder of their own, and servers started on them."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from deploy.local.kafka import Kafka
from deploy.local.process import Process, answers
from deploy.local.services import Services
from formhub.core.stream.kafka import describe_topic

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
JARS = ROOT / ".formhub" / "kafka-jars"
TOPIC = "submissions.v1"
# A load comes from one address; a real form keeps the installation's limits.
UNLIMITED = "100000000/minute"


@dataclass
class Installation:
    """`environment`: what every process of ours needs."""

    folder: Path
    services: Services
    environment: dict[str, str] = field(default_factory=dict)

    def manage(self, *arguments: str) -> None:
        self.python("manage.py", *arguments)

    def python(self, *arguments: str) -> str:
        """What the command said. Raises CalledProcessError, its errors shown."""
        command = [sys.executable, *arguments]
        env = {**os.environ, **self.environment}
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
        return done.stdout

    def forms(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.python("-m", "bench.forms", str(count)))
        return found

    def start(self, name: str, command: Sequence[str], port: int, **environment: str) -> Process:
        process = Process(
            name,
            command,
            self.folder / "logs" / f"{name}.log",
            lambda: answers(port),
            cwd=ROOT,
            environment={**self.environment, **environment},
        )
        process.start()
        return process

    def log_end(self) -> int:
        """How many records the topic took in all."""
        bounds = describe_topic([self.environment["KAFKA_BOOTSTRAP_SERVERS"]], TOPIC, 10).bounds
        return sum(end for _, end in bounds.values())

    def broker(self) -> int | None:
        """The broker's process, if it is ours."""
        kafka = self.services.provided.get("KAFKA_BOOTSTRAP_SERVERS")
        return kafka.process.pid if isinstance(kafka, Kafka) else None


@contextmanager
def installation(say: Any = print, **extra: str) -> Iterator[Installation]:
    """Postgres, Valkey and Kafka in a temporary folder, migrated, with the topic; all of it gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="formhub-bench-"))
    services = Services(folder, JARS, say)
    try:
        services.launch()
        services.wait_ready()
        made = Installation(folder, services)
        made.environment = {
            **services.environment,
            "DJANGO_SETTINGS_MODULE": "formhub.settings.local",
            "SECRET_KEY": secrets.token_hex(20),
            "ENCRYPTION_KEYS": "YmVuY2gtb25seS1iZW5jaC1vbmx5LWJlbmNoLW9ubHk=",
            "SUBMISSIONS_TOPIC": TOPIC,
            "SUBMISSIONS_PARTITIONS": "6",
            "INTAKE_PER_FORM": UNLIMITED,
            "INTAKE_PER_ORGANIZATION": UNLIMITED,
            "HEARTBEAT_DIR": str(folder / "heartbeats"),
            "LOG_LEVEL": "WARNING",
            **extra,
        }
        say("Migrating")
        made.manage("migrate", "--verbosity", "0")
        made.manage("ensure_topics")
        yield made
    finally:
        services.stop()
        shutil.rmtree(folder, ignore_errors=True)


def cpu_seconds(pid: int | None) -> float:
    """User and system time of a process and its children so far."""
    if pid is None:
        return 0.0
    found = psutil.Process(pid)
    return sum(_times(each) for each in (found, *found.children(recursive=True)))


def _times(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def granian(interface: str, target: str, port: int, **options: int) -> list[str]:
    flags = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    where = ["--interface", interface, "--host", "127.0.0.1", "--port", str(port), "--no-ws"]
    return [str(BIN / "granian"), *where, *flags, target]
