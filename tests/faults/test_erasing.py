"""A canary's text, everywhere a submission can get to; then it is erased, and nothing brings it back."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from kafka import KafkaProducer
from redis import Redis

from deploy.local.kafka import Kafka
from deploy.local.postgres import BIN, USER, Postgres
from deploy.local.valkey import Valkey
from formhub.core.journal import Journal
from sheets_emulator.emulator import SheetsEmulator
from tests.faults.erasure import execute, query, traces
from tests.stack import Stack, environment, read, wait_until

pytestmark = pytest.mark.services

PATIENCE = 90
# A second action, whose condition fails on every answer, and a key; what is printed goes into a file.
SET_UP = """
import json, pathlib
from apps.forms.models import Form
from apps.orgs import keys
from apps.sinks import actions, config
from apps.sinks.models import Binding
from apps.sinks.registry import registry
form = Form.objects.get(public_id={form!r})
first = Binding.objects.get(form=form)
settings = config.stored(first.config, first.secrets)
settings.config["worksheet"] = "Others"
actions.create(organization_id=form.organization_id, form_id=form.pk, sink=registry.get("google_sheets"), name="Broken",
               settings=settings, position=0, condition={{"throw": "no"}})
_, token = keys.create(organization=form.organization, name="test", scopes=["read", "manage"])
pathlib.Path({output!r}).write_text(json.dumps({{"token": token, "form_id": str(form.pk)}}))
"""


@pytest.fixture
def stack(
    tmp_path: Path, postgres_service: Postgres, valkey_service: Valkey, kafka_service: Kafka, emulator: SheetsEmulator
) -> Iterator[Stack]:
    ours = environment(tmp_path, postgres_service, valkey_service, kafka_service, emulator)
    for name in ("REDIS_URL", "REDIS_BUFFER_URL"):
        Redis.from_url(ours[name]).flushdb()
    running = Stack(tmp_path, ours | {"TOMBSTONE_JOURNAL": str(tmp_path / "journal")})
    yield running
    running.stop()


class World:
    """One form with a sheet that works and an action that cannot say whether anything is owed to it."""

    def __init__(self, stack: Stack, emulator: SheetsEmulator, folder: Path) -> None:
        self.stack, self.emulator, self.folder = stack, emulator, folder
        account = read(folder / "account.json")["client_email"]
        self.sheet = emulator.create("Sheet", {account: "writer"})
        (folder / "spreadsheets.json").write_text(json.dumps([self.sheet]))
        stack.manage("migrate", "--verbosity", "0")
        stack.manage("ensure_topics")
        made = folder / "forms.json"
        stack.manage(
            "setup_load", "--web", stack.web, "--spreadsheets", str(folder / "spreadsheets.json"), "--output", str(made)
        )
        self.target = read(made)[0]
        script = SET_UP.format(form=self.target["form"], output=str(folder / "key.json"))
        stack.manage("shell", "--no-imports", "-c", script)
        self.form: str = read(folder / "key.json")["form_id"]
        self.headers = {"Authorization": f"Bearer {read(folder / 'key.json')['token']}"}

    def submit(self, name: str) -> str:
        body = {
            "name": name, "roll": "12345", "email": "kestrel@example.org", "university": "Aligarh", "cgpa": "9.1",
            "tech": "Python", "gender": "F", "age": "22", "mobile": "9123456780",
        }  # fmt: skip
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        answer = requests.post(self.target["submit_url"], json=body, headers=headers, timeout=20)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def address(self, submission: str) -> str:
        return f"{self.stack.web}/api/v1/forms/{self.target['form']}/submissions/{submission}"

    def in_sheet(self) -> list[str]:
        rows = self.emulator.rows(self.sheet, "Submissions")
        at = rows[0].index("Submission ID") if rows else 0
        return [row[at] for row in rows[1:]]

    def leave_unreadable(self, submission: str, text: str) -> None:
        """A record of a wire version that nobody knows here, as a newer release would write it."""
        producer = KafkaProducer(bootstrap_servers=self.stack.environment["KAFKA_BOOTSTRAP_SERVERS"])
        producer.send(
            self.stack.environment["SUBMISSIONS_TOPIC"],
            key=self.form.encode(),
            value=json.dumps({"id": submission, "answers": {"name": text}}).encode(),
            headers=[("v", b"9"), ("id", submission.encode())],
        ).get(timeout=20)
        producer.close()

    def count(self, statement: str, *values: Any) -> int:
        return int(query(self.stack, statement, *values)[0][0])

    def archived(self) -> set[str]:
        return {str(id) for (id,) in query(self.stack, "SELECT id FROM archive_submission")}

    def read_to_the_end(self) -> bool:
        """Whether both groups stand where the log ends, as the archive knew it before they were set back."""
        return not query(
            self.stack,
            "SELECT 1 FROM archive_streamoffset o JOIN ends e USING (topic_id, partition)"
            " WHERE o.next_offset < e.next_offset",
        )

    def start_over(self) -> None:
        """Both groups read the log from its start, and every action goes through all of its submissions again."""
        execute(self.stack, "UPDATE archive_streamoffset SET next_offset = 0")
        execute(self.stack, "UPDATE sinks_binding SET settled_to = -1")


@pytest.mark.few
def test_an_erased_submission_is_nowhere_and_neither_the_log_nor_a_backup_brings_it_back(
    stack: Stack, emulator: SheetsEmulator, tmp_path: Path
) -> None:
    world = World(stack, emulator, tmp_path)
    canary = f"kestrel{secrets.token_hex(12)}"
    stack.start("web", "consumer", "worker", "beat")
    erased, stays = world.submit(f"Ada {canary}"), world.submit("Grace")
    world.leave_unreadable(erased, canary)
    everywhere(world, erased, stays)
    assert {trace for trace in traces(stack, canary) if "archive_" in trace} == {
        partition_of_archive(world), "table archive_unreadrecord",
    }  # fmt: skip
    dump(stack, tmp_path / "old.dump")
    execute(stack, "CREATE TABLE ends AS SELECT topic_id, partition, max(next_offset) AS next_offset "
                   "FROM archive_streamoffset GROUP BY 1, 2")  # fmt: skip

    for _ in range(2):  # the second time as if the first answer had been lost
        answer = requests.delete(world.address(erased), headers=world.headers, timeout=20)
        assert answer.status_code == 204, answer.text

    assert requests.get(world.address(erased), headers=world.headers, timeout=20).status_code == 404
    assert world.count("SELECT count(*) FROM sinks_parked WHERE submission_id = %s", erased) == 0
    assert world.count("SELECT count(*) FROM sinks_batchitem WHERE submission_id = %s", erased) == 1
    assert world.count("SELECT count FROM archive_formcounter WHERE form_id = %s", world.form) == 1
    journal = Journal(tmp_path / "journal")
    wait_until(lambda: [str(entry.submission) for entry in journal.entries()] == [erased], PATIENCE, "in the journal")
    assert traces(stack, canary) == []

    for role in ("consumer", "worker"):
        stack.processes[role].stop()
    world.start_over()
    stack.start("consumer", "worker")
    wait_until(world.read_to_the_end, PATIENCE, "the log was read once more")
    later = world.submit("Edsger")
    wait_until(lambda: later in world.in_sheet(), PATIENCE, "it goes on behind what was read again")
    assert traces(stack, canary) == []
    assert world.archived() == {stays, later}
    assert world.in_sheet() == [erased, stays, later]  # what was delivered is not ours; and nothing stands there twice

    stack.stop()
    restore(stack, tmp_path / "old.dump")
    Redis.from_url(stack.environment["REDIS_BUFFER_URL"]).flushdb()
    assert traces(stack, canary) != []
    stack.manage("replay_tombstones")
    assert traces(stack, canary) == []
    execute(stack, "CREATE TABLE ends AS SELECT topic_id, partition, max(next_offset) AS next_offset "
                   "FROM archive_streamoffset GROUP BY 1, 2")  # fmt: skip
    world.start_over()
    stack.start("web", "consumer", "worker", "beat")
    wait_until(lambda: world.archived() == {stays, later}, PATIENCE, "the log fills what the backup lacks")
    last = world.submit("Barbara")
    wait_until(lambda: last in world.in_sheet(), PATIENCE, "deliveries go on")
    assert world.read_to_the_end()
    assert traces(stack, canary) == []
    assert world.in_sheet() == [erased, stays, later, last]


def everywhere(world: World, erased: str, stays: str) -> None:
    """Delivered, failed at the other action, and kept aside as unreadable: as far as a submission can spread."""
    wait_until(lambda: world.in_sheet() == [erased, stays], PATIENCE, "both stand in the sheet")
    parked = "SELECT count(*) FROM sinks_parked WHERE submission_id = %s"
    wait_until(lambda: world.count(parked, erased) == 1, PATIENCE, "it failed at the other action")
    unread = "SELECT count(*) FROM archive_unreadrecord"
    wait_until(lambda: world.count(unread) == 1, PATIENCE, "the record that nobody can read was kept")


def partition_of_archive(world: World) -> str:
    rows = query(world.stack, "SELECT tableoid::regclass::text FROM archive_submission WHERE form_id = %s", world.form)
    return f"table {rows[0][0]}"


def dump(stack: Stack, path: Path) -> None:
    run("pg_dump", "--format", "custom", "--file", str(path), stack.environment["DATABASE_URL"])


def restore(stack: Stack, path: Path) -> None:
    address = stack.environment["DATABASE_URL"]
    base, _, name = address.rpartition("/")
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
        connection.execute(f'CREATE DATABASE "{name}" OWNER "{USER}"'.encode())
    run("pg_restore", "--dbname", address, "--exit-on-error", str(path))


def run(program: str, *arguments: str) -> None:
    done = subprocess.run([str(BIN / program), *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
