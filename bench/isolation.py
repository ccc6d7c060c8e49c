"""Whether one form troubles another: a dead destination beside nine that live, and a thousand active forms beside ten.

`python -m bench.isolation` (or `make bench-isolation`). Variants in turn, each in a process of its own, on real
Postgres, Valkey and Kafka: the log is filled, and the product's consumers and flushes carry it to destinations that
take 50 ms a call and keep nothing.

- dead: ten forms with a destination each, all well; and the same with one whose calls hang for 5 s and then fail. What
  counts is the rate of the other nine
- forms: as many submissions over 10 forms and over 1,000, through archive, routing and flush; and the memory of each
  further form
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.installation import Installation, installation
from bench.measure import RESULTS, Column, Figures, Runs, Variant, interleave, machine, median, picture, show

DESTINATIONS = 10
NINE = (Column("nine", "rows/s into the other nine", share=True),)
FORMS = (
    Column("rate", "rows/s in all", share=True),
    Column("archive", "archive rows/s"),
    Column("route", "routing rows/s"),
    Column("flush", "flush rows/s"),
    Column("calls", "calls/s"),
    Column("memory", "MB more", "{:,.1f}"),
)


def carry(made: Installation, forms: Sequence[dict[str, Any]], rows: int, dead: int = 0) -> Figures:
    path: Path = made.folder / "forms.json"
    path.write_text(json.dumps(list(forms)))
    found: Figures = json.loads(made.python("-m", "bench.carry", str(path), str(rows), "--dead", str(dead)))
    return found


def nine(made: Installation, forms: Sequence[dict[str, Any]], rows: int) -> list[Variant]:
    """The same nine in both: without the tenth there would be less to do."""

    def run(dead: int) -> Figures:
        living = DESTINATIONS - dead
        return {"nine": carry(made, forms, rows, dead)["flush"] * (DESTINATIONS - 1) / living}

    def variant(name: str, dead: int) -> Variant:
        return Variant(name, lambda: run(dead))

    return [variant("ten that live", 0), variant("one of ten is dead", 1)]


def many(made: Installation, forms: Sequence[dict[str, Any]], counts: Sequence[int], rows: int) -> list[Variant]:
    def variant(count: int) -> Variant:
        return Variant(f"{count:,} forms", lambda: carry(made, forms[:count], rows // count * count))

    return [variant(count) for count in counts]


def per_form(runs: Runs, counts: Sequence[int]) -> float:
    """KB that each form beyond the fewest costs, by the medians."""
    least, most = (median(runs[f"{count:,} forms"], "memory") for count in (counts[0], counts[-1]))
    return 1024 * (most - least) / (counts[-1] - counts[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["dead", "forms"], help="one of the two measurements")
    parser.add_argument("--rows", type=int, default=100_000, help="submissions in each run")
    parser.add_argument("--forms", type=int, nargs=2, default=[10, 1000], metavar=("FEW", "MANY"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    console = Console()
    console.print(machine())
    with installation(console.print, LOG_LEVEL="ERROR") as made:
        with console.status(f"Making {max(options.forms):,} forms"):
            forms = made.forms(DESTINATIONS if options.only == "dead" else max(DESTINATIONS, *options.forms))
        if options.only != "forms":
            found = nine(made, forms[:DESTINATIONS], options.rows)
            runs = interleave(found, options.rounds, console)
            title = f"{options.rows:,} rows into {DESTINATIONS} destinations"
            show(console, title, runs, NINE, found[0].name)
            picture(RESULTS / "isolation-dead.png", title, runs, NINE[0], found[0].name)
        if options.only != "dead":
            found = many(made, forms, options.forms, options.rows)
            runs = interleave(found, options.rounds, console)
            title = f"{options.rows:,} rows over few forms and over many"
            show(console, title, runs, FORMS, found[0].name)
            picture(RESULTS / "isolation-forms.png", title, runs, FORMS[0], found[0].name)
            console.print(f"Each further form: {per_form(runs, options.forms):,.1f} KB of memory")
    console.print(f"Pictures in {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
