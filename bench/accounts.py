"""How many rows a minute reach Google Sheets, with one service account and with five of one project.

`python -m bench.accounts` (or `make bench-sheets`). The emulator holds to Google's true quotas: 60 writes a minute for
an account, 300 for a project, of which FormHub uses four fifths. The archive is filled beforehand, so that the calls to
Sheets alone decide. Afterwards one Sheet is read and compared with the archive, row by row.

Five accounts write 4,000 rows a second, and the emulator that checks them shares this machine. So its clock may run
slower (--speed), and the limits of FormHub with it: the figures are rows in a minute of that clock.
"""

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console

from bench import sheets
from bench.installation import Installation, installation
from bench.measure import RESULTS, Column, Figures, Variant, interleave, machine, picture, show
from deploy.local.process import Process, ServiceError, free_port

PER_ACCOUNT, PER_PROJECT = 60, 300  # Google's quotas, writes a minute
ROWS_A_CALL = 1000
WORKSHEET = "Submissions"
COLUMNS = (
    Column("rate", "rows/minute"),
    Column("allowed", "allowed"),
    Column("part", "of the allowed", "{:.2f}"),
    Column("calls", "calls"),
)
_IN_ORDER = "SELECT id FROM archive_submission WHERE form_id = %s ORDER BY position"
_runs = count(1)


@dataclasses.dataclass(frozen=True)
class Emulator:
    """`described`: where it is, and its accounts, as a reader is told."""

    port: int
    data: Path
    process: Process

    @property
    def described(self) -> Mapping[str, Any]:
        return {"sheets": json.loads((self.data / "emulator.json").read_text())}

    def ask(self, what: str, **given: Any) -> dict[str, Any]:
        """Of its control interface."""
        return sheets.control(f"http://127.0.0.1:{self.port}", what, **given)


def start(made: Installation, speed: float) -> Emulator:
    port, data = free_port(), made.folder / "sheets"
    where = ["--port", str(port), "--data", str(data), "--speed", str(speed), "--create"]
    return Emulator(port, data, made.start("sheets", [sys.executable, "-m", "sheets_emulator", *where], port))


def accounts(emulator: Emulator, folder: Path, count: int) -> list[str]:
    """New ones of a new project, which have spent nothing: their addresses. The keys are in the folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    project = f"formhub-{next(_runs)}"
    found = []
    for number in range(count):
        email = f"writer-{number}@{project}.iam.gserviceaccount.com"
        (folder / f"{number}.json").write_text(json.dumps(emulator.ask("accounts", email=email, project=project)))
        found.append(email)
    return found


def run(
    made: Installation, emulator: Emulator, forms: Sequence[Mapping[str, str]], speed: float, writers: int, rows: int
) -> Figures:
    """Raises ServiceError if the Sheet that is looked at is not as the archive."""
    keys = made.folder / "accounts"
    found = accounts(emulator, keys, writers)  # once it answers, it has described itself
    reader = json.loads(Path(emulator.described["sheets"]["reader_service_account_file"]).read_text())["client_email"]
    roles = dict.fromkeys(found, "writer") | {reader: "reader"}
    given = [{**form, "spreadsheet": emulator.ask("spreadsheets", title="Bench", roles=roles)["id"]} for form in forms]
    job = made.folder / "job.json"
    job.write_text(json.dumps({"forms": given, "rows": rows, "accounts": writers, "speed": speed}))
    limits = {
        "SHEETS_BASE_URL": f"http://127.0.0.1:{emulator.port}",
        "SHEETS_SERVICE_ACCOUNT_FILE": str(keys),
        "SHEETS_QUOTA_PER_ACCOUNT": str(round(PER_ACCOUNT * speed)),
        "SHEETS_QUOTA_PER_PROJECT": str(round(PER_PROJECT * speed)),
    }
    process = dataclasses.replace(made, environment={**made.environment, **limits})
    figures: dict[str, float] = json.loads(process.python("-m", "bench.drain", str(job)))
    compare(made, emulator, given[0])
    allowed = ROWS_A_CALL * min(writers * PER_ACCOUNT, PER_PROJECT) * 4 / 5
    return {**figures, "allowed": allowed, "part": figures["rate"] / allowed}


def compare(made: Installation, emulator: Emulator, form: Mapping[str, str]) -> None:
    """Raises ServiceError."""
    with psycopg.connect(made.environment["DATABASE_URL"]) as connection:
        archived = [str(id) for (id,) in connection.execute(_IN_ORDER, [form["id"]]).fetchall()]
    written = sheets.submission_ids(sheets.reader(emulator.described), form["spreadsheet"], WORKSHEET)
    if written != archived:
        raise ServiceError(f"A Sheet's {len(written)} rows are not the {len(archived)} of the archive.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, nargs="*", default=[1, 5])
    parser.add_argument("--calls", type=int, default=30, help="of 1,000 rows, for each account")
    parser.add_argument("--speed", type=float, default=0.5, help="how many seconds of the emulator pass in one")
    parser.add_argument("--forms", type=int, default=10, help="forms with a Sheet each: a Sheet takes a call a second")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    console = Console()
    console.print(machine())

    def variant(writers: int) -> Variant:
        rows = writers * options.calls * ROWS_A_CALL
        name = f"{writers} accounts of a project" if writers > 1 else "one account"
        return Variant(name, lambda: run(made, emulator, forms, options.speed, writers, rows))

    try:
        with installation(console.print, LOG_LEVEL="ERROR") as made:
            forms = made.forms(options.forms)
            emulator = start(made, options.speed)
            try:
                runs = interleave([variant(writers) for writers in options.accounts], options.rounds, console)
            finally:
                emulator.process.stop()
    except ServiceError as error:
        console.print(f"[red]{error}[/]")
        return 1
    title = f"Rows into {options.forms} Sheets; a minute of the emulator took {60 / options.speed:.0f} s"
    show(console, title, runs, COLUMNS)
    picture(RESULTS / "sheets.png", title, runs, COLUMNS[0])
    console.print(f"One Sheet of each run was read: it is as the archive. Pictures in {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
