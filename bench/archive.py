"""The archive writer: how many submissions a second it takes in, each exactly once.

`python -m bench.archive` (or `make bench-archive`). Variants in turn, on one Postgres with fsync on:

- floor: COPY into a temporary table and INSERT ... ON CONFLICT DO NOTHING into a plain table with the same key and
  index, nothing else
- writer: the product's handler on decoded records: hash-partitioned table, tombstones, counters and the group's offsets
  in one transaction
- from the log: the whole loop, from a real broker's topic to the commit, decoding included
"""

import argparse
import os
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import psycopg
from rich.console import Console

from bench.installation import Installation, installation
from bench.load import students
from bench.measure import RESULTS, Column, Figures, Variant, interleave, machine, picture, show

COLUMNS = (Column("rate", "rows/s", share=True), Column("cpu", "own CPU us/row", "{:,.1f}"))
PLAIN = """
CREATE TABLE IF NOT EXISTS bench_plain (
    organization_id uuid, form_id uuid, id uuid, version integer, position bigint,
    accepted_at timestamptz, late boolean, answers jsonb, meta jsonb, PRIMARY KEY (form_id, id)
);
CREATE INDEX IF NOT EXISTS bench_plain_position ON bench_plain (form_id, position);
TRUNCATE bench_plain;
CREATE TEMP TABLE IF NOT EXISTS bench_incoming (LIKE bench_plain) ON COMMIT DELETE ROWS;
"""


def envelopes(count: int, forms: int) -> Iterator[Any]:
    from formhub.core.envelope import Envelope
    from formhub.core.ids import uuid7

    people = list(islice(students(3), 2000))
    keys = [uuid.UUID(int=number + 1) for number in range(forms)]
    for number in range(count):
        yield Envelope(
            id=uuid7(),
            organization=uuid.UUID(int=1),
            form=keys[number % forms],
            version=1,
            accepted_at=datetime.now(UTC),
            answers=dict(people[number % len(people)]),
        )


def floor(url: str, rows: Sequence[Any], batch: int) -> Figures:
    import orjson
    from psycopg.types.json import Jsonb

    def dumps(value: Any) -> bytes:
        return orjson.dumps(value)

    with psycopg.connect(url) as connection:
        connection.execute(PLAIN)
        connection.commit()
        started, cpu = time.perf_counter(), time.process_time()
        for first in range(0, len(rows), batch):
            with connection.cursor() as cursor:
                with cursor.copy("COPY bench_incoming FROM STDIN") as copy:
                    for position, row in enumerate(rows[first : first + batch], start=first):
                        answers, meta = Jsonb(row.answers, dumps), Jsonb(row.meta, dumps)
                        copy.write_row(
                            (row.organization, row.form, row.id, row.version, position, row.accepted_at, False,
                             answers, meta)
                        )  # fmt: skip
                cursor.execute("INSERT INTO bench_plain SELECT * FROM bench_incoming ON CONFLICT DO NOTHING")
            connection.commit()
        return figures(len(rows), started, cpu)


def writer(rows: Sequence[Any], batch: int) -> Figures:
    from formhub.core.envelope import encode
    from formhub.core.stream.base import Record
    from workers.archiving import ArchiveHandler
    from workers.consumer import Decoded, Taken

    topic_id = uuid.uuid4().hex
    start_reading(topic_id)
    record = Record("bench", 0, 0, rows[0].key, *encode(rows[0]), 0)
    handler = ArchiveHandler()
    started, cpu = time.perf_counter(), time.process_time()
    for first in range(0, len(rows), batch):
        part = rows[first : first + batch]
        decoded = [Decoded(record, envelope, first + index) for index, envelope in enumerate(part)]
        handler.handle(Taken("bench", topic_id, decoded, [], {0: span(first, first + len(part))}))
    return figures(len(rows), started, cpu)


def start_reading(topic_id: str) -> None:
    from django.db import connection

    from apps.archive import offsets

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE archive_submission")
    offsets.place("archive", "bench", topic_id, 0, {0: 0})


def span(first: int, after: int) -> Any:
    from workers.consumer import Span

    return Span(first, after)


def from_the_log(made: Installation, rows: Sequence[Any], batch: int) -> Figures:
    from django.conf import settings
    from django.db import connection

    from apps.archive.models import StreamOffset
    from formhub.core.stream.kafka import KafkaSource
    from workers.archiving import ArchiveHandler
    from workers.consumer import Consumer

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE archive_submission")
    StreamOffset.objects.all().delete()
    fill(made, rows)

    def source(listener: Any) -> Any:
        return KafkaSource(settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, "archive", listener)

    consumer = Consumer(source, ArchiveHandler(), settings.SUBMISSIONS_TOPIC, batch=batch)
    taken = consumer.turn()
    while not taken:  # joining the group
        taken = consumer.turn()
    started, cpu, first = time.perf_counter(), time.process_time(), taken
    while taken < len(rows):
        taken += consumer.turn()
    found = figures(taken - first, started, cpu)
    consumer.close()
    return found


def fill(made: Installation, rows: Sequence[Any]) -> None:
    """Begin the topic anew and put the rows into it."""
    from django.conf import settings
    from kafka import KafkaAdminClient

    from formhub.core.envelope import encode
    from formhub.core.stream.base import Message, partition_of
    from formhub.core.stream.kafka import KafkaPublisher

    servers, topic = settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.delete_topics([topic])
    admin.close()
    time.sleep(1)
    made.manage("ensure_topics")
    publisher = KafkaPublisher(servers, topic, settings.SUBMISSIONS_PARTITIONS)
    for first in range(0, len(rows), 1000):
        messages = []
        for row in rows[first : first + 1000]:
            value, headers = encode(row)
            messages.append(Message(row.key, value, headers, partition_of(row.key, settings.SUBMISSIONS_PARTITIONS)))
        publish(publisher, messages)
    publisher.close(10)


def publish(publisher: Any, messages: Sequence[Any]) -> None:
    import threading

    done = threading.Event()
    publisher.publish(list(messages), lambda outcomes: done.set())
    if not done.wait(30):
        raise TimeoutError("the broker does not answer")


def figures(count: int, started: float, cpu: float) -> Figures:
    seconds = time.perf_counter() - started
    return {"rate": count / seconds, "cpu": 1e6 * (time.process_time() - cpu) / count}


def variants(made: Installation, rows: Sequence[Any], batch: int) -> list[Variant]:
    return [
        Variant("floor: COPY + INSERT", lambda: floor(made.environment["DATABASE_URL"], rows, batch)),
        Variant("writer", lambda: writer(rows, batch)),
        Variant("from the log", lambda: from_the_log(made, rows, batch)),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--forms", type=int, default=50)
    parser.add_argument("--batch", type=int, nargs="*", default=[2000], help="rows in one transaction")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    console = Console()
    console.print(machine())
    with installation(console.print) as made:
        os.environ.update(made.environment)
        import django

        django.setup()
        rows = list(envelopes(options.rows, options.forms))
        for batch in options.batch:
            found = variants(made, rows, batch)
            runs = interleave(found, options.rounds, console)
            title = f"{options.rows:,} rows over {options.forms} forms in batches of {batch:,}"
            show(console, title, runs, COLUMNS, found[0].name)
            picture(RESULTS / f"archive-{batch}.png", f"Archive: {title}", runs, COLUMNS[0], found[0].name)
    console.print(f"Pictures in {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
