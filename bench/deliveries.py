"""The delivery console's queries on a long ledger, each beside a look-up by primary key in the same run.

`python -m bench.deliveries` (or `make bench-deliveries`). A scratch Postgres is filled with `--rows` delivered
submissions (10 million), ten to a delivery, at two actions of a form, one of which shares its destination with
another form's; one in a hundred failed, one delivery in a thousand was refused, and 20,000 submissions wait. Then every
query of the console runs `--runs` times, in turn with the floor. `--explain` prints the plans as well.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.table import Table

from bench.installation import installation
from bench.measure import machine

PER_DELIVERY = 10
CHUNK = 1_000_000
WAITING = 20_000
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
FLOOR = "floor: a delivery by primary key"
Query = Callable[[], object]

# An id as uuid7() makes it of a second: time first, so that ids are in order, then something of its own.
_ID = """(lpad(to_hex(({begun}::bigint + {n}) * 1000), 12, '0') || '7' || substr(md5('{kind}' || {n}), 1, 3) || '8'
         || substr(md5('{kind}' || {n}), 4, 15))::uuid"""
_BATCHES = """
    INSERT INTO sinks_batch (id, organization_id, destination_id, sequence, turn, state, late, account, settings, size,
                             attempts, tries, code, last_error, created_at, offered_at, finished_at)
    SELECT {id}, %(organization)s, CASE WHEN n %% 2 = 0 THEN %(even)s ELSE %(odd)s END, n, lpad(n::text, 20, '0'),
           CASE WHEN n %% 1000 = 0 THEN 'refused' ELSE 'delivered' END, false, '', '{{}}', {size}, 1, '[]',
           CASE WHEN n %% 1000 = 0 THEN 'gave_up' ELSE '' END, '', to_timestamp({begun} + n),
           to_timestamp({begun} + n), to_timestamp({begun} + n + 1)
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
# The second action shares its destination with another form's, which has nine deliveries of ten there.
_ITEMS = """
    INSERT INTO sinks_batchitem (binding_id, submission_id, batch_id, position)
    SELECT CASE WHEN n %% 2 = 0 THEN %(first_action)s WHEN n %% 20 = 1 THEN %(second_action)s
                ELSE %(other_action)s END, {item}, {id}, n * {size} + k
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n, generate_series(0, {size} - 1) AS k
"""
_PARKED = """
    INSERT INTO sinks_parked (organization_id, binding_id, form_id, submission_id, position, batch_id, code, message,
                              attempts, again, parked_at)
    SELECT %(organization)s, %(first_action)s, %(form)s, gen_random_uuid(), n, NULL,
           (ARRAY['gave_up', 'too_long', 'http_422', 'condition', 'outcome_unknown'])[1 + n %% 5], 'No.', 1, false,
           to_timestamp({begun} + n)
    FROM generate_series(1, %(last)s::bigint) AS n
"""
_WAITING = """
    INSERT INTO archive_submission (organization_id, form_id, id, version, position, accepted_at, answers)
    SELECT %(organization)s, %(form)s, gen_random_uuid(), 1, 1000000000000 + n, now(), '{"name": "Ada"}'
    FROM generate_series(1, %(last)s::bigint) AS n
"""


