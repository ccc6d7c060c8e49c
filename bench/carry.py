"""`python -m bench.carry FORMS ROWS --dead N`: carries submissions from the log to their destinations; figures as JSON.

FORMS is a file with the forms as JSON. Each gets an action with a destination of its own; the first N destinations are
dead: a call to them hangs and then fails. A process of its own, so that what it needs of memory is its own, too.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import django
import psutil

THREADS = 8  # as the demo's worker has
TICK_SECONDS = 0.2
PORTION = 1000
PATIENCE_SECONDS = 240
EVERYTHING = "TRUNCATE archive_submission, sinks_binding, sinks_destination, sinks_batch, sinks_parked CASCADE"


def prepare(forms: Sequence[Mapping[str, str]], dead: int) -> None:
    """Nothing but an action for each form, and both groups at the end of the log."""
    from apps.sinks import actions
    from apps.sinks.config import Settings
    from bench.carry_kind import Hole

    clear()
    for number, form in enumerate(forms):
        config = {"place": f"place-{number}", "dead": number < dead}
        actions.create(
            organization_id=UUID(form["organization"]), form_id=UUID(form["id"]), sink=Hole, name="Bench",
            settings=Settings(config, {}), position=0,
        )  # fmt: skip
    read_from_here()


def clear() -> None:
    """Nothing in the archive, the ledger and the buffer."""
    from django.conf import settings
    from django.db import connection

    from formhub.core.redis import connect

    with connection.cursor() as cursor:
        cursor.execute(EVERYTHING)
    with connect(settings.REDIS_BUFFER_URL, 5) as client:
        client.flushdb()


def read_from_here(beyond: int = 0) -> None:
    """Both groups stand at the end of the log, or so many records beyond it in each partition."""
    from django.conf import settings

    from apps.archive import offsets
    from formhub.core.stream.kafka import describe_topic

    name = settings.SUBMISSIONS_TOPIC
    topic = describe_topic(settings.KAFKA_BOOTSTRAP_SERVERS, name, 10)
    ends = {number: end + beyond for number, (_, end) in topic.bounds.items()}
    for group in ("archive", "deliver"):
        offsets.place(group, name, topic.id, offsets.epoch(name, topic.id), ends)


def fill(forms: Sequence[Mapping[str, str]], count: int) -> None:
    """Publish envelopes as a web process would, one form after the other."""
    from django.conf import settings

    from bench.archive import publish
    from formhub.core.envelope import encode
    from formhub.core.stream.base import Message, partition_of
    from formhub.core.stream.kafka import KafkaPublisher

    partitions = settings.SUBMISSIONS_PARTITIONS
    publisher = KafkaPublisher(settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, partitions)
    made = envelopes(forms, count)
    while some := list(islice(made, PORTION)):
        publish(publisher, [Message(one.key, *encode(one), partition_of(one.key, partitions)) for one in some])
    publisher.close(10)


def envelopes(forms: Sequence[Mapping[str, str]], count: int) -> Iterator[Any]:
    from datetime import UTC, datetime

    from bench.load import students
    from formhub.core.envelope import Envelope
    from formhub.core.ids import uuid7

    people = students(17)
    for number in range(count):
        form = forms[number % len(forms)]
        answers = dict(next(people))
        yield Envelope(uuid7(), UUID(form["organization"]), UUID(form["id"]), 1, datetime.now(UTC), answers)


def consume(handler: Any, count: int) -> float:
    """Rows a second from the first that were taken on: joining the group is no part of it."""
    from django.conf import settings

    from formhub.core.stream.kafka import KafkaSource
    from workers.consumer import Consumer

    servers, topic = settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC
    consumer = Consumer(
        lambda listener: KafkaSource(servers, topic, handler.group, listener),
        handler,
        topic,
        batch=settings.CONSUMER_BATCH_MAX_ITEMS,
    )
    first = 0
    while not first:
        first = consumer.turn()
    started, taken = time.perf_counter(), first
    while taken < count:
        taken += consumer.turn()
    seconds = time.perf_counter() - started
    consumer.close()
    return (count - first) / seconds if taken > first else float("nan")


def router() -> Any:
    """The group that lists submissions at their actions, knowing the kind of this benchmark."""
    from apps.archive import offsets
    from bench.carry_kind import KINDS
    from formhub.core.clock import SystemClock
    from workers import wiring
    from workers.routing import DeliverHandler, Router, RouteTable

    clock = SystemClock()
    table = RouteTable(KINDS.__getitem__, clock)
    return DeliverHandler(Router(table, wiring.buffer(), clock), offsets.advance)


def deliver(count: int, kinds: Callable[[str], Any]) -> float:
    """Rows a second into the destinations that live, by so many threads as a worker has."""
    from formhub.core.clock import SystemClock
    from workers import due, wiring

    flusher = dataclasses.replace(wiring.flusher(), kinds=kinds)
    started = time.perf_counter()
    flushes: list[Future[None]] = []
    with ThreadPoolExecutor(THREADS) as pool:
        while _delivered() < count:
            flushes += [pool.submit(flusher.flush, one) for one in due.due(wiring.buffer(), SystemClock())]
            for flush in [flush for flush in flushes if flush.done()]:
                flushes.remove(flush)
                flush.result()  # whatever it raised
            if time.perf_counter() - started > PATIENCE_SECONDS:
                raise TimeoutError(f"{_delivered()} of {count} rows were delivered")
            time.sleep(TICK_SECONDS)
        return count / (time.perf_counter() - started)


def _delivered() -> int:
    from django.db.models import Sum

    from apps.sinks.models import Binding

    found: int | None = Binding.objects.aggregate(rows=Sum("delivered"))["rows"]
    return found or 0


def carry(forms: Sequence[Mapping[str, str]], count: int, dead: int) -> dict[str, float]:
    from bench.carry_kind import KINDS
    from workers.archiving import ArchiveHandler

    prepare(forms, dead)
    fill(forms, count)
    before = _memory()
    rates = {"archive": consume(ArchiveHandler(), count), "route": consume(router(), count)}
    living = count // len(forms) * (len(forms) - dead)
    rates["flush"] = deliver(living, KINDS.__getitem__)
    rates["rate"] = 1 / sum(1 / rate for rate in rates.values())
    return {**rates, "calls": rates["flush"] * _calls() / living, "memory": _memory() - before}


def _calls() -> int:
    from apps.sinks.models import Batch, BatchState

    return Batch.objects.filter(state=BatchState.DELIVERED).count()


def _memory() -> float:
    """MB that the process holds."""
    return float(psutil.Process().memory_info().rss) / 1024**2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forms", type=Path)
    parser.add_argument("rows", type=int, help="submissions, a multiple of the number of forms")
    parser.add_argument("--dead", type=int, default=0)
    options = parser.parse_args()
    django.setup()
    print(json.dumps(carry(json.loads(options.forms.read_text()), options.rows, options.dead)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
