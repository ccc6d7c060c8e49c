"""The whole way: how long a submission takes from its 202 to the archive and to the Sheet, and how fast a Sheet fills.

`python -m bench.pipeline` (or `make bench-pipeline`). It starts a demo in a folder of its own, with the emulated
Google Sheets under Google's true quotas, and measures two things:

- latency: so many submissions a second, steadily, over a few forms with a Sheet each; p50, p95, p99 from accept to
  archive and from accept to Sheet, beside what is allowed (the flush interval of 10 s and 5 s)
- drain: actions are paused while the archive fills, then resumed: rows a minute into the Sheets with one service
  account, beside what the quota allows (48 calls of 1,000 rows)
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
from rich.console import Console

from bench import sheets
from bench.load import students
from bench.measure import RESULTS, Column, Figures, Runs, machine, picture, show
from deploy.local.manage import manage
from deploy.local.process import ServiceError

START_SECONDS = 180
PATIENCE_SECONDS = 300
LATENCY = (
    Column("p50", "p50 s", "{:,.2f}"),
    Column("p95", "p95 s", "{:,.2f}"),
    Column("p99", "p99 s", "{:,.2f}"),
    Column("allowed", "allowed s", "{:,.1f}"),
)
DRAIN = (Column("rate", "rows/minute", share=True), Column("calls", "calls"))
FOR_EACH_ACTION = """
from apps.sinks import actions
from apps.sinks.models import Binding
for action in Binding.objects.all():
    actions.{verb}(action)
"""
_ARCHIVE = """
SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM archived_at - accepted_at))
FROM archive_submission WHERE accepted_at >= %s
"""
_SHEET = """
SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99])
    WITHIN GROUP (ORDER BY extract(epoch FROM b.finished_at - s.accepted_at))
