"""Where accepted submissions ended up: compared with the archive, the Sheets and the log itself."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import psycopg
from kafka import KafkaConsumer, TopicPartition

from bench import sheets

LOG_SECONDS = 120.0


@dataclass
class Comparison:
    """How a place differs from what was accepted."""

    missing: int = 0
    double: int = 0
    out_of_order: int = 0

    def add(self, accepted: Iterable[str], found: Sequence[str], log: Sequence[str]) -> None:
        """`found` as the place holds them, `log` the order in which the log took them."""
        wanted = set(accepted)
        counts = Counter(found)
        self.missing += len(wanted - counts.keys())
        self.double += sum(count - 1 for count in counts.values())
        rank = {submission: index for index, submission in enumerate(log)}
        ranks = [rank[submission] for submission in found if submission in rank]
        self.out_of_order += sum(later < earlier for earlier, later in pairwise(ranks))

    @property
    def good(self) -> bool:
        return not (self.missing or self.double or self.out_of_order)

    def summary(self) -> str:
        return f"{self.missing} / {self.double} / {self.out_of_order}"


@dataclass
class Arrival:
    archive: Comparison = field(default_factory=Comparison)
    sheets: Comparison = field(default_factory=Comparison)
    archive_seconds: float = 0.0
    sheet_seconds: float = 0.0

    @property
    def good(self) -> bool:
        return self.archive.good and self.sheets.good


def archive_order(connection: psycopg.Connection[Any], form: str) -> list[str]:
    """The form's submission ids in the archive, by position. `form` is the public id."""
    rows = connection.execute(
        "SELECT s.id::text FROM archive_submission s JOIN forms_form f ON f.id = s.form_id"
        " WHERE f.public_id = %s ORDER BY s.position",
        [form],
    )
    return [row[0] for row in rows]


def log_order(demo: Mapping[str, Any]) -> list[str]:
    """Every submission id of the topic, partition by partition in order of offset; a repeat counts once.

    `demo` names the servers (`kafka`) and the `topic`. Raises TimeoutError after LOG_SECONDS.
    """
    found = (dict(record.headers)["id"].decode() for record in records(demo["kafka"], demo["topic"]))
    return list(dict.fromkeys(found))


def records(servers: Sequence[str], topic: str) -> list[Any]:
    """All of a topic, partition by partition in order of offset. Raises TimeoutError after LOG_SECONDS."""
    deadline = time.monotonic() + LOG_SECONDS
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    try:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        consumer.seek_to_beginning(*partitions)
        found: dict[TopicPartition, list[Any]] = {partition: [] for partition in partitions}
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for partition, taken in consumer.poll(timeout_ms=1000, max_records=5000).items():
                found[partition] += taken
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic} could not be read to its end within {LOG_SECONDS:.0f} s")
        return [record for taken in found.values() for record in taken]
    finally:
        consumer.close()


def wait(
    demo: Mapping[str, Any],
    places: Mapping[str, tuple[str, str]],
    accepted: Mapping[str, Sequence[str]],
    *,
    patience: float,
    archived: Callable[[int], None],
    in_sheets: Callable[[int], None],
) -> Arrival:
    """Wait until all of `accepted` (form -> ids) is in archive and Sheets, or patience (seconds) ends; then compare.

    `places`: each form's spreadsheet and tab.
    """
    arrival = Arrival()
    with psycopg.connect(demo["postgres"], autocommit=True) as connection:
        until = _Until(connection, accepted, patience)
        arrival.archive_seconds = until.found(_ARCHIVED, archived)
        # The Sheets are read only when the ledger says that they hold everything: reading costs the true quota.
        arrival.sheet_seconds = until.found(_DELIVERED, in_sheets)
        stored = {form: archive_order(connection, form) for form in accepted}
    log = log_order(demo)
    client = sheets.reader(demo)
    for form, ids in accepted.items():
        arrival.archive.add(ids, stored[form], log)
        arrival.sheets.add(ids, sheets.submission_ids(client, *places[form]), log)
    return arrival


_ARCHIVED = (
    "SELECT count(*) FROM archive_submission s JOIN forms_form f ON f.id = s.form_id"
    " WHERE f.public_id = ANY(%(forms)s) AND s.id = ANY(%(ids)s::uuid[])"
)
_DELIVERED = (
    "SELECT count(DISTINCT i.submission_id) FROM sinks_batchitem i JOIN sinks_batch b ON b.id = i.batch_id"
    " WHERE b.state = 'delivered' AND i.submission_id = ANY(%(ids)s::uuid[])"
)


class _Until:
    """Counts until all of `accepted` is found, or `patience` ends, which begins when this is made."""

    def __init__(
        self, connection: psycopg.Connection[Any], accepted: Mapping[str, Sequence[str]], patience: float
    ) -> None:
        self._connection = connection
        self._values = {"forms": list(accepted), "ids": [each for ids in accepted.values() for each in ids]}
        self._started = time.monotonic()
        self._patience = patience

    def found(self, query: str, show: Callable[[int], None], pause: float = 0.3) -> float:
        """How long it took, in seconds since the beginning."""
        while True:
            row = self._connection.execute(query, self._values).fetchone()
            count = int(row[0]) if row else 0
            show(count)
            elapsed = time.monotonic() - self._started
            if count >= len(self._values["ids"]) or elapsed > self._patience:
                return elapsed
            time.sleep(pause)
