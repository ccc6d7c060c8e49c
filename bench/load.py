"""The load of a busy day, against a running demo: `python -m bench.load` (or `make load`).

1,000 concurrent users send 5 submissions each of realistic, differing student data; then the same over 50 forms with a
sheet of their own each. Afterwards it waits for everything to travel and checks that every accepted submission stands
exactly once in the archive and exactly once in its Sheet, in the order in which the log took it. Exits non-zero when a
promise is broken. Bounded: at most --users connections, --patience seconds of waiting.
"""

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from faker import Faker
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from bench import sheets, travelled
from deploy.local.manage import FOLDER, manage
from deploy.local.process import ServiceError, allow_many_files, ask_loopback_directly

REQUEST_SECONDS = 30
SHARES = (0.50, 0.95, 0.99)


@dataclass(frozen=True)
class Target:
    """A form to send to, and where its submissions must arrive."""

    form: str
    submit_url: str
    spreadsheet_id: str
    worksheet: str


@dataclass
class Result:
    """What the clients saw. seconds: the time of each answer, of any status."""

    accepted: dict[str, list[str]] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    elapsed: float = 0.0


@dataclass(frozen=True)
class Run:
    """`rows`: of the table. `good`: everything was accepted, and arrived as promised."""

    rows: dict[str, str]
    good: bool


def students(seed: int) -> Iterator[dict[str, str]]:
    """Students without end, the same ones for the same seed."""
    fake = Faker("en_IN")
    fake.seed_instance(seed)
    chance = random.Random(seed)
    universities = [f"{fake.city()} {kind}" for kind in ("University", "College", "Institute") for _ in range(10)]
    names = [fake.name() for _ in range(500)]
    technologies = ("Python", "Go", "Rust", "Kafka", "Django", "React", "PostgreSQL", "Kubernetes", "Java", "C++")
    while True:
        name = chance.choice(names)
        roll = chance.randrange(10_000, 99_999)
        yield {
            "name": name,
            "roll": str(roll),
            "email": f"{re.sub('[^a-z]', '', name.split()[-1].lower())}.{roll}@example.org",
            "university": chance.choice(universities),
            "cgpa": f"{chance.uniform(4, 10):.2f}",
            "tech": ", ".join(chance.sample(technologies, 3)),
            "gender": chance.choice("FMX"),
            "age": str(chance.randrange(17, 40)),
            "mobile": f"9{chance.randrange(10**8, 10**9)}",
        }


async def user(
    session: aiohttp.ClientSession,
    target: Target,
    bodies: list[dict[str, str]],
    result: Result,
    tick: Callable[[], None],
) -> None:
    """Send one after the other, each as soon as the one before is answered."""
    for body in bodies:
        started = time.perf_counter()
        try:
            async with session.post(target.submit_url, json=body) as answer:
                content = await answer.json(content_type=None)
            if answer.status == 202:
                result.accepted[target.form].append(content["id"])
            else:
                result.refusals[f"{answer.status} {content.get('code', '')}"] += 1
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:  # the last: an answer that is no JSON
            result.refusals[type(error).__name__] += 1
        result.seconds.append(time.perf_counter() - started)
        tick()


async def send(targets: list[Target], users: int, requests: int, seed: int, tick: Callable[[], None]) -> Result:
    people = students(seed)
    work = [[next(people) for _ in range(requests)] for _ in range(users)]
    result = Result(accepted={target.form: [] for target in targets})
    connector = aiohttp.TCPConnector(limit=users, keepalive_timeout=60)
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        started = time.perf_counter()
        await asyncio.gather(
            *(user(session, targets[index % len(targets)], work[index], result, tick) for index in range(users))
        )
        result.elapsed = time.perf_counter() - started
    return result


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def rows(result: Result, arrived: travelled.Arrival) -> dict[str, str]:
    """What the table says of one run."""
    accepted = sum(len(ids) for ids in result.accepted.values())
    errors = sum(result.refusals.values())
    return {
        "accepted": f"{accepted:,}",
        "errors": f"{errors:,}" + (f"  {dict(result.refusals)}" if errors else ""),
        "accepted per second": f"{accepted / result.elapsed:,.0f}",
        "mean": f"{statistics.fmean(result.seconds) * 1000:,.0f} ms",
        **{f"p{round(share * 100)}": f"{percentile(result.seconds, share) * 1000:,.0f} ms" for share in SHARES},
        "last in the archive after": f"{arrived.archive_seconds:,.1f} s",
        "last in the Sheets after": f"{arrived.sheet_seconds:,.1f} s",
        "archive: missing / double / out of order": arrived.archive.summary(),
        "Sheets: missing / double / out of order": arrived.sheets.summary(),
    }


