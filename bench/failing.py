"""Whether a third of all destinations, failing in every way, troubles the others: actions of all kinds on many forms.

`python -m bench.failing` (or `make bench-failing`). Two demos in turn, each in a folder of its own, with the same
forms, actions and load: in the first all is well, in the second every third destination hangs, resets, refuses, answers
late or with nonsense, is gone, or is told by the mail server to come again. What counts is how long the others'
deliveries take, beside the first run. Then all trouble ends, and every submission has to arrive at every action: once
in a Sheet, at least once elsewhere.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console

from bench import sheets
from bench.destinations import FAILURES, OK
from bench.measure import RESULTS, Column, Figures, Runs, machine, picture, show
from bench.pipeline import FOR_EACH_ACTION, demo, steadily
from deploy.local.manage import environment_of, manage
from deploy.local.process import ServiceError, answers, free_port
from deploy.local.roles import ROOT

EVERY = 3  # of so many destinations one fails
SHEET_FAULTS = ("reject", "hang", "lose_answer", "drop", "html", "late")
PATIENCE_SECONDS = 240
CHATS = ("slack", "discord", "teams", "chat")
LETTER = {"subject": "Received", "text": "Received: {{ id }}"}
SECRET = "whsec_YmVuY2gtb25seS1iZW5jaC1vbmx5LWJlbmNoLW9ubHk="  # noqa: S105 - signs what nobody checks
# Neither Google's quotas nor the caps of mails: this is about one destination's trouble and another's.
LIMITS = {
    "SHEETS_QUOTA_PER_ACCOUNT": "6000",
    "SHEETS_QUOTA_PER_PROJECT": "6000",
    "EMAIL_HOST": "127.0.0.1",
    "EMAIL_USE_TLS": "false",
    "MAIL_CONFIRMATIONS_PER_RECIPIENT_HOUR": "1000000",
    "MAIL_CONFIRMATIONS_PER_RECIPIENT_DAY": "1000000",
    "MAIL_PER_ORGANIZATION_HOUR": "1000000",
    "MAIL_PER_ORGANIZATION_DAY": "1000000",
}
_chats = count(1001)
COLUMNS = (
    Column("deliveries", "deliveries"),
    Column("p50", "p50 s, all well", "{:,.2f}"),
    Column("p50 troubled", "a third fails", "{:,.2f}"),
    Column("p95", "p95 s, all well", "{:,.2f}"),
    Column("p95 troubled", "a third fails", "{:,.2f}"),
    Column("ratio", "p95 beside all well", "{:,.2f}"),
)
# Those of actions that are well, by kind: from accept to delivery.
_TOOK = """
SELECT a.kind,
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM b.finished_at - s.accepted_at)),
    count(*)
