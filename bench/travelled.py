"""Where accepted submissions ended up: compared with the archive, the Sheets and the log itself."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import gspread
import psycopg
from kafka import KafkaConsumer, TopicPartition

ID_HEADER = "Submission ID"
TOPIC = "submissions.v1"


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


class EmulatorClient(gspread.HTTPClient):
    """Real gspread, sent to the emulator instead of Google."""

    base = ""

    def request(self, method: str, endpoint: str, *args: Any, **kwargs: Any) -> Any:
        parts = urlsplit(endpoint)
        target = f"{self.base}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        return super().request(method, target, *args, **kwargs)


def sheets_client(demo: Mapping[str, Any]) -> gspread.Client:
    client = type("BoundClient", (EmulatorClient,), {"base": demo["sheets"]["url"].rstrip("/")})
    reader = demo["sheets"].get("reader_service_account_file") or demo["sheets"]["service_account_file"]
    return gspread.service_account(filename=reader, http_client=client)


def archive_order(connection: psycopg.Connection[Any], form: str) -> list[str]:
    """The form's submission ids in the archive, by position. `form` is the public id."""
    rows = connection.execute(
        "SELECT s.id::text FROM archive_submission s JOIN forms_form f ON f.id = s.form_id"
        " WHERE f.public_id = %s ORDER BY s.position",
        [form],
    )
    return [row[0] for row in rows]


def log_order(demo: Mapping[str, Any]) -> list[str]:
    """Every submission id of the topic, partition by partition in order of offset; a repeat counts once."""
    consumer = KafkaConsumer(bootstrap_servers=demo["kafka"], enable_auto_commit=False)
    try:
        partitions = [
            TopicPartition("submissions.v1", number) for number in consumer.partitions_for_topic("submissions.v1")
        ]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        consumer.seek_to_beginning(*partitions)
        found: dict[TopicPartition, list[str]] = {partition: [] for partition in partitions}
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for partition, records in consumer.poll(timeout_ms=1000, max_records=5000).items():
                found[partition] += [dict(record.headers)["id"].decode() for record in records]
        return list(dict.fromkeys(submission for ids in found.values() for submission in ids))
    finally:
        consumer.close()


def sheet_ids(client: gspread.Client, spreadsheet_id: str, worksheet: str) -> list[str]:
    try:
        rows = client.open_by_key(spreadsheet_id).worksheet(worksheet).get_all_values()
    except gspread.exceptions.WorksheetNotFound:
        return []
    if not rows:
        return []
    column = rows[0].index(ID_HEADER)
    return [row[column] for row in rows[1:] if row[column]]


def wait(
    demo: Mapping[str, Any],
    sheets: Mapping[str, tuple[str, str]],
    accepted: Mapping[str, Sequence[str]],
    *,
    patience: float,
    archived: Callable[[int], None],
    in_sheets: Callable[[int], None],
) -> Arrival:
    """Wait until all of `accepted` (form -> ids) is in archive and Sheets, or patience (seconds) ends; then compare."""
    arrival = Arrival()
    total = sum(len(ids) for ids in accepted.values())
    started = time.monotonic()
    with psycopg.connect(demo["postgres"], autocommit=True) as connection:
        arrival.archive_seconds = _until(
            lambda: sum(len(set(archive_order(connection, form)) & set(ids)) for form, ids in accepted.items()),
            total, started, patience, 0.2, archived,
        )  # fmt: skip
        # The Sheet is read only when the ledger says it holds everything: reading it costs the true quota.
        arrival.sheet_seconds = _until(
            lambda: _delivered(connection, accepted), total, started, patience, 0.5, in_sheets
        )
        stored = {form: archive_order(connection, form) for form in accepted}
    log = log_order(demo)
    client = sheets_client(demo)
    for form, ids in accepted.items():
        arrival.archive.add(ids, stored[form], log)
        arrival.sheets.add(ids, _patiently(client, *sheets[form]), log)
    return arrival


def _until(
    count: Callable[[], int], total: int, started: float, patience: float, pause: float, show: Callable[[int], None]
) -> float:
    while True:
        found = count()
        show(found)
        elapsed = time.monotonic() - started
        if found >= total or elapsed > patience:
            return elapsed
        time.sleep(pause)


def _delivered(connection: psycopg.Connection[Any], accepted: Mapping[str, Sequence[str]]) -> int:
    row = connection.execute(
        "SELECT count(*) FROM sinks_batchitem i JOIN sinks_batch b ON b.id = i.batch_id"
        " WHERE b.state = 'delivered' AND i.submission_id = ANY(%s::uuid[])",
        [[submission for ids in accepted.values() for submission in ids]],
    ).fetchone()
    return int(row[0]) if row else 0


def _patiently(client: gspread.Client, spreadsheet_id: str, worksheet: str) -> list[str]:
    """The quota is the true one: on 429 wait for the next minute, three times at most."""
    for _ in range(3):
        try:
            return sheet_ids(client, spreadsheet_id, worksheet)
        except gspread.exceptions.APIError as error:
            if error.response.status_code != 429:
                raise
            time.sleep(61 - time.time() % 60)
    return sheet_ids(client, spreadsheet_id, worksheet)
