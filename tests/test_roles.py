"""Every role as its own process, scraped, probed and stopped for real."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
from pytest_django import Settings

from bench.load import students
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.process import free_port
from deploy.local.valkey import Valkey
from formhub.core import presence
from formhub.core.metrics import DEFINED, ROLES
from sheets_emulator.emulator import SheetsEmulator
from tests.canary import ANSWER
from tests.stack import Stack, environment, read, wait_until

pytestmark = pytest.mark.services
PATIENCE = 60
NOWHERE = "a" * 44  # a spreadsheet that is not there


@pytest.fixture(scope="module")
def emulator() -> Iterator[SheetsEmulator]:
    with SheetsEmulator(quota_scale=20) as running:
        yield running


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_service: Postgres,
    valkey_service: Valkey,
    kafka_service: Kafka,
    emulator: SheetsEmulator,
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("roles")
    ours = environment(folder, postgres_service, valkey_service, kafka_service, emulator)
    with redis.Redis.from_url(ours["REDIS_URL"]) as cache, redis.Redis.from_url(ours["REDIS_BUFFER_URL"]) as buffer:
        cache.flushdb()
        buffer.flushdb()
    running = Stack(folder, {**ours, "LOG_FORMAT": "json"}, metrics={role: free_port() for role in ROLES})
    running.manage("migrate", "--verbosity", "0")
    running.manage("ensure_topics")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def targets(stack: Stack, emulator: SheetsEmulator) -> list[dict[str, str]]:
    """Two forms; the second one's spreadsheet is not there."""
    account = read(stack.folder / "account.json")["client_email"]
    sheets, output = stack.folder / "spreadsheets.json", stack.folder / "forms.json"
    sheets.write_text(json.dumps([emulator.create("Sheet", {account: "writer"}), NOWHERE]))
    stack.manage("setup_load", "--web", stack.web, "--spreadsheets", str(sheets), "--output", str(output))
    stack.start(*ROLES)
    found: list[dict[str, str]] = read(output)
    return found


def body(**changes: str) -> dict[str, str]:
    return {**next(students(7)), "university": ANSWER, **changes}


def submit(target: dict[str, str], **changes: str) -> requests.Response:
    return requests.post(target["submit_url"], json=body(**changes), timeout=15)


class Figures(dict[str, float]):
    """A scrape's samples by name with labels; what is not there counts zero."""

    def __init__(self, text: str) -> None:
        lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
        super().__init__({name: float(value) for name, _, value in lines})

    def __missing__(self, name: str) -> float:
        return 0.0

    def since(self, before: "Figures") -> "Figures":
        return Figures("\n".join(f"{name} {value - before[name]}" for name, value in self.items()))


def families(text: str) -> set[str]:
    return {name for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE) if name.startswith("formhub_")}


@pytest.mark.usefixtures("targets")
@pytest.mark.parametrize("role", ROLES)
def test_a_role_exports_every_metric_that_it_says_it_has_and_no_other(stack: Stack, role: str) -> None:
    wait_until(lambda: stack.scrape(role), PATIENCE, f"{role} answers a scrape")

    text = stack.scrape(role)

    assert families(text) == {name for name, defined in DEFINED.items() if role in defined.roles}
    assert f'formhub_processes{{role="{role}",version="0.1.0"}} 1.0' in text
    assert "process_resident_memory_bytes" in text


def test_a_submission_moves_the_metrics_of_every_part_that_it_passes(
    stack: Stack, targets: list[dict[str, str]]
) -> None:
    wait_until(lambda: all(stack.scrape(role) for role in ROLES), PATIENCE, "every role answers a scrape")
    before = {role: Figures(stack.scrape(role)) for role in ROLES}

    assert [submit(targets[0]).status_code for _ in range(3)] == [202] * 3
    assert submit(targets[1]).status_code == 202
    assert submit(targets[0], cgpa="11").status_code == 422

    def moved(role: str) -> Figures:
        return Figures(stack.scrape(role)).since(before[role])

    delivered = 'formhub_flush_items_total{kind="google_sheets",outcome="delivered"}'
    paused = 'formhub_actions{kind="google_sheets",state="paused"}'
    wait_until(lambda: moved("worker")[delivered] == 3, PATIENCE, "three are in the Sheet")
    wait_until(lambda: moved("worker")[paused] == 1, PATIENCE, "the other action is paused")
    web, consumer, worker, beat = (moved(role) for role in ROLES)

    assert web['formhub_intake_accepted_total{door="kafka"}'] == 4
    assert web['formhub_intake_refused_total{reason="answers_refused"}'] == 1
    assert web["formhub_intake_ack_seconds_count"] == web["formhub_intake_group_size_sum"] == 4
    assert Figures(stack.scrape("web"))["formhub_intake_pending"] == 0

    for group in ("archive", "deliver"):
        assert consumer[f'formhub_consumer_records_total{{group="{group}"}}'] == 4
        lags = {
            name: value
            for name, value in Figures(stack.scrape("consumer")).items()
            if f'lag_seconds{{group="{group}"' in name
        }
        assert len(lags) == 6
        assert set(lags.values()) == {0.0}
    assert consumer["formhub_archive_rows_total"] == 4
    assert consumer["formhub_archive_batch_seconds_count"] >= 1
    assert consumer["formhub_buffer_appended_total"] == 4

    assert worker['formhub_flush_items_total{kind="google_sheets",outcome="configuration"}'] == 1
    assert worker['formhub_delivery_seconds_count{kind="google_sheets"}'] == 3
    assert worker['formhub_flush_batch_size_sum{kind="google_sheets"}'] >= 4
    assert worker['formhub_flush_seconds_count{kind="google_sheets"}'] >= 2
    assert worker['formhub_quota_calls_total{kind="google_sheets",rate="write"}'] >= 1
    assert worker['formhub_task_seconds_count{task="workers.flush"}'] >= 2
    assert worker["formhub_tick_last_timestamp_seconds"] > 0
    assert beat["formhub_beat_last_tick_timestamp_seconds"] > 0


