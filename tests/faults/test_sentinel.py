"""Redis behind real sentinels, whose master is killed or stands still in the middle: everything goes on by itself."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from bench.load import students
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.process import Process
from deploy.local.sentinel import Guarded
from deploy.local.valkey import Valkey
from formhub.core.redis import connect
from sheets_emulator.emulator import SheetsEmulator
from tests.canary import ANSWER
from tests.stack import Stack, environment, read, wait_until
from tests.test_main_job import column, send

pytestmark = pytest.mark.services
CLIENTS = 4
PATIENCE = 180
# From the fault to the next master: what sentinels wait before they call it dead, their vote, and the new roles.
FAILOVER_SECONDS = 20


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    servers = Guarded(tmp_path / "guarded")
    servers.start()
    yield servers
    servers.stop()


@pytest.fixture
def stack(
    tmp_path: Path,
    guarded: Guarded,
    postgres_service: Postgres,
    valkey_service: Valkey,
    kafka_service: Kafka,
    emulator: SheetsEmulator,
) -> Iterator[Stack]:
    ours = environment(tmp_path, postgres_service, valkey_service, kafka_service, emulator)
    ours |= {"REDIS_URL": guarded.url(0), "REDIS_BUFFER_URL": guarded.url(1)}
    running = Stack(tmp_path, ours)
    yield running
    running.stop()


class Form:
    """One form with its Sheet, and what was accepted for it."""

    def __init__(self, stack: Stack, emulator: SheetsEmulator) -> None:
        self.stack, self.emulator = stack, emulator
        account = read(stack.folder / "account.json")["client_email"]
        self.spreadsheet = emulator.create("Guarded", {account: "writer"})
        spreadsheets = stack.folder / "spreadsheets.json"
        spreadsheets.write_text(json.dumps([self.spreadsheet]))
        stack.manage("migrate", "--verbosity", "0")
        stack.manage("ensure_topics")
        output = stack.folder / "forms.json"
        stack.manage("setup_load", "--web", stack.web, "--spreadsheets", str(spreadsheets), "--output", str(output))
        [self.target] = read(output)
        self.accepted: set[str] = set()

    def submit(self, number: int) -> None:
        body: dict[str, Any] = {**next(students(number)), "roll": str(10_000 + number), "university": ANSWER}
        answer = send(self.target, body, f"k{number}")
        assert answer.status_code == 202, answer.text
        self.accepted.add(answer.json()["id"])

    def archived(self) -> list[str]:
        with psycopg.connect(self.stack.environment["DATABASE_URL"]) as connection:
            return [str(id) for (id,) in connection.execute("SELECT id FROM archive_submission")]

    def in_sheet(self) -> list[str]:
        return column(self.emulator, self.spreadsheet)

    def all_arrived(self) -> bool:
        return self.accepted <= set(self.in_sheet())

    def assert_once(self) -> None:
        assert sorted(self.archived()) == sorted(self.accepted)
        assert sorted(self.in_sheet()) == sorted(self.accepted)


def has_new_master(guarded: Guarded, old: int) -> Callable[[], bool]:
    def look() -> bool:
        try:
            return guarded.master() != old
        except redis.RedisError:
            return False

    return look


@pytest.mark.parametrize(
    "fault",
    [pytest.param(Process.kill, id="killed", marks=pytest.mark.few), pytest.param(Process.pause, id="stands still")],
)
def test_all_go_on_with_the_next_master_when_theirs_is_lost_under_load(
    stack: Stack, guarded: Guarded, emulator: SheetsEmulator, fault: Callable[[Process], None]
) -> None:
    form = Form(stack, emulator)
    stack.start("web", "consumer", "worker", "beat")
    enough = threading.Event()

    def work(first: int) -> None:
        number = first
        while not enough.is_set():
            form.submit(number)
            number += CLIENTS

    with ThreadPoolExecutor(CLIENTS) as clients:
        jobs = [clients.submit(work, client) for client in range(CLIENTS)]
        try:
            wait_until(lambda: form.in_sheet(), PATIENCE, "the first are in the Sheet")
            old = guarded.master()
            fault(guarded.servers[old])
            wait_until(has_new_master(guarded, old), FAILOVER_SECONDS, "the sentinels name another master")
            before = len(form.accepted)
            wait_until(lambda: len(form.accepted) > before + 50, PATIENCE, "more are accepted")
        finally:
            enough.set()
        for job in jobs:
            job.result(timeout=PATIENCE)
    # The buffer's hint or the sweep, beat's ticks and the workers' queues: all by way of the new master.
    wait_until(form.all_arrived, PATIENCE, "everything accepted is in the Sheet")
    form.assert_once()
    # And the limits and repeats of the gate: its records are with the new master.
    with connect(guarded.url(0), 2.0) as client:
        assert next(client.scan_iter("formhub:intake:*", count=1000), None) is not None


def test_what_a_failover_lost_of_the_buffer_is_found_in_the_archive(
    stack: Stack, guarded: Guarded, emulator: SheetsEmulator
) -> None:
    form = Form(stack, emulator)
    stack.start("web", "consumer")
    old = guarded.master()
    replicas = [guarded.servers[port] for port in guarded.replicas()]
    for replica in replicas:
        replica.kill()
    for number in range(20):
        form.submit(number)
    wait_until(lambda: buffered(old) == 20, PATIENCE, "all are in the buffer of the master alone")
    guarded.servers[old].kill()
    for replica in replicas:
        replica.launch()  # with what it had on disk, and nobody to hear the rest from
    wait_until(has_new_master(guarded, old), FAILOVER_SECONDS, "the sentinels name another master")
    assert buffered(guarded.master()) == 0

    stack.start("worker", "beat")

    wait_until(form.all_arrived, PATIENCE, "the sweep finds them")
    form.assert_once()


def buffered(port: int) -> int:
    with redis.Redis(port=port, db=1, socket_timeout=5) as client:
        return sum(client.zcard(key) for key in client.scan_iter("formhub:buffer:a:*", count=1000))
