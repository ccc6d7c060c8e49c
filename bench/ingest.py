"""Durable ingest: how many submissions a second one web process accepts, each answered after the broker's receipt.

`python -m bench.ingest` (or `make bench-ingest`). The variants take turns: the bare floor (RSGI and group commit, no
product) and the whole product path (DRF, throttle, idempotency, validation, metrics) on WSGI threads. A real broker
flushes every record; broker, database, server and load share the machine. Load by wrk (Debian package `wrk`), with
an idempotency key and other answers in each request. Afterwards the log must hold every submission that was answered
202.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import urlencode

from rich.console import Console

from bench.installation import Installation, cpu_seconds, granian, installation
from bench.load import students
from bench.measure import RESULTS, Column, Figures, Variant, interleave, machine, picture, show
from deploy.local.process import free_port

WRK_SCRIPT = Path(__file__).parent / "ingest.lua"
BODIES = 2000
WARM_SECONDS = 2
COLUMNS = (
    Column("rate", "requests/s", share=True),
    Column("p50", "p50 ms", "{:,.1f}"),
    Column("p99", "p99 ms", "{:,.0f}"),
    Column("server", "server us/request"),
    Column("broker", "broker us/request"),
    Column("errors", "errors"),
)


@dataclass(frozen=True)
class Load:
    connections: int
    seconds: int
    encoding: str


class LostError(Exception):
    """The log holds fewer submissions than were answered 202."""


def paths_of_floor(count: int) -> list[str]:
    return [f"/{number}" for number in range(count)]


def paths_of_product(forms: Sequence[dict[str, str]]) -> list[str]:
    return [f"/api/v1/forms/{form['public_id']}/submissions" for form in forms]


def write_load(folder: Path, paths: Sequence[str], encoding: str) -> tuple[Path, Path]:
    """The files that wrk's script reads: one path, one body a line."""
    people = list(islice(students(7), BODIES))
    bodies = [json.dumps(each) if encoding == "json" else urlencode(each) for each in people]
    (folder / "paths").write_text("\n".join(paths) + "\n")
    (folder / "bodies").write_text("\n".join(bodies) + "\n")
    return folder / "paths", folder / "bodies"


def wrk(folder: Path, port: int, load: Load, seconds: int) -> Figures:
    """Raises CalledProcessError."""
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "15s", "-s", str(WRK_SCRIPT)]
    kind = "application/json" if load.encoding == "json" else "application/x-www-form-urlencoded"
    env = {**os.environ, "LOAD_FOLDER": str(folder), "LOAD_KIND": kind, "LOAD_RUN": str(time.time_ns())}
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}"],
        env=env,
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=True,
    )
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(made: Installation, name: str, command: list[str], port: int, paths: Sequence[str], load: Load) -> Figures:
    """Start the server, warm it, load it, end it. Raises LostError."""
    write_load(made.folder, paths, load.encoding)
    server = made.start(name, command, port)
    try:
        wrk(made.folder, port, load, WARM_SECONDS)
        before, broker = cpu_seconds(server.pid), made.broker()
        broker_before, records = cpu_seconds(broker), made.log_end()
        found = wrk(made.folder, port, load, load.seconds)
        accepted = max(1.0, found["accepted"])
        time.sleep(0.5)  # answers that wrk did not wait for
        if made.log_end() - records < found["accepted"]:
            raise LostError(f"{name}: {found['accepted']:.0f} answers 202, {made.log_end() - records} records")
        return {
            "rate": found["accepted"] / found["seconds"],
            "p50": found["p50"],
            "p99": found["p99"],
            "server": 1e6 * (cpu_seconds(server.pid) - before) / accepted,
            "broker": 1e6 * (cpu_seconds(broker) - broker_before) / accepted,
            "errors": found["errors"],
        }
    finally:
        server.stop()


def variants(made: Installation, forms: Sequence[dict[str, str]], load: Load, threads: Sequence[int]) -> list[Variant]:
    def floor() -> Figures:
        port = free_port()
        command = granian("rsgi", "bench.floor:app", port, workers=1)
        return measured(made, "floor", command, port, paths_of_floor(len(forms)), load)

    def rsgi() -> Figures:
        port = free_port()
        command = granian("rsgi", "formhub.rsgi:application", port, workers=1)
        return measured(made, "rsgi", command, port, paths_of_product(forms), load)

    def wsgi(blocking: int) -> Figures:
        port = free_port()
        command = granian("wsgi", "formhub.wsgi:application", port, workers=1, blocking_threads=blocking)
        return measured(made, f"wsgi-{blocking}", command, port, paths_of_product(forms), load)

    def on(blocking: int) -> Variant:
        return Variant(f"product, WSGI, {blocking} threads", lambda: wsgi(blocking))

    return [
        Variant("floor: RSGI + group commit", floor),
        Variant("product, RSGI", rsgi),
        *(on(blocking) for blocking in threads),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, nargs="*", default=[4, 64, 256])
    parser.add_argument("--forms", type=int, nargs="*", default=[1, 50])
    parser.add_argument("--threads", type=int, nargs="*", default=[32], help="Granian's blocking threads")
    parser.add_argument("--encoding", nargs="*", choices=["json", "form"], default=["json", "form"])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    console = Console()
    if shutil.which("wrk") is None:
        console.print("[red]wrk is missing:[/] apt-get install wrk")
        return 2
    console.print(machine())
    with installation(console.print) as made:
        everything = made.forms(max(options.forms))
        for encoding in options.encoding:
            for count in options.forms:
                for connections in options.connections:
                    load = Load(connections, options.seconds, encoding)
                    found = variants(made, everything[:count], load, options.threads)
                    runs = interleave(found, options.rounds, console)
                    title = f"{connections} connections, {count} form{'s'[: count - 1]}, {encoding}"
                    show(console, title, runs, COLUMNS, found[0].name)
                    name = f"ingest-{encoding}-{count}-{connections}.png"
                    picture(RESULTS / name, f"Durable ingest: {title}", runs, COLUMNS[0], found[0].name)
    console.print(f"Pictures in {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