@pytest.mark.usefixtures("targets")
def test_every_part_is_listed_as_alive_and_passes_its_probe(stack: Stack, settings: Settings) -> None:
    settings.REDIS_URL = stack.environment["REDIS_URL"]
    parts = {"archive", "deliver", "consumer", "worker", "tick", "beat", "web"}

    wait_until(lambda: {seen.name for seen in presence.seen() if seen.alive} == parts, PATIENCE, f"alive: {parts}")

    stack.manage("probe", "archive", "deliver", "consumer", "worker", "beat")


@pytest.mark.usefixtures("targets")
def test_the_doctor_finds_nothing_bad_in_an_installation_that_runs(stack: Stack) -> None:
    def well() -> bool:
        try:
            stack.manage("doctor")
        except AssertionError as error:
            print(error)  # for whoever reads why the test failed
            return False
        return True

    # Every part gives its first sign of life when it has started.
    wait_until(well, PATIENCE, "the doctor is content")


def test_a_line_of_the_log_is_found_by_the_id_that_the_caller_was_told(
    stack: Stack, targets: list[dict[str, str]]
) -> None:
    refused = submit(targets[0], cgpa="11")

    def lines() -> list[dict[str, Any]]:
        texts = (stack.folder / "web.log").read_text().splitlines()
        return [json.loads(text) for text in texts if text.startswith("{")]

    def found() -> list[dict[str, Any]]:
        return [line for line in lines() if line.get("request_id") == refused.headers["X-Request-ID"]]

    wait_until(found, PATIENCE, "the line is written")
    [line] = found()
    assert (line["level"], line["status"]) == ("warning", 422)
    assert line["event"].endswith("/submissions")


def test_a_web_server_that_is_told_to_stop_takes_nobody_new_and_answers_those_inside(
    stack: Stack, targets: list[dict[str, str]], kafka_service: Kafka
) -> None:
    """What makes it unready: from SIGTERM on it refuses connections, so no probe or balancer finds it ready."""
    answers: list[requests.Response] = []
    kafka_service.pause()
    try:
        inside = threading.Thread(target=lambda: answers.append(submit(targets[0])))
        inside.start()
        pending = "formhub_intake_pending"
        wait_until(lambda: Figures(stack.scrape("web"))[pending] == 1, PATIENCE, "a submission waits for its receipt")
        asker = threading.Thread(target=stack.processes["web"].stop)
        asker.start()
        wait_until(lambda: refuses(f"{stack.web}/readyz"), PATIENCE, "the web server refuses connections")
        assert answers == []
    finally:
        kafka_service.resume()
    inside.join(PATIENCE)
    asker.join(PATIENCE)

    assert [answer.status_code for answer in answers] == [202]


def refuses(address: str) -> bool:
    try:
        requests.get(address, timeout=5)
    except requests.ConnectionError:
        return True
    return False


def test_several_processes_of_a_web_server_answer_as_one(
    tmp_path: Path, stack: Stack, targets: list[dict[str, str]]
) -> None:
    many = Stack(tmp_path, stack.environment, metrics={"web": free_port()}, web_workers=2)
    submit_url = targets[0]["submit_url"].replace(stack.web, many.web)
    accepted = 'formhub_intake_accepted_total{door="kafka"}'
    running = 'formhub_processes{role="web",version="0.1.0"}'
    many.start("web")
    try:
        wait_until(lambda: Figures(many.scrape("web"))[running] == 2, PATIENCE, "both processes run")
        for _ in range(8):
            assert requests.post(submit_url, json=body(), timeout=15).status_code == 202
        public = requests.get(f"{many.web}/metrics", timeout=5).text

        assert Figures(public)[accepted] == Figures(many.scrape("web"))[accepted] == 8
        assert "django_http_requests_before_middlewares_total" in public

        kill_one(tmp_path / "multiproc")
        wait_until(lambda: Figures(many.scrape("web"))[running] == 2, PATIENCE, "another one has taken its place")
        assert Figures(many.scrape("web"))[accepted] == 8, "what the dead one had counted stays"
    finally:
        many.stop()


def kill_one(folder: Path) -> None:
    path = next(iter(folder.glob("counter_*.db")))
    os.kill(int(path.stem.rpartition("_")[2]), signal.SIGKILL)


def test_the_loops_without_celery_are_scraped_too(tmp_path: Path, stack: Stack) -> None:
    port = free_port()
    alone = Stack(tmp_path, stack.environment, metrics={"consume": port})
    process = subprocess.Popen(
        [sys.executable, "manage.py", "consume", "archive"],
        cwd=Path(__file__).resolve().parent.parent,
        env={**alone._environment, "METRICS_PORT": str(port), "HEARTBEAT_DIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: families(alone.scrape("consume")), PATIENCE, "it answers a scrape")
        assert families(alone.scrape("consume")) == {n for n, d in DEFINED.items() if "consumer" in d.roles}
        wait_until((tmp_path / "archive").exists, PATIENCE, "its loop turns")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
