"""A web server on services of its own, each of which can be taken away, and clients that write down what they heard."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import django
import psycopg
from kafka import KafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from bench.load import students
from conftest import JARS
from deploy.local.kafka import Kafka, jars
from deploy.local.postgres import Postgres
from deploy.local.process import free_port, with_children
from deploy.local.valkey import Valkey
from formhub.core.envelope import decode
from tests.canary import ANSWER
from tests.faults.harness.world import still
from tests.stack import Stack, read, wait_until

FORMS = 24
CLIENTS = 12
PATIENCE = 60
TOPIC = "submissions.v1"
# The gate's patience, then the log's and the outbox's, each with its grace; and as much again for a busy machine.
ANSWER_SECONDS = 2 * (2.0 + 4.25 + 2.25)
PAUSE_SECONDS = 0.02
PLENTY = "100000000/minute"
_numbers = count(1)


@dataclass(frozen=True)
class Answer:
    """What one submission heard. status: 0 where no answer came. tag: of its answers alone."""

    tag: str
    status: int
    id: str = ""
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass
class Load:
    """CLIENTS that submit one after the other, each without an end, in a thread between `__enter__` and `__exit__`."""

    url: str
    token: str = ""
    answers: list[Answer] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._enough = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._enough.set()
        self._thread.join(2 * ANSWER_SECONDS)
        assert not self._thread.is_alive(), "a client still waits for its answer"

    def more(self, number: int = 60) -> None:
        """Let so many more answers come, whatever they say."""
        wanted = len(self.answers) + number
        wait_until(lambda: len(self.answers) >= wanted, PATIENCE, f"{number} more answers")

    async def _run(self) -> None:
        async with client() as session:
            await asyncio.gather(*(self._go_on(session) for _ in range(CLIENTS)))

    async def _go_on(self, session: aiohttp.ClientSession) -> None:
        while not self._enough.is_set():
            self.answers.append(await submit(session, self.url, self.token))
            await asyncio.sleep(PAUSE_SECONDS)


def client() -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout)


async def submit(session: aiohttp.ClientSession, url: str, token: str = "") -> Answer:
    tag, headers = new_tag(), {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with session.post(url, json=answers_of(tag), headers=headers) as answer:
            body = await answer.json(content_type=None)
            return Answer(tag, answer.status, body.get("id", ""), body.get("code", ""), dict(answer.headers))
    except (aiohttp.ClientError, TimeoutError) as error:
        return Answer(tag, 0, code=type(error).__name__)


def burst(url: str, number: int, token: str = "") -> list[Answer]:
    """So many clients at once, each with a connection of its own."""

    async def send() -> list[Answer]:
        async with client() as session:
            return await asyncio.gather(*(submit(session, url, token) for _ in range(number)))

    return asyncio.run(send())


def new_tag() -> str:
    return f"tag-{next(_numbers)}"


def answers_of(tag: str) -> dict[str, str]:
    return {**_STUDENT, "roll": tag, "university": ANSWER}


_STUDENT = next(students(11))


class Site:
    """One RSGI process, and Postgres, Valkey and Kafka that nobody else uses."""

    def __init__(self, folder: Path, web_workers: int = 1) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="formhub-outages-"))
        self.data.chmod(0o755)
        self.postgres = Postgres(self.data / "postgres", folder / "postgres.log", free_port())
        self.valkey = Valkey("buffer", self.data / "valkey", folder / "valkey.log", free_port())
        self.kafka = Kafka(self.data / "kafka", folder / "kafka.log", jars(JARS), free_port())
        self.services: dict[str, Any] = {"kafka": self.kafka, "postgres": self.postgres, "valkey": self.valkey}
        self.folder = folder
        environment = {
            "DJANGO_SETTINGS_MODULE": "formhub.settings.local",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENCRYPTION_KEYS": "dGVzdC1vbmx5LXRlc3Qtb25seS10ZXN0LW9ubHktdGU=",
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.url,
            "SUBMISSIONS_TOPIC": TOPIC,
            "INTAKE_PER_FORM": PLENTY,
            "INTAKE_PER_ORGANIZATION": PLENTY,
            "HEARTBEAT_DIR": str(folder / "heartbeats"),
            "WEB_BODY_SECONDS": "5",
            "WEB_DRAIN_SECONDS": "0",
        }
        self.stack = Stack(folder, environment, metrics={"web": free_port()}, web_workers=web_workers)

    def start(self) -> None:
        for service in self.services.values():
            service.launch()
        for service in self.services.values():
            service.wait_ready()
        self.stack.manage("migrate", "--verbosity", "0")
        self.stack.manage("ensure_topics")
        self.stack.python("-m", "tests.outages", str(self.folder / "forms.json"))
        made = read(self.folder / "forms.json")
        self._forms: Iterator[str] = iter(made["forms"])
        self._tokens: Iterator[str] = iter(made["tokens"])
        self.stack.start("web")

    def stop(self) -> None:
        self.stack.stop()
        for service in self.services.values():
            service.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    # What can be had once

    def form(self) -> str:
        """The public id of a form that nobody has asked this process for."""
        return next(self._forms)

    def url(self, form: str = "") -> str:
        """Where to submit to this form, or to one of its own."""
        return f"{self.stack.web}/api/v1/forms/{form or self.form()}/submissions"

    def token(self) -> str:
        return next(self._tokens)

    # Taking away

    @contextmanager
    def without(self, name: str, how: str) -> Iterator[None]:
        """The service `killed` or `paused` until the block ends."""
        with _AWAY[how](self.services[name]):
            yield

    # What there is to see

    def lives(self) -> bool:
        with urllib.request.urlopen(f"{self.stack.web}/livez", timeout=ANSWER_SECONDS) as answer:
            return bool(answer.status == 200)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples with these labels."""
        text = self.stack.scrape("web")
        assert text, "the server tells nothing of itself"
        samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())

    def blocked(self) -> str:
        """Where the event loop stood still so far."""
        lines = [line for line in self.stack.logs().splitlines() if "event loop stands still" in line]
        return "\n".join(lines)

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.url, autocommit=True, connect_timeout=5) as connection:
            done = connection.execute(query, values)
            return done.fetchall() if done.description else []

    def held(self) -> Mapping[str, set[str]]:
        """The ids that log and outbox have for each tag. One may be in both: readers drop what they know by its id."""
        found: dict[str, set[str]] = defaultdict(set)
        for value, headers in [*self._outbox(), *self._log()]:
            envelope = decode(value, headers)
            found[envelope.answers["roll"]].add(str(envelope.id))
        return found

    def _outbox(self) -> list[tuple[bytes, list[tuple[str, bytes]]]]:
        rows = self.sql("SELECT value, headers FROM intake_outboxrow")
        return [(value, [(name, text.encode("latin-1")) for name, text in headers]) for value, headers in rows]

    def _log(self) -> list[tuple[bytes, list[tuple[str, bytes]]]]:
        consumer = KafkaConsumer(bootstrap_servers=self.kafka.url, enable_auto_commit=False)
        try:
            partitions = [TopicPartition(TOPIC, number) for number in consumer.partitions_for_topic(TOPIC)]
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            consumer.seek_to_beginning(*partitions)
            found: list[tuple[bytes, list[tuple[str, bytes]]]] = []
            for _ in range(PATIENCE):
                if all(consumer.position(each) >= ends[each] for each in partitions):
                    return found
                for records in consumer.poll(timeout_ms=1000, max_records=5000).values():
                    found += [(record.value, record.headers) for record in records]
            raise TimeoutError(f"{TOPIC} could not be read to its end")
        finally:
            consumer.close()


@contextmanager
def _killed(service: Any) -> Iterator[None]:
    family = with_children([service.process.pid])  # Postgres' backends are sessions of their own
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not service.process.alive() and not with_children(family), PATIENCE, "it is gone")
    try:
        yield
    finally:
        service.start()


@contextmanager
def _paused(service: Any) -> Iterator[None]:
    with still(service.process.pid):
        yield


_AWAY: dict[str, Callable[[Any], AbstractContextManager[None]]] = {"killed": _killed, "paused": _paused}


def main() -> None:
    """`python -m tests.outages PATH`: makes the forms and tokens, in a process of Django's own."""
    django.setup()
    from apps.console import samples
    from apps.orgs import keys

    organization = samples.organization("Outages", "outages")
    forms = [samples.student_form(organization, f"form-{number}", "Student data") for number in range(FORMS)]
    tokens = [keys.create(organization=organization, name="Outages", scopes=["submit"])[1] for _ in range(4)]
    made = {"forms": [form.public_id for form in forms], "tokens": tokens}
    Path(sys.argv[1]).write_text(json.dumps(made))


if __name__ == "__main__":
    main()
