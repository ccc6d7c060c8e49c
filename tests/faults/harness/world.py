"""FormHub as real processes on services of its own, with everything in reach that a fault needs.

Between processes and services lies a proxy each, so that a wire can be spoilt too; the checker looks past them.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import redis

from bench.travelled import log_order
from deploy.local.kafka import Cluster, Kafka
from deploy.local.postgres import Postgres
from deploy.local.process import free_port, with_children
from deploy.local.valkey import Valkey
from formhub.core.stream.kafka import describe_topic
from sheets_emulator.emulator import SheetsEmulator
from tests.faults.harness.checker import Place, Row
from tests.faults.harness.disk import SlowDisk
from tests.faults.harness.journal import digest
from tests.faults.harness.mutants import MUTANTS
from tests.faults.harness.owner import Owner
from tests.faults.harness.proxy import Proxy
from tests.stack import Stack, environment, read, wait_until

ROLES = ("web", "consumer", "worker", "beat")
FORMS = 180
TOPIC_SECONDS = 10.0
UP_SECONDS = 90.0
# The installation's true limits would let a case wait for the next minute.
PLENTY = {
    "SHEETS_QUOTA_PER_ACCOUNT": "6000",
    "SHEETS_QUOTA_PER_PROJECT": "6000",
    "INTAKE_PER_ADDRESS_AND_FORM": "1000000/minute",
    "INTAKE_PER_FORM": "1000000/minute",
    "INTAKE_PER_ORGANIZATION": "1000000/minute",
}


@dataclass
class FaultStack(Stack):
    """A role may carry a number (`worker2`): one more process of it. `extra`: what a role finds in its environment.

    Consumers and workers are started through `tests.faults.harness.entry`, which can make them end at a given point.
    """

    extra: dict[str, Mapping[str, str]] = field(default_factory=dict)
    prefix: dict[str, Sequence[str]] = field(default_factory=dict)

    def _command(self, role: str) -> Sequence[str]:
        kind = role.rstrip("0123456789")
        command = [*super()._command(kind)]
        if kind in {"consumer", "worker"}:
            command[0:1] = [sys.executable, "-m", "tests.faults.harness.entry"]
        own = {f"{kind}@%h": f"{role}@%h", str(self.folder / "beat"): str(self.folder / role)}
        return [*self.prefix.get(role, ()), *(own.get(part, part) for part in command)]

    def _environment_of(self, role: str) -> dict[str, str]:
        own = {"HEARTBEAT_DIR": str(self.folder / f"heartbeats-{role}"), "FAULTS_FOLDER": str(self.folder)}
        return {**super()._environment_of(role), **own, **self.extra.get(role, {})}


@dataclass(frozen=True)
class Disk:
    """A service's folder, on a small file system of its own where the system lets us make one."""

    folder: Path
    size: str

    def make(self) -> None:
        self.folder.mkdir(parents=True)
        if small_disks():
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={self.size}", "none", self.folder], check=True, timeout=30
            )

    def remove(self) -> None:
        if small_disks():
            subprocess.run(["umount", "--lazy", self.folder], check=False, timeout=30)

    def fill(self) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(bytes(65_536)):
                pass

    def free(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)


