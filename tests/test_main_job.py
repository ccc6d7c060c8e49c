"""The main job on real services, with processes killed in the middle: everything accepted arrives once and in order,
nothing refused arrives.
"""

import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from bench.load import students
from bench.travelled import Comparison, archive_order, log_order
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.valkey import Valkey
from sheets_emulator.emulator import SheetsEmulator
from tests.canary import ANSWER
from tests.stack import Stack, environment, read, wait_until

pytestmark = pytest.mark.services

FORMS = 20
SUBMISSIONS = 3000
CLIENTS = 24
PATIENCE = 180


@dataclass
class Journal:
    """What the clients were told. accepted: form -> key -> id."""

    accepted: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    refused: set[str] = field(default_factory=set)
    contradictions: list[str] = field(default_factory=list)
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def accept(self, form: str, key: str, submission: str) -> None:
        with self.lock:
            self.sent += 1
            if self.accepted[form].setdefault(key, submission) != submission:
                self.contradictions.append(key)

    def refuse(self, marker: str) -> None:
        with self.lock:
            self.sent += 1
            self.refused.add(marker)


@pytest.fixture
def stack(
    tmp_path: Path,
    postgres_service: Postgres,
    valkey_service: Valkey,
    kafka_service: Kafka,
    emulator: SheetsEmulator,
) -> Iterator[Stack]:
    running = Stack(tmp_path, environment(tmp_path, postgres_service, valkey_service, kafka_service, emulator))
    yield running
    running.stop()


def send(target: dict[str, str], body: dict[str, Any], key: str, seconds: float = 90) -> requests.Response:
    """As a careful client does: the same key again until there is an answer that settles it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = requests.post(target["submit_url"], json=body, headers={"Idempotency-Key": key}, timeout=15)
            if answer.status_code not in {409, 503}:
                return answer
        except requests.RequestException:
            pass
        assert time.monotonic() < deadline, "no answer within the client's patience"
        time.sleep(0.3)


def work(targets: list[dict[str, str]], journal: Journal, numbers: range) -> None:
    chance = random.Random(numbers.start)
    people = students(numbers.start)
    for number in numbers:
        target = targets[chance.randrange(len(targets))]
        body: dict[str, Any] = {**next(people), "roll": str(10_000 + number), "university": ANSWER}
        if number % 10 == 3:
            marker = f"refused-{number}@example.org"
            answer = send(target, {**body, "email": marker, "cgpa": "11"}, f"r{number}")
            assert answer.status_code == 422, answer.text
            journal.refuse(marker)
            continue
        for _ in range(2 if number % 7 == 0 else 1):
            answer = send(target, body, f"k{number}")
            assert answer.status_code == 202, answer.text
            journal.accept(target["form"], f"k{number}", answer.json()["id"])


def test_everything_accepted_arrives_once_and_in_order_though_processes_are_killed(
    stack: Stack, emulator: SheetsEmulator, tmp_path: Path
) -> None:
    account = read(tmp_path / "account.json")["client_email"]
    spreadsheets = [emulator.create(f"Sheet {number}", {account: "writer"}) for number in range(FORMS)]
    (tmp_path / "spreadsheets.json").write_text(json.dumps(spreadsheets))
    stack.manage("migrate", "--verbosity", "0")
    stack.manage("ensure_topics")
    output = tmp_path / "forms.json"
    stack.manage(
        "setup_load", "--web", stack.web, "--spreadsheets", str(tmp_path / "spreadsheets.json"), "--output", str(output)
    )
    stack.start("web", "consumer", "worker", "beat")
    targets = read(output)
    journal = Journal()

    share = SUBMISSIONS // CLIENTS
    with ThreadPoolExecutor(CLIENTS) as clients:
        jobs = [
            clients.submit(work, targets, journal, range(client * share, (client + 1) * share))
            for client in range(CLIENTS)
        ]
        wait_until(lambda: journal.sent > SUBMISSIONS // 4, 120, "a quarter sent")
        stack.kill("consumer")
        wait_until(lambda: journal.sent > SUBMISSIONS // 2, 120, "half sent")
        stack.kill("web")
        stack.start("web", "consumer")
        wait_until(lambda: journal.sent > SUBMISSIONS * 3 // 4, 120, "three quarters sent")
        stack.kill("worker")
        stack.start("worker")
        for job in jobs:
            job.result(timeout=240)

    accepted = {target["form"]: set(journal.accepted[target["form"]].values()) for target in targets}
    sheets = {target["form"]: target["spreadsheet_id"] for target in targets}

    def in_sheets() -> int:
        return sum(len(set(column(emulator, sheets[form])) & ids) for form, ids in accepted.items())

    total = sum(map(len, accepted.values()))
    wait_until(lambda: in_sheets() == total, PATIENCE, "everything accepted is in the Sheets")

    log = log_order(
        {"kafka": stack.environment["KAFKA_BOOTSTRAP_SERVERS"], "topic": stack.environment["SUBMISSIONS_TOPIC"]}
    )
    archive, in_sheet = Comparison(), Comparison()
    with psycopg.connect(stack.environment["DATABASE_URL"]) as connection:
        for form, ids in accepted.items():
            archive.add(ids, archive_order(connection, form), log)
            in_sheet.add(ids, column(emulator, sheets[form]), log)
        stored = connection.execute("SELECT count(*) FROM archive_submission").fetchone()
        leaked = connection.execute(
            "SELECT count(*) FROM archive_submission WHERE answers->>'email' = ANY(%s)", [list(journal.refused)]
        ).fetchone()
    assert journal.contradictions == []
    assert archive.summary() == "0 / 0 / 0"
    assert in_sheet.summary() == "0 / 0 / 0"
    assert leaked == (0,)
    # A try whose answer was lost to the kill is repeated under its key, so nothing but what was accepted is stored.
    assert stored == (total,)
    assert journal.refused
    assert "refused-" not in stack.logs(), "logs carry ids, never answers"


def column(emulator: SheetsEmulator, spreadsheet_id: str) -> list[str]:
    rows = emulator.rows(spreadsheet_id, "Submissions")
    if not rows:
        return []
    at = rows[0].index("Submission ID")
    return [row[at] for row in rows[1:]]