FROM sinks_batchitem i JOIN sinks_batch b ON b.id = i.batch_id AND b.state = 'delivered'
JOIN sinks_binding a ON a.id = i.binding_id JOIN archive_submission s ON s.id = i.submission_id
WHERE a.id = ANY(%s) GROUP BY a.kind ORDER BY a.kind
"""
_ARRIVED = """
SELECT i.binding_id, count(DISTINCT i.submission_id) FROM sinks_batchitem i
JOIN sinks_batch b ON b.id = i.batch_id AND b.state = 'delivered' GROUP BY i.binding_id
"""


@dataclass(frozen=True)
class Wanted:
    """An action to be made. chosen: to be one of those whose destination fails; failure: how it does, in this run."""

    kind: str
    settings: Mapping[str, Any]
    chosen: bool = False
    failure: str = OK


@dataclass(frozen=True)
class Places:
    """Where the web service and the mail server of a run listen."""

    http: int
    mail: int

    def url(self, failure: str, number: int) -> str:
        return f"http://127.0.0.1:{self.http}/{failure}/{number}"

    def place(self, settings: Mapping[str, Any]) -> str:
        """Under which name the destinations tell what arrived there; empty where many share one."""
        return str(settings.get("recipients") or settings.get("url", "").partition(str(self.http))[2])

    def ask(self, what: str, method: str = "GET") -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}/{what}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own address
            found: bytes = answer.read()
        return found


@contextmanager
def destinations() -> Iterator[Places]:
    found = Places(free_port(), free_port())
    process = subprocess.Popen([sys.executable, "-m", "bench.destinations", str(found.http), str(found.mail)], cwd=ROOT)
    try:
        _until(lambda: answers(found.http), 30, "the destinations answer")
        yield found
    finally:
        process.terminate()
        process.wait(30)


def wanted(places: Places, spreadsheets: Sequence[str], failing: bool) -> list[list[Wanted]]:
    """Four actions a form, so that all kinds have their turn; every third of a sort fails, each in the next way."""
    ways = {name: cycle(found) for name, found in (("http", FAILURES), ("mail", ("busy",)), ("sheets", SHEET_FAULTS))}

    def action(kind: str, of: str, number: int, settings: Callable[[str], Mapping[str, Any]]) -> Wanted:
        chosen = number % EVERY == 0
        failure = next(ways[of]) if failing and chosen else OK
        return Wanted(kind, settings(failure), chosen, failure)

    def address(failure: str) -> dict[str, str]:
        return {
            "url": places.url(failure, next(numbers)),
            "text": "{{ id }}",
            "member": "text",
            "secret": SECRET,
            "version": "1",
        }

    numbers = count()
    chats = cycle([*CHATS, "telegram"])
    found = []
    for number, spreadsheet in enumerate(spreadsheets):
        sheet = {"spreadsheet": spreadsheet, "worksheet": "Data"}
        found.append(
            [
                # Shifted by sort: no form has only actions that fail.
                action("google_sheets", "sheets", number, _always(sheet)),
                action("webhook", "http", number + 1, address),
                _mail(number) if number % 2 else action("email_notification", "mail", number // 2 + 2, _team(number)),
                _telegram() if (chat := next(chats)) == "telegram" else action(chat, "http", number + 2, address),
            ]
        )
    return found


def _always(settings: Mapping[str, Any]) -> Callable[[str], Mapping[str, Any]]:
    return lambda failure: settings


def _team(number: int) -> Callable[[str], Mapping[str, Any]]:
    return lambda failure: {**LETTER, "recipients": f"{failure}-{number}@example.org"}


def _mail(number: int) -> Wanted:
    """To whoever submits: there is one such destination for all, which does not fail."""
    return Wanted("email_confirmation", {**LETTER, "address_field": "email"})


def _telegram() -> Wanted:
    """All at one address, which does not fail."""
    return Wanted("telegram", {"text": "{{ id }}", "token": f"12345:{'x' * 30}", "chat": f"-{next(_chats)}"})


def make(running: Mapping[str, Any], actions: Sequence[Sequence[Wanted]]) -> list[dict[str, Any]]:
    """Forms with these actions; for each its public id and its actions' ids, in order."""
    forms = [
        [{"kind": each.kind, "settings": each.settings, "name": f"{each.kind} {each.failure}"} for each in of_form]
        for of_form in actions
    ]
    folder: Path = running["folder"]
    (folder / "job.json").write_text(json.dumps({"forms": forms}))
    command = [sys.executable, "-m", "bench.actions", str(folder / "job.json")]
    done = subprocess.run(
        command, cwd=ROOT, env=environment_of(folder), stdout=subprocess.PIPE, text=True, timeout=300, check=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def run(console: Console, options: argparse.Namespace, failing: bool) -> dict[str, Figures]:
    """By kind how long deliveries took at the actions that are well in both runs. Raises ServiceError for a loss."""
    with destinations() as places:
        where = {"TELEGRAM_API_URL": places.url(OK, 0), "EMAIL_PORT": str(places.mail)}
        with (
            demo(console, **LIMITS, **where) as running,
            psycopg.connect(running["postgres"], autocommit=True) as connection,
        ):
            sheets.control(running["sheets"]["url"], "quota", scale=100)
            actions = wanted(places, sheets.spreadsheets(running, options.forms), failing)
            made = make(running, actions)
            _break_sheets(running, actions)
            owed = _submit(console, options, running, made)
            well = _those_that_are_well(made, actions)
            with console.status("Waiting for the deliveries of those that are well"):
                _arrive(connection, {id: owed[id] for id in well})
            rows = connection.execute(_TOOK, [well]).fetchall()
            started = time.monotonic()
            _heal(running, places)
            with console.status("Waiting for those that recover"):
                _arrive(connection, owed)
            console.print(
                f"{sum(owed.values()):,} deliveries done, {time.monotonic() - started:.0f} s after all trouble"
            )
            _compare(connection, running, places, made, actions)
    return {kind: {"p50": took[0], "p95": took[1], "deliveries": count} for kind, took, count in rows}


def _submit(
    console: Console, options: argparse.Namespace, running: Mapping[str, Any], made: Sequence[Mapping[str, Any]]
) -> dict[int, int]:
    """Send to the forms in turn; how many submissions each action owes then. Raises ServiceError."""
    targets = [{"submit_url": f"{running['web']}/api/v1/forms/{form['form']}/submissions"} for form in made]
    with console.status(f"Sending {options.rate} submissions/s for {options.seconds} s"):
        failures = asyncio.run(steadily(targets, options.rate, options.seconds))
    if failures:
        raise ServiceError(f"{failures} submissions were not accepted.")
    sent = Counter(number % len(made) for number in range(options.rate * options.seconds))
    return {id: sent[number] for number, form in enumerate(made) for id in form["actions"]}


def _those_that_are_well(made: Sequence[Mapping[str, Any]], actions: Sequence[Sequence[Wanted]]) -> list[int]:
    """Those that fail in no run."""
    return [
        id
        for form, of_form in zip(made, actions, strict=True)
        for id, action in zip(form["actions"], of_form, strict=True)
        if not action.chosen
    ]


def _break_sheets(running: Mapping[str, Any], actions: Sequence[Sequence[Wanted]]) -> None:
    for sheet, *_ in actions:
        if sheet.failure != OK:
            call = {"method": "spreadsheets.batchUpdate", "path": sheet.settings["spreadsheet"]}
            given: dict[str, Any] = {**call, "faults": [sheet.failure], "times": 200, "hang_seconds": 15}
            sheets.control(running["sheets"]["url"], "faults", **given)


def _heal(running: Mapping[str, Any], places: Places) -> None:
    """All trouble ends, and owners who have read why their actions are paused resume them; so nobody waits for the next
    try either.
    """
    places.ask("heal", "POST")
    sheets.control(running["sheets"]["url"], "faults", "DELETE")
    for verb in ("pause", "resume"):
        manage(running["folder"], "shell", "-v", "0", "-c", FOR_EACH_ACTION.format(verb=verb))


def _arrive(connection: psycopg.Connection[Any], owed: Mapping[int, int]) -> None:
    """Wait until so many are delivered at each action. Raises ServiceError when patience ends."""

    def missing() -> dict[int, int]:
        found = dict(connection.execute(_ARRIVED).fetchall())
        return {id: count - found.get(id, 0) for id, count in owed.items() if found.get(id, 0) < count}

    _until(lambda: not missing(), PATIENCE_SECONDS, lambda: f"all is delivered; missing by action: {missing()}")


def _compare(
    connection: psycopg.Connection[Any],
    running: Mapping[str, Any],
    places: Places,
    made: Sequence[Mapping[str, Any]],
    actions: Sequence[Sequence[Wanted]],
) -> None:
    """What lies at the destinations themselves, whatever the ledger says. Raises ServiceError."""
    taken = json.loads(places.ask("taken"))
    client = sheets.reader(running)
    for form, of_form in zip(made, actions, strict=True):
        ids = [
            str(id)
            for (id,) in connection.execute(
                "SELECT s.id FROM archive_submission s JOIN forms_form f ON f.id = s.form_id"
                " WHERE f.public_id = %s ORDER BY s.position",
                [form["form"]],
            )
        ]
        sheet, *others = (each.settings for each in of_form)
        if sheets.submission_ids(client, sheet["spreadsheet"], sheet["worksheet"]) != ids:
            raise ServiceError(f"The Sheet of form {form['form']} is not as the archive.")
        for place in filter(None, map(places.place, others)):
            if missing := set(ids) - set(taken.get(place, {})):
                raise ServiceError(f"{place} lacks {len(missing)} of {len(ids)} submissions.")


def _until(done: Any, seconds: float, what: Any) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise ServiceError(f"Not within {seconds:.0f} s: {what() if callable(what) else what}.")
        time.sleep(0.5)


def _beside(well: Figures, troubled: Figures) -> Figures:
    others = {f"{name} troubled": troubled[name] for name in ("p50", "p95")}
    return {**well, **others, "ratio": troubled["p95"] / well["p95"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forms", type=int, default=50, help="forms, with four actions each")
    parser.add_argument("--rate", type=int, default=5, help="submissions a second over all forms")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    console = Console()
    console.print(machine())
    try:
        well, troubled = (run(console, options, failing) for failing in (False, True))
    except ServiceError as error:
        console.print(f"[red]{error}[/]")
        return 1
    title = f"{options.rate} submissions/s over {options.forms} forms: actions whose destination is well"
    runs: Runs = {kind: [_beside(well[kind], troubled[kind])] for kind in well}
    show(console, title, runs, COLUMNS)
    picture(RESULTS / "failing.png", title, runs, COLUMNS[-1])
    console.print("Each submission arrived: once in its Sheet and in order, at least once elsewhere.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