class World:
    """A form with two actions, and another form that shares the second one's destination."""

    def __init__(self) -> None:
        from apps.console import samples
        from apps.sinks.models import Binding, Destination

        organization = samples.organization("Bench", "bench")
        self.form, other = (samples.student_form(organization, slug, slug) for slug in ("bench", "other"))
        self.even, self.odd = (
            Destination.objects.create(organization_id=organization.pk, kind="webhook", key=f"https://{name}.example")
            for name in ("even", "odd")
        )
        self.actions = [
            Binding.objects.create(
                organization=organization,
                form=form,
                destination=destination,
                kind="webhook",
                name=destination.key,
                settled_to=1_000_000_000_000,
            )
            for form, destination in ((self.form, self.even), (self.form, self.odd), (other, self.odd))
        ]

    def fill(self, rows: int, console: Console) -> None:
        from django.db import connection

        deliveries, begun = max(1000, rows // PER_DELIVERY), int(BEGUN.timestamp())
        marks = {"begun": begun, "size": PER_DELIVERY, "id": _ID.format(begun=begun, n="n", kind="batch")}
        marks["item"] = _ID.format(begun=begun, n=f"(n * {PER_DELIVERY} + k)", kind="item")
        first, second, other = (action.pk for action in self.actions)
        values: dict[str, Any] = {
            "organization": self.form.organization_id, "form": self.form.pk, "even": self.even.pk, "odd": self.odd.pk,
            "first_action": first, "second_action": second, "other_action": other,
        }  # fmt: skip
        step = CHUNK // PER_DELIVERY
        with connection.cursor() as cursor:
            for start in range(1, deliveries + 1, step):
                part = {**values, "first": start, "last": min(start + step - 1, deliveries)}
                cursor.execute(_BATCHES.format(**marks), part)
                cursor.execute(_ITEMS.format(**marks), part)
                console.print(f"{part['last'] * PER_DELIVERY:,} submissions in {part['last']:,} deliveries")
            cursor.execute(_PARKED.format(**marks), {**values, "last": max(1000, rows // 100)})
            cursor.execute(_WAITING, {**values, "last": WAITING})
            cursor.execute("VACUUM ANALYZE")
        self.middle = BEGUN + timedelta(seconds=deliveries // 2)

    def queries(self) -> dict[str, Query]:
        from django.utils import timezone

        from apps.sinks import listing, replay, summary, tally
        from apps.sinks.listing import Asked
        from apps.sinks.models import Batch, BatchItem, Parked
        from apps.sinks.queries import carries, contents

        both, shared = self.actions[:2], self.actions[1:2]
        keys = [action.pk for action in both]
        middle = UUID(int=int(self.middle.timestamp() * 1000) << 80)
        batch = Batch.objects.filter(pk__gte=middle, destination=self.even).order_by("pk")[0]
        item = BatchItem.objects.filter(batch=batch)[0]
        page = listing.deliveries

        def one() -> object:
            found = Batch.objects.filter(carries(keys), pk=batch.pk).first()
            return found and contents(found, 100, keys)

        return {
            FLOOR: lambda: Batch.objects.get(pk=batch.pk),
            "overview: every action": lambda: summary.of(self.form.pk),
            "overview: the last day": lambda: tally.last_hours(keys, timezone.now()),
            "list: newest": lambda: page(both, Asked()),
            "list: a page in the middle": lambda: page(both, Asked(), str(middle)),
            "list: of an action, place shared": lambda: page(shared, Asked()),
            "list: refused": lambda: page(both, Asked(state="refused")),
            "list: waiting (none)": lambda: page(both, Asked(state="pending")),
            "list: by error code": lambda: page(both, Asked(code="gave_up")),
            "list: by an unknown code": lambda: page(both, Asked(code="never")),
            "list: before a time": lambda: page(both, Asked(until=self.middle)),
            "list: by submission": lambda: page(both, Asked(submission=item.submission_id)),
            "one delivery": one,
            "failed: newest": lambda: listing.failures(both, Asked()),
            "failed: by error code": lambda: listing.failures(both, Asked(code="too_long")),
            "failed: before a time": lambda: listing.failures(both, Asked(until=self.middle)),
            "replay: how many": lambda: summary.counted(replay.failed(Parked.objects.filter(binding__in=keys))),
        }


@contextmanager
def explained(console: Console, name: str) -> Iterator[None]:
    """Prints the plan of each query that is made within."""
    from django.db import connection

    def plan(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip("( ").startswith("SELECT"):
            with connection.connection.cursor() as cursor:
                rows = cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", params).fetchall()
            console.print(f"-- {name}", *(row[0] for row in rows), sep="\n", markup=False, highlight=False)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(plan):
        yield


def measure(queries: dict[str, Query], runs: int) -> dict[str, list[float]]:
    """Milliseconds of each, in turn; the first round only warms up."""
    taken: dict[str, list[float]] = {name: [] for name in queries}
    for number in range(runs + 1):
        for name, query in queries.items():
            started = time.perf_counter()
            query()
            if number:
                taken[name].append(1000 * (time.perf_counter() - started))
    return taken


def show(console: Console, title: str, taken: dict[str, list[float]]) -> None:
    table = Table("query", "p50 ms", "p95 ms", "p50 to the floor's", title=title, title_justify="left")
    floor = statistics.median(taken[FLOOR])
    for name, each in taken.items():
        middle, late = statistics.median(each), sorted(each)[int(0.95 * (len(each) - 1))]
        table.add_row(name, f"{middle:.2f}", f"{late:.2f}", f"{middle / floor:.1f}")
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="delivered submissions, at most 50 million")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--explain", action="store_true")
    options = parser.parse_args()
    console = Console()
    console.print(machine())
    with installation(console.print) as made:
        os.environ.update(made.environment)
        import django

        django.setup()
        world = World()
        world.fill(min(options.rows, 50_000_000), console)
        queries = world.queries()
        if options.explain:
            for name, query in queries.items():
                with explained(console, name):
                    query()
        show(console, f"{options.rows:,} delivered submissions", measure(queries, options.runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