@cache
def small_disks() -> bool:
    """Whether this machine lets us mount: root, and not in a container that forbids it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder]
        if os.geteuid() or subprocess.run(command, capture_output=True, timeout=30, check=False).returncode:
            return False
        subprocess.run(["umount", folder], check=True, timeout=30)
        return True


def a_port() -> int:
    """Below those that the system gives to outgoing connections, one of which might take it before its server does."""
    return free_port(random.randrange(20_000, 32_000))


class World:
    """`brokers`: one, as on a laptop, or three as in production. `names`: which services there are to spoil."""

    def __init__(self, libs: Path, folder: Path, brokers: int = 1) -> None:
        # Not pytest's own folder: it keeps the last runs, and data folders are large.
        self.data = Path(tempfile.mkdtemp(prefix="formhub-faults-"))
        self.data.chmod(0o755)
        self.folder = folder
        self.disks = {name: Disk(self.data / name, "1500m") for name in ("postgres", "valkey", "kafka")}
        ports = {name: a_port() for name in ("postgres", "valkey", "kafka", "sheets")}
        self.postgres = Postgres(self.data / "postgres", folder / "postgres.log", a_port())
        self.valkey = Valkey("buffer", self.data / "valkey", folder / "valkey.log", a_port())
        self.cluster = Cluster(self.data, libs) if brokers > 1 else None
        self.kafka = (
            self.cluster.brokers[1]
            if self.cluster
            else Kafka(self.data / "kafka", folder / "kafka.log", libs, a_port(), advertised=ports["kafka"])
        )
        self.emulator = SheetsEmulator(quota_scale=200)
        self.proxies = {
            "postgres": Proxy(("127.0.0.1", self.postgres.port), ports["postgres"]),
            "valkey": Proxy(("127.0.0.1", self.valkey.port), ports["valkey"]),
            "sheets": Proxy(("127.0.0.1", urlsplit(self.emulator.url).port or 0), ports["sheets"]),
        }
        if not self.cluster:
            self.proxies["kafka"] = Proxy(("127.0.0.1", self.kafka.port), ports["kafka"])
        self.bootstrap = self.cluster.url if self.cluster else f"127.0.0.1:{ports['kafka']}"
        self._targets: Iterator[dict[str, str]] = iter(())
        self.stack = FaultStack(folder, {}, a_port(), metrics={role: a_port() for role in ROLES})

    # Beginning and end

    def start(self) -> None:
        for disk in self.disks.values():
            disk.make()
        for kafka in self._brokers:
            kafka.launch()
        self.postgres.start()
        self.valkey.start()
        for proxy in self.proxies.values():
            proxy.start()
        self.emulator.start()
        for kafka in self._brokers:
            kafka.wait_ready()
        given = environment(self.folder, self.postgres, self.valkey, self.kafka, self.emulator)
        self.database, self.buffer = given["DATABASE_URL"], given["REDIS_BUFFER_URL"]
        self.stack.environment = {**given, **PLENTY, **self._through_proxies(given)}
        self.stack.manage("migrate", "--verbosity", "0")
        self.stack.manage("ensure_topics")
        self._set_up()
        self.stack.start(*ROLES)

    def stop(self) -> None:
        self.stack.stop()
        self.emulator.stop()
        for proxy in self.proxies.values():
            proxy.stop()
        self.valkey.stop()
        self.postgres.stop()
        for kafka in self._brokers:
            kafka.stop()
        for disk in self.disks.values():
            disk.remove()
        shutil.rmtree(self.data, ignore_errors=True)

    def _through_proxies(self, given: Mapping[str, str]) -> dict[str, str]:
        moved = {
            "DATABASE_URL": (self.postgres.port, "postgres"),
            "REDIS_URL": (self.valkey.port, "valkey"),
            "REDIS_BUFFER_URL": (self.valkey.port, "valkey"),
            "SHEETS_BASE_URL": (self.proxies["sheets"].target[1], "sheets"),
        }
        changed = {
            name: given[name].replace(f":{port}", f":{self.proxies[proxy].port}")
            for name, (port, proxy) in moved.items()
        }
        three = {"SUBMISSIONS_REPLICATION": "3", "SUBMISSIONS_MIN_INSYNC": "2"} if self.cluster else {}
        settings = "tests.faults.harness.settings"
        return {**changed, **three, "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap, "DJANGO_SETTINGS_MODULE": settings}

    def _set_up(self) -> None:
        path = self.folder / "account.json"
        key = read(path)
        # Tokens come through the proxy too: they may come from nowhere but the base address.
        path.write_text(json.dumps({**key, "token_uri": self.stack.environment["SHEETS_BASE_URL"] + "/token"}))
        self.account = str(key["client_email"])
        made = [self.emulator.create(f"Sheet {number}", {self.account: "writer"}) for number in range(FORMS)]
        sheets, output = self.folder / "spreadsheets.json", self.folder / "forms.json"
        sheets.write_text(json.dumps(made))
        where = ("--web", self.stack.web, "--spreadsheets", str(sheets), "--output", str(output))
        self.stack.manage("setup_load", *where)
        self.sql("UPDATE sinks_binding SET flush_seconds = 1, updated_at = now()")
        if mutant := os.environ.get("FAULTS_MUTANT"):
            for query in MUTANTS[mutant].sql:
                self.sql(query)
        self._targets = iter(read(output))

    # What cases work with

    def forms(self, count: int) -> list[dict[str, str]]:
        """Forms that no case has had before."""
        return [next(self._targets) for _ in range(count)]

    def kill(self, role: str) -> None:
        self.stack.kill(role)

    def start_roles(self, *roles: str) -> None:
        self.stack.start(*roles)

    def restart(self, role: str) -> None:
        self.stack.kill(role)
        self.stack.start(role)

    @contextmanager
    def paused(self, role: str) -> Iterator[None]:
        """Standing still, connections open."""
        with still(self.stack.processes[role].pid):
            yield

    def arm(self, point: str) -> None:
        """The next process that comes to this point ends there, as by a power cut."""
        (self.folder / f"armed-{point}").touch()

    def wait_ended(self, role: str) -> None:
        process = self.stack.processes[role]
        wait_until(lambda: not process.alive(), UP_SECONDS, f"{role} has ended")

    def ports_of(self, role: str) -> Callable[[], set[int]]:
        """For a proxy to ask: the ports from which this role is connected at the moment."""

        def ports() -> set[int]:
            found: set[int] = set()
            for pid in with_children([self.stack.processes[role].pid]):
                with suppress(psutil.NoSuchProcess):
                    found |= {link.laddr.port for link in psutil.Process(pid).net_connections("tcp")}
            return found

        return ports

    @contextmanager
    def topic_of(self, **settings: str) -> Iterator[None]:
        """All processes on a topic of its own, made with these settings, until the block ends."""
        usual = self.stack.environment
        self._move({**usual, **settings, "SUBMISSIONS_TOPIC": f"{usual['SUBMISSIONS_TOPIC']}_{a_port()}"})
        try:
            yield
        finally:
            self._move(usual)

    def _move(self, environment: Mapping[str, str]) -> None:
        for role in ROLES:
            self.stack.processes[role].stop()
        self.stack.environment = environment
        self.stack.manage("ensure_topics")
        self.stack.start(*ROLES)

    @contextmanager
    def on(self, disk: SlowDisk, service: str) -> Iterator[None]:
        """The service started anew, with this disk until the block ends."""
        running: Postgres | Valkey | Kafka = getattr(self, service)
        try:
            running.stop()
            running.process.environment = disk.environment
            running.start()
            assert disk.serves(running.process.pid), f"{service} runs on the machine's own disk"
            yield
        finally:
            disk.heal()
            running.stop()
            running.process.environment = {}
            running.start()

    def kill_postgres(self) -> None:
        """Backends are sessions of their own, and the server does not start while one is left."""
        for pid in with_children([self.postgres.process.pid]):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.postgres.process.alive(), 30, "PostgreSQL is gone")

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Past the proxy, in a connection of its own."""
        with psycopg.connect(self.database, autocommit=True, connect_timeout=5) as connection:
            done = connection.execute(query, values or None)
            return done.fetchall() if done.description else []

    def redis(self) -> "redis.Redis":
        return redis.Redis(port=self.valkey.port, socket_timeout=5)

    @cached_property
    def owner(self) -> Owner:
        return Owner(self.stack, self.folder / "owner.key")

    @property
    def topic(self) -> str:
        return self.stack.environment["SUBMISSIONS_TOPIC"]

    # Healing

    def heal(self) -> None:
        """What a supervisor and time do: everything runs again."""
        for disk in self.disks.values():
            disk.free()
        for proxy in self.proxies.values():
            proxy.heal()
        self.emulator.faults.clear()
        for kafka in self._brokers:
            if not kafka.process.alive():
                kafka.start()
        if not self.postgres.process.alive():
            self.postgres.start()
        if not self.valkey.process.alive():
            self.valkey.start()
        for role in list(self.stack.processes):
            if role not in ROLES:
                self.stack.processes.pop(role).kill()
        self.revive()

    def revive(self) -> None:
        """Start again what has ended by itself, as any supervisor does."""
        for role in ROLES:
            if not self.stack.processes[role].alive():
                self.stack.start(role)

    # What the checker looks at

    def behind(self) -> int:
        """How many records the archive has not read, by the log's own count, and rows that wait in the outbox."""
        stored: dict[int, int] = dict(
            self.sql(
                "SELECT partition, next_offset FROM archive_streamoffset WHERE \"group\" = 'archive' AND topic = %s",
                self.topic,
            )
        )
        bounds = describe_topic(self.bootstrap.split(","), self.topic, TOPIC_SECONDS).bounds
        return sum(end - max(start, stored.get(number, 0)) for number, (start, end) in bounds.items()) + self.outbox()

    def outbox(self) -> int:
        return int(self.sql("SELECT count(*) FROM intake_outboxrow")[0][0])

    def buffered(self) -> dict[str, int]:
        """What the buffer holds, by key, and by its own count, which is what bounds it."""
        with redis.Redis.from_url(self.buffer, socket_timeout=5) as client:
            keys = [*client.scan_iter("formhub:buffer:a:*", count=1000)]
            held = {key.decode(): client.zcard(key) for key in keys}
            return {**held, "total": int(client.get("formhub:buffer:total") or 0)}

    def archive(self, form: str) -> list[Row]:
        found = self.sql(
            "SELECT s.id::text, s.answers FROM archive_submission s JOIN forms_form f ON f.id = s.form_id"
            " WHERE f.public_id = %s ORDER BY s.position",
            form,
        )
        return [Row(id, answers.get("roll", ""), digest(answers)) for id, answers in found]

    def sheet(self, target: Mapping[str, str]) -> list[str]:
        """The ids in its rows, also of those spreadsheets that it was written to before: `former`, in their order."""
        volumes = [*target.get("former", "").split(), target["spreadsheet_id"]]
        return [id for volume in volumes for id in self._ids_in(volume, target["worksheet"])]

    def _ids_in(self, spreadsheet: str, worksheet: str) -> list[str]:
        """None of one that was deleted, and without the row that leads on to another."""
        if spreadsheet not in self.emulator.service.spreadsheets:
            return []
        rows = self.emulator.rows(spreadsheet, worksheet)
        if not rows:
            return []
        at = rows[0].index("Submission ID")
        return [row[at] for row in rows[1:] if not str(row[at]).startswith("Continued in")]

    def places(self, targets: Sequence[Mapping[str, str]]) -> dict[str, Place]:
        log = log_order({"kafka": self.bootstrap.split(","), "topic": self.topic})
        return {target["form"]: Place(self.archive(target["form"]), self.sheet(target), log) for target in targets}

    @property
    def _brokers(self) -> list[Kafka]:
        return list(self.cluster.brokers.values()) if self.cluster else [self.kafka]


@contextmanager
def still(pid: int) -> Iterator[None]:
    """A process and all that it started, stopped by SIGSTOP until the block ends."""
    family = with_children([pid])
    for each in family:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in family:
            os.kill(each, signal.SIGCONT)
