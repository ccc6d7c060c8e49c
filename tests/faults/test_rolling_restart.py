"""A new release goes out under load: every process is ended and started again, one after the other, and nobody notices.

What makes it so is the end of each role: a web server is out of the balancer before it ends, a consumer leaves its
group, a worker gives back its leases.
"""

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from bench.load import students
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.valkey import Valkey
from sheets_emulator.emulator import SheetsEmulator
from tests.canary import ANSWER
from tests.faults.balancer import Balancer
from tests.stack import Stack, environment, read, wait_until
from tests.test_main_job import column

pytestmark = pytest.mark.services
CLIENTS = 6
PATIENCE = 180
DRAIN_SECONDS = 2


@dataclass
class Load:
    """Clients that try each submission once: an answer other than 202, or none, is written down."""

    target: str
    accepted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    def run(self, client: int) -> None:
        number = client
        # The first half keep their connections, the others open one for each request.
        keeps = client < CLIENTS // 2
        with requests.Session() as session:
            while not self.enough.is_set():
                self._submit(session if keeps else requests, number)
                number += CLIENTS

    def _submit(self, caller: Any, number: int) -> None:
        body = {**next(students(number)), "roll": str(10_000 + number), "university": ANSWER}
        try:
            answer = caller.post(self.target, json=body, headers={"Idempotency-Key": f"k{number}"}, timeout=15)
        except requests.RequestException as error:
            self.failed.append(repr(error))
            return
        if answer.status_code == 202:
            self.accepted.append(answer.json()["id"])
        else:
            self.failed.append(f"{answer.status_code} {answer.text[:200]}")

    def goes_on(self) -> None:
        before = len(self.accepted)
        wait_until(lambda: len(self.accepted) > before + 20 or self.failed, PATIENCE, "more are accepted")


@pytest.fixture
def halves(
    tmp_path: Path,
    postgres_service: Postgres,
    valkey_service: Valkey,
    kafka_service: Kafka,
    emulator: SheetsEmulator,
) -> Iterator[list[Stack]]:
    """One installation, each role of it twice."""
    ours = environment(tmp_path, postgres_service, valkey_service, kafka_service, emulator)
    ours |= {"WEB_DRAIN_SECONDS": str(DRAIN_SECONDS), "INTAKE_PER_ADDRESS_AND_FORM": "60000/minute"}
    stacks = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        stacks.append(Stack(folder, {**ours, "HEARTBEAT_DIR": str(folder / "heartbeats")}))
    yield stacks
    for stack in stacks:
        stack.stop()


@pytest.fixture
def balancer(halves: list[Stack]) -> Iterator[Balancer]:
    running = Balancer([stack.port for stack in halves])
    running.start()
    yield running
    running.stop()


def ended(stack: Stack, role: str) -> int:
    """Ask it to end as an orchestrator does; its exit status."""
    process = stack.processes[role]
    child = process._child
    assert child is not None
    os.kill(process.pid, signal.SIGTERM)
    return child.wait(60)


@pytest.mark.parametrize("interface", ["wsgi", pytest.param("rsgi", marks=pytest.mark.few)])
def test_nobody_notices_a_restart_of_every_process(
    halves: list[Stack], balancer: Balancer, emulator: SheetsEmulator, tmp_path: Path, interface: str
) -> None:
    one = halves[0]
    for stack in halves:
        stack.interface = interface
    account = read(tmp_path / "account.json")["client_email"]
    spreadsheet = emulator.create("Rolling", {account: "writer"})
    (tmp_path / "spreadsheets.json").write_text(json.dumps([spreadsheet]))
    one.manage("migrate", "--verbosity", "0")
    one.manage("ensure_topics")
    forms = ["--spreadsheets", str(tmp_path / "spreadsheets.json"), "--output", str(tmp_path / "forms.json")]
    one.manage("setup_load", "--web", balancer.address, *forms)
    [target] = read(tmp_path / "forms.json")
    for stack in halves:
        stack.start("web", "consumer", "worker")
    one.start("beat")
    wait_until(lambda: len(balancer.ready()) == 2, PATIENCE, "both web servers are ready")

    load = Load(target["submit_url"])
    codes: dict[str, int] = {}
    with ThreadPoolExecutor(CLIENTS) as clients:
        jobs = [clients.submit(load.run, client) for client in range(CLIENTS)]
        try:
            for role in ("web", "consumer", "worker"):
                for number, stack in enumerate(halves):
                    load.goes_on()
                    codes[f"{role} {number}"] = ended(stack, role)
                    stack.start(role)
                    if role == "web":
                        wait_until(lambda: len(balancer.ready()) == 2, PATIENCE, "both web servers are ready again")
            codes["beat"] = ended(one, "beat")
            one.start("beat")
            load.goes_on()
        finally:
            load.enough.set()
        for job in jobs:
            job.result(timeout=60)

    assert load.failed == []
    assert balancer.refused == 0
    assert set(codes.values()) == {0}, codes
    wait_until(lambda: set(load.accepted) <= set(column(emulator, spreadsheet)), PATIENCE, "all are in the Sheet")
    with psycopg.connect(one.environment["DATABASE_URL"]) as connection:
        archived = [str(id) for (id,) in connection.execute("SELECT id FROM archive_submission")]
        held = connection.execute("SELECT count(*) FROM sinks_destination WHERE leased_until > now()").fetchone()
    assert sorted(archived) == sorted(load.accepted)
    assert sorted(column(emulator, spreadsheet)) == sorted(load.accepted)
    assert held == (0,)
