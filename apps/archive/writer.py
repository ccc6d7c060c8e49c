"""Writes what the log holds into the archive, each batch in one transaction with the group's offsets: exactly once.

COPY into a session's own temporary table, then one INSERT that leaves out what is there already and what was erased.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from django.db import DataError, IntegrityError, connection, transaction

from apps.archive import erasing, offsets
from apps.archive.models import UnreadRecord

GROUP = "archive"

_INCOMING = """
CREATE TEMP TABLE IF NOT EXISTS archive_incoming (
    organization_id uuid, form_id uuid, id uuid, version integer, position bigint,
    accepted_at timestamptz, late boolean, answers jsonb, meta jsonb
) ON COMMIT DELETE ROWS
"""
_COPY = "COPY archive_incoming FROM STDIN"
# Ordered, so that of two copies of a submission the one earlier in the log is kept, and so that two writers take the
# locks of counters in one order.
_INSERT = """
WITH fresh AS (
    INSERT INTO archive_submission
        (organization_id, form_id, id, version, position, accepted_at, late, answers, meta)
    SELECT organization_id, form_id, id, version, position, accepted_at, late, answers, meta
    FROM archive_incoming i
    WHERE NOT EXISTS (
        SELECT 1 FROM archive_tombstone t WHERE t.form_id = i.form_id AND t.submission_id = i.id
    ) AND NOT EXISTS (SELECT 1 FROM archive_formtombstone t WHERE t.form_id = i.form_id)
    ORDER BY position
    ON CONFLICT (form_id, id) DO NOTHING
    RETURNING form_id, accepted_at
), counted AS (
    INSERT INTO archive_formcounter AS c (form_id, count, last_at)
    SELECT form_id, count(*), max(accepted_at) FROM fresh GROUP BY form_id ORDER BY form_id
    ON CONFLICT (form_id) DO UPDATE
    SET count = c.count + EXCLUDED.count, last_at = greatest(c.last_at, EXCLUDED.last_at)
)
SELECT count(*) FROM fresh
"""
_INSERT_RESULTS = """
INSERT INTO archive_result (organization_id, form_id, submission_id, stream, position, body)
SELECT i.organization, i.form, i.id, %s, i.position, i.body::jsonb
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::bigint[], %s::text[]) AS i(organization, form, id, position, body)
WHERE NOT EXISTS (
    SELECT 1 FROM archive_tombstone t WHERE t.form_id = i.form AND t.submission_id = i.id
) AND NOT EXISTS (SELECT 1 FROM archive_formtombstone t WHERE t.form_id = i.form)
ORDER BY i.position
ON CONFLICT (form_id, submission_id, stream) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A submission to be archived; `source` finds its record again if Postgres refuses it for its data."""

    organization: UUID
    form: UUID
    id: UUID
    version: int
    position: int
    accepted_at: datetime
    late: bool
    answers: Mapping[str, Any]
    meta: Mapping[str, Any]
    source: int


@dataclass(frozen=True, slots=True)
class Unread:
    """A record to be kept as it came."""

    topic: str
    topic_id: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """inserted: rows that were not there before. refused: `source` of each row that Postgres cannot hold."""

    inserted: int
    refused: tuple[tuple[int, str], ...] = ()


def write(rows: Sequence[Row]) -> Written:
    """Insert what is new, inside the caller's transaction. Trouble with the connection is raised, never blamed on data.

    A batch refused for its data is halved until the refused rows stand alone.
    """
    return _halved(rows, _insert)


def write_results(stream: str, rows: Sequence[Row]) -> Written:
    """The same for what a processor noted: each row's answers are its result."""
    return _halved(rows, partial(_insert_results, stream))


def _halved(rows: Sequence[Row], insert: Callable[[Sequence[Row]], int]) -> Written:
    if not rows:
        return Written(0)
    try:
        with transaction.atomic():
            return Written(insert(rows))
    except (DataError, IntegrityError) as error:
        if len(rows) == 1:
            return Written(0, ((rows[0].source, type(error).__name__),))
    half = len(rows) // 2
    first, second = _halved(rows[:half], insert), _halved(rows[half:], insert)
    return Written(first.inserted + second.inserted, first.refused + second.refused)


def keep_unread(records: Sequence[Unread]) -> None:
    """Keep records aside, once each however often they are met; none of what was erased."""
    names = [_name(record) for record in records]
    gone = erasing.buried({name for name in names if name is not None})
    UnreadRecord.objects.bulk_create(
        [
            UnreadRecord(
                topic=record.topic,
                topic_id=record.topic_id,
                partition=record.partition,
                offset=record.offset,
                key=record.key,
                value=record.value,
                headers=[[name, value.decode("latin-1")] for name, value in record.headers],
                code=record.code,
                reason=record.reason[:500],
            )
            for record, name in zip(records, names, strict=True)
            if name not in gone
        ],
        ignore_conflicts=True,
    )


def advance(topic_id: str, spans: Mapping[int, tuple[int, int]]) -> None:
    """Raises offsets.OffsetMovedError."""
    offsets.advance(GROUP, topic_id, spans)


def _name(record: Unread) -> tuple[UUID, UUID] | None:
    """Form and submission, as far as a record that cannot be read says so."""
    try:
        return UUID((record.key or b"").decode()), UUID(dict(record.headers).get("id", b"").decode())
    except ValueError:
        return None


def _insert(rows: Sequence[Row]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_INCOMING)
        # A former half of the same batch may have left rows in this transaction.
        cursor.execute("TRUNCATE archive_incoming")
        # COPY goes past Django's cursor, so its errors are translated here.
        with connection.wrap_database_errors, cursor.copy(_COPY) as copy:
            for block in _blocks(rows):
                copy.write(block)
        cursor.execute(_INSERT)
        inserted: int = cursor.fetchone()[0]
    return inserted


def _insert_results(stream: str, rows: Sequence[Row]) -> int:
    columns = (
        [row.organization for row in rows],
        [row.form for row in rows],
        [row.id for row in rows],
        [row.position for row in rows],
        [orjson.dumps(row.answers).decode() for row in rows],
    )
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_RESULTS, [stream, *columns])
        inserted: int = cursor.rowcount
    return inserted


def _blocks(rows: Sequence[Row], size: int = 500) -> Iterator[str]:
    for start in range(0, len(rows), size):
        yield "".join(map(_line, rows[start : start + size]))


def _line(row: Row) -> str:
    """A row in COPY's text format. JSON escapes control characters itself, so only backslashes are left to double."""
    return (
        f"{row.organization}\t{row.form}\t{row.id}\t{row.version}\t{row.position}\t{row.accepted_at.isoformat()}"
        f"\t{'t' if row.late else 'f'}\t{_json(row.answers)}\t{_json(row.meta)}\n"
    )


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode().replace("\\", "\\\\")