FROM sinks_batchitem i JOIN sinks_batch b ON b.id = i.batch_id AND b.state = 'delivered'
JOIN archive_submission s ON s.id = i.submission_id WHERE s.accepted_at >= %s
"""
_DELIVERED = "SELECT coalesce(sum(delivered), 0) FROM sinks_binding"


@contextmanager
def demo(console: Console, **environment: str) -> Iterator[dict[str, Any]]:
    """A demo in a folder of its own; ended as with Ctrl-C. environment: of its processes, beside the usual."""
    with tempfile.TemporaryDirectory(prefix="formhub-bench-") as name:
        folder = Path(name)
        log = (folder / "demo.log").open("w")
        command = [sys.executable, "-m", "deploy.local.demo", "--folder", str(folder / "data")]
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, **environment}
        )
        try:
            with console.status("Starting a demo of its own"):
                yield _described(process, folder)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            log.close()


def _described(process: "subprocess.Popen[bytes]", folder: Path) -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while "FormHub runs" not in (folder / "demo.log").read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServiceError(f"The demo did not start:\n{(folder / 'demo.log').read_text()[-2000:]}")
        time.sleep(0.5)
    found: dict[str, Any] = json.loads((folder / "data" / "demo.json").read_text())
    return {**found, "folder": folder / "data"}


def forms(running: dict[str, Any], count: int) -> list[dict[str, str]]:
    folder: Path = running["folder"]
    (folder / "spreadsheets.json").write_text(json.dumps(sheets.spreadsheets(running, count)))
    given = ["--spreadsheets", str(folder / "spreadsheets.json"), "--output", str(folder / "load.json")]
    manage(folder, "setup_load", "--web", running["web"], *given)
    found: list[dict[str, str]] = json.loads((folder / "load.json").read_text())
    return found


# Latency


async def steadily(targets: Sequence[dict[str, str]], rate: int, seconds: int) -> int:
    """Send `rate` a second at even distances, whatever the answers take; how many were not accepted."""
    people, pending = students(11), set[asyncio.Task[bool]]()
    connector = aiohttp.TCPConnector(limit=1000)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        started = time.perf_counter()
        for number in range(rate * seconds):
            await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            target = targets[number % len(targets)]
            pending.add(asyncio.create_task(_send(session, target["submit_url"], next(people))))
        return sum(not good for good in await asyncio.gather(*pending))


async def _send(session: aiohttp.ClientSession, url: str, body: dict[str, str]) -> bool:
    try:
        async with session.post(url, json=body) as answer:
            return answer.status == 202
    except (aiohttp.ClientError, TimeoutError):
        return False


def latency(running: dict[str, Any], targets: Sequence[dict[str, str]], rate: int, seconds: int) -> Runs:
    with psycopg.connect(running["postgres"], autocommit=True) as connection:
        row = connection.execute("SELECT now()").fetchone()
        assert row is not None
        failures = asyncio.run(steadily(targets, rate, seconds))
        if failures:
            raise ServiceError(f"{failures} of {rate * seconds} submissions were not accepted.")
        _until(connection, rate * seconds)
        return {
            "accept to archive": [_percentiles(connection, _ARCHIVE, row[0], 0.5)],
            "accept to Sheet": [_percentiles(connection, _SHEET, row[0], 15.0)],
        }


def _percentiles(connection: psycopg.Connection[Any], query: str, since: Any, allowed: float) -> Figures:
    row = connection.execute(query, [since]).fetchone()
    assert row is not None
    return {"p50": row[0][0], "p95": row[0][1], "p99": row[0][2], "allowed": allowed}


def _until(connection: psycopg.Connection[Any], delivered: int) -> float:
    """Wait until so many rows are delivered in all; the seconds. Raises ServiceError when patience ends."""
    started = time.monotonic()
    while True:
        row = connection.execute(_DELIVERED).fetchone()
        assert row is not None
        if row[0] >= delivered:
            return time.monotonic() - started
        if time.monotonic() - started > PATIENCE_SECONDS:
            raise ServiceError(f"Only {row[0]} of {delivered} rows were delivered.")
        time.sleep(0.2)


# Drain


def drain(running: dict[str, Any], targets: Sequence[dict[str, str]], count: int, console: Console) -> Runs:
    folder: Path = running["folder"]
    manage(folder, "shell", "-v", "0", "-c", FOR_EACH_ACTION.format(verb="pause"))
    with psycopg.connect(running["postgres"], autocommit=True) as connection:
        before = _number(connection, _DELIVERED)
        with console.status(f"Filling the log with {count:,} submissions"):
            fill(running, connection, targets, count)
        calls = _number(connection, "SELECT count(*) FROM sinks_batch")
        manage(folder, "shell", "-v", "0", "-c", FOR_EACH_ACTION.format(verb="resume"))
        with console.status("Draining"):
            seconds = _until(connection, before + count)
        calls = _number(connection, "SELECT count(*) FROM sinks_batch") - calls
    quota = 48_000.0
    return {
        "what the quota allows": [{"rate": quota, "calls": count / 1000}],
        "Sheets, one account": [{"rate": 60 * count / seconds, "calls": float(calls)}],
    }


def fill(
    running: dict[str, Any], connection: psycopg.Connection[Any], targets: Sequence[dict[str, str]], count: int
) -> None:
    """Publish envelopes as the web process would, and wait until the archive has them."""
    from bench.archive import publish
    from formhub.core.stream.base import Message, partition_of
    from formhub.core.stream.kafka import KafkaPublisher

    found = connection.execute(
        "SELECT id, organization_id FROM forms_form WHERE public_id = ANY(%s)", [[target["form"] for target in targets]]
    ).fetchall()
    before = _number(connection, "SELECT count(*) FROM archive_submission")
    publisher = KafkaPublisher([running["kafka"]], running["topic"], 6)
    made = envelopes(found, count)
    for _ in range(0, count, 1000):
        messages = [
            Message(key, value, headers, partition_of(key, 6))
            for key, value, headers in (next(made) for _ in range(1000))
        ]
        publish(publisher, messages)
    publisher.close(10)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _number(connection, "SELECT count(*) FROM archive_submission") < before + count:
        if time.monotonic() > deadline:
            raise ServiceError("The archive did not take everything in.")
        time.sleep(0.5)


def envelopes(found: Sequence[tuple[Any, Any]], count: int) -> Iterator[tuple[bytes, bytes, Any]]:
    from datetime import UTC, datetime

    from formhub.core.envelope import Envelope, encode
    from formhub.core.ids import uuid7

    people = students(13)
    for number in range(count):
        form, organization = found[number % len(found)]
        envelope = Envelope(uuid7(), organization, form, 1, datetime.now(UTC), dict(next(people)))
        yield (envelope.key, *encode(envelope))


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=500, help="submissions a second")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--forms", type=int, default=4)
    parser.add_argument("--rows", type=int, default=96_000, help="rows to drain, a multiple of 1,000")
    options = parser.parse_args()
    console = Console()
    console.print(machine())
    try:
        with demo(console) as running:
            targets = forms(running, options.forms)
            runs = latency(running, targets, options.rate, options.seconds)
            title = f"{options.rate} submissions/s for {options.seconds} s over {options.forms} forms"
            show(console, title, runs, LATENCY)
            picture(RESULTS / "pipeline-latency.png", title, runs, LATENCY[1])
            runs = drain(running, targets, options.rows, console)
            title = f"{options.rows:,} rows into {options.forms} Sheets"
            show(console, title, runs, DRAIN, "what the quota allows")
            picture(RESULTS / "pipeline-drain.png", title, runs, DRAIN[0], "what the quota allows")
    except ServiceError as error:
        console.print(f"[red]{error}[/]")
        return 1
    console.print(f"Pictures in {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
