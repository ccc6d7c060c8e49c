"""`python -m bench.drain JOB`: empties an archive that was filled beforehand into Sheets; figures as JSON.

JOB is a file: forms with a spreadsheet each, how many rows, how many accounts, how fast the emulator's clock runs. A
process of its own, because the accounts that write are settings.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import django

from bench.carry import clear, deliver, read_from_here

BATCH = 2000


def prepare(job: Mapping[str, Any]) -> None:
    """An action on its spreadsheet for each form, and everything that they will owe in the archive."""
    from django.db import transaction
    from django.db.models.functions import Now

    from apps.archive import writer
    from apps.console import samples
    from apps.forms.models import Form
    from apps.sinks.models import Destination

    clear()
    read_from_here()
    forms = [Form.objects.get(pk=form["id"]) for form in job["forms"]]
    bindings = [
        samples.sheet_action(form, given["spreadsheet"]) for form, given in zip(forms, job["forms"], strict=True)
    ]
    read_from_here(job["rows"])  # only what lies before the archive's place in the log is delivered
    made = rows(bindings, job["rows"])
    while some := list(islice(made, BATCH)):
        with transaction.atomic():
            writer.write(some)
    Destination.objects.update(next_attempt_at=Now())  # nothing came through the log, so no hint lies in the buffer


def rows(bindings: Sequence[Any], count: int) -> Iterator[Any]:
    """Submissions for one action after the other, each at a place that its action owes."""
    from apps.archive.writer import Row
    from bench.load import students
    from formhub.core.ids import uuid7

    people = students(19)
    for number in range(count):
        binding = bindings[number % len(bindings)]
        yield Row(
            organization=binding.organization_id, form=binding.form_id, id=uuid7(), version=1,
            position=binding.since + 1 + number, accepted_at=datetime.now(UTC), late=False, answers=dict(next(people)),
            meta={}, source=0,
        )  # fmt: skip


def figures(job: Mapping[str, Any]) -> dict[str, float]:
    """Rows in a minute of the emulator once the calls that may be made at once are made."""
    from apps.sinks.models import Batch, BatchState
    from apps.sinks.rates import bucket
    from apps.sinks.registry import registry

    rates = {rate.name: rate for rate in registry.get("google_sheets").policy.rates}
    at_once = min(job["accounts"] * bucket(rates["write"]), bucket(rates["write_project"]))
    found = list(Batch.objects.filter(state=BatchState.DELIVERED).order_by("finished_at"))
    ends: list[Any] = [batch.finished_at for batch in found]
    sizes = [batch.size for batch in found]
    assert len(found) > at_once, "so few calls are made at once: give more rows"
    minutes = (ends[-1] - ends[at_once - 1]).total_seconds() * job["speed"] / 60
    return {"rate": sum(sizes[at_once:]) / minutes, "calls": len(found)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path)
    options = parser.parse_args()
    django.setup()
    from apps.sinks.registry import registry

    job = json.loads(options.job.read_text())
    prepare(job)
    deliver(job["rows"], registry.get)
    print(json.dumps(figures(job)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