def table(title: str, runs: dict[str, Run]) -> Table:
    """A column for each run."""
    made = Table(title=title, title_justify="left")
    made.add_column(no_wrap=True)
    for name in runs:
        made.add_column(name, justify="right")
    columns = [run.rows for run in runs.values()]
    for name in columns[0]:
        made.add_row(name, *(column[name] for column in columns))
    return made


def run(console: Console, demo: dict[str, Any], targets: list[Target], options: argparse.Namespace) -> Run:
    """Send, wait for what was accepted, compare."""
    total = options.users * options.requests
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        sending = progress.add_task("sending", total=total)
        result = asyncio.run(
            send(targets, options.users, options.requests, options.seed, lambda: progress.advance(sending))
        )
        accepted = sum(len(ids) for ids in result.accepted.values())
        archive = progress.add_task("archive", total=accepted)
        in_sheets = progress.add_task("Sheets", total=accepted)
        arrived = travelled.wait(
            demo,
            {target.form: (target.spreadsheet_id, target.worksheet) for target in targets},
            result.accepted,
            patience=options.patience,
            archived=lambda count: progress.update(archive, completed=count),
            in_sheets=lambda count: progress.update(in_sheets, completed=count),
        )
    return Run(rows(result, arrived), good=accepted == total and arrived.good)


def one_form(demo: dict[str, Any]) -> list[Target]:
    sheet = demo["sheets"]
    return [Target(demo["form"], demo["submit_url"], sheet["spreadsheet_id"], sheet["worksheet"])]


def many_forms(demo: dict[str, Any], folder: Path, count: int) -> list[Target]:
    """Forms like the demo's, each with a spreadsheet of its own; a further run finds them again."""
    spreadsheets, output = folder / "load-spreadsheets.json", folder / "load-forms.json"
    spreadsheets.write_text(json.dumps(sheets.spreadsheets(demo, count)))
    manage(
        folder, "setup_load", "--web", demo["web"], "--spreadsheets", str(spreadsheets), "--output", str(output)
    )  # fmt: skip
    return [Target(**entry) for entry in json.loads(output.read_text())]


def running(path: Path) -> dict[str, Any]:
    """The demo's description. Raises ServiceError if none runs."""
    try:
        demo: dict[str, Any] = json.loads(path.read_text())
        with urllib.request.urlopen(f"{demo['web']}/readyz", timeout=10):  # noqa: S310 - the demo's own address
            return demo
    except FileNotFoundError:
        raise ServiceError(f"{path} is missing: start the demo first with `make demo`.") from None
    except OSError as error:
        raise ServiceError(f"The demo of {path} does not answer ({error}): start it with `make demo`.") from None


def every_run(console: Console, options: argparse.Namespace) -> bool:
    """Whether every promise was kept. Raises ServiceError."""
    demo = running(options.demo)
    runs: dict[str, Run] = {}
    for count in options.forms:
        name = "1 form" if count == 1 else f"{count} forms"
        console.print(f"[bold]{name}[/]", highlight=False)
        with console.status("Setting up"):
            targets = one_form(demo) if count == 1 else many_forms(demo, options.demo.parent, count)
        runs[name] = run(console, demo, targets, options)
    console.print(table(f"{options.users:,} users x {options.requests} submissions", runs))
    return all(each.good for each in runs.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, default=FOLDER / "demo.json", help="the running demo's description")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=5, help="submissions each user sends, one after the other")
    parser.add_argument("--forms", type=int, nargs="+", default=[1, 50], help="one run for each number of forms")
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait for everything to arrive")
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    console = Console()
    allow_many_files()
    ask_loopback_directly()
    try:
        good = every_run(console, options)
    except ServiceError as error:
        console.print(Text(str(error), "red"), soft_wrap=True)
        return 2
    console.print("[green]Every promise kept.[/]" if good else "[red]A promise was broken: see the table.[/]")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
