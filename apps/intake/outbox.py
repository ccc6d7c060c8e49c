"""The outbox in Postgres: what was accepted while the log took nothing, until the relay has brought it there.

A row is a record as it will lie in the log, its late mark set, with the id and the time that its submission was given
before the first try. It is there from before the 202 until the broker's receipt. Nothing goes by a number that only
grows: rows that are committed late are found like all others, and a repeat is dropped by the readers, by its id.

Who adds or takes away rows changes the one row of the size in the same transaction, and last: so nobody counts, and
whoever waits for that row holds nothing that another waits for.
"""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import psycopg
from django.db import connection, connections, transaction

from apps.intake.models import OutboxRow, OutboxSize
from formhub.core.envelope import Envelope, encode
from formhub.core.stream.base import Headers, Message

REFUSED_COUNTED_MAX = 10_000
# A relay that stands still for so long in the middle of a turn loses its transaction, and with it its partitions.
TURN_SECONDS = 30
_LOCK_SECONDS = 5
_LOCKS = 0x6F757462  # a number of ours among the advisory locks of the database; beside it the partition

_INSERT = """
INSERT INTO intake_outboxrow (id, form_id, partition, value, headers, size, accepted_at)
SELECT id, form_id, partition, value, headers::jsonb, size, accepted_at
FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %b::bytea[], %s::text[], %s::int[], %s::timestamptz[])
  AS given (id, form_id, partition, value, headers, size, accepted_at)
ON CONFLICT (id) DO NOTHING RETURNING size
"""
_RESIZE = """
INSERT INTO intake_outboxsize AS held (id, rows, bytes) VALUES (1, %s, %s)
ON CONFLICT (id) DO UPDATE SET rows = held.rows + excluded.rows, bytes = held.bytes + excluded.bytes
RETURNING rows, bytes
"""
# One look into the index for each partition that has rows, however many those are.
_WAITING = """
WITH RECURSIVE lane AS (
  (SELECT partition, accepted_at FROM intake_outboxrow WHERE refused = '' ORDER BY partition, accepted_at, id LIMIT 1)
  UNION ALL
  SELECT following.partition, following.accepted_at FROM lane, LATERAL (
    SELECT partition, accepted_at FROM intake_outboxrow
    WHERE refused = '' AND partition > lane.partition ORDER BY partition, accepted_at, id LIMIT 1
  ) following
)
SELECT partition, accepted_at FROM lane
"""
_OLDEST = """
SELECT id, form_id, partition, value, headers, accepted_at FROM (
  SELECT *, sum(size) OVER (ORDER BY accepted_at, id) - size AS before FROM (
    SELECT * FROM intake_outboxrow WHERE partition = %s AND refused = '' ORDER BY accepted_at, id LIMIT %s
  ) head
) counted WHERE before < %s ORDER BY accepted_at, id
"""
_FIND = """
SELECT id, form_id, partition, value, headers, accepted_at FROM intake_outboxrow WHERE form_id = %s AND id = %s
"""


class OutboxAwayError(Exception):
    """Nothing was kept; or, if `ambiguous`, nobody can say whether it was."""

    def __init__(self, reason: str, *, ambiguous: bool = False) -> None:
        super().__init__(reason)
        self.ambiguous = ambiguous


class OutboxFullError(OutboxAwayError):
    """It holds as many rows, or bytes, as it may."""


@dataclass(frozen=True, slots=True)
class Row:
    id: UUID
    form_id: UUID
    partition: int
    value: bytes
    headers: Headers
    accepted_at: datetime

    @classmethod
    def of(cls, envelope: Envelope, partition: int) -> "Row":
        value, headers = encode(replace(envelope, late=True))
        return cls(envelope.id, envelope.form, partition, value, headers, envelope.accepted_at)

    @property
    def key(self) -> bytes:
        return str(self.form_id).encode()

    @property
    def size(self) -> int:
        return Message(self.key, self.value, self.headers, self.partition).size


# The door of the web processes


class Store(Protocol):
    """Where a process keeps rows. One thread calls it."""

    def insert(self, rows: Sequence[Row]) -> None:
        """All of them or none; those that are there already are passed over. Raises OutboxAwayError."""

    def close(self) -> None:
        """Give back what it holds; it goes on with the next rows."""


class _Connection(psycopg.Connection[Any]):
    """Every wait for the server ends: one that stands still, its connections open, keeps none of its own timeouts."""

    until = 0.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, max(0.0, self.until - time.monotonic()))


class PostgresStore:
    """A connection of its own, held from one group to the next. A group has `seconds`, for the server as for us."""

    def __init__(self, seconds: float, rows_max: int, bytes_max: int) -> None:
        self.seconds = seconds
        self.rows_max = rows_max
        self.bytes_max = bytes_max
        self._connection: _Connection | None = None

    def insert(self, rows: Sequence[Row]) -> None:
        until = time.monotonic() + self.seconds
        held = self._connection is not None
        try:
            self._insert(rows, until)
        except OutboxFullError:
            raise
        except OutboxAwayError as error:
            self.close()
            if error.ambiguous or not held:
                raise
            # The connection may have died since the last group, and the server be well.
            self._insert(rows, until)

    def check(self) -> None:
        """Whether a row could be added now. Raises OutboxAwayError."""
        try:
            found = self._connected(time.monotonic() + self.seconds)
            asked = found.execute(
                "SELECT current_setting('transaction_read_only') = 'on', rows, bytes "
                "FROM (SELECT 1) one LEFT JOIN intake_outboxsize ON true"
            )
            read_only, rows, size = asked.fetchone() or (False, 0, 0)
        except (psycopg.Error, OSError) as error:
            self.close()
            raise OutboxAwayError("unreachable") from error
        if read_only:
            raise OutboxAwayError("read-only")
        self._check_size(rows or 0, size or 0)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _insert(self, rows: Sequence[Row], until: float) -> None:
        committing = False
        try:
            cursor = self._connected(until).cursor()
            cursor.execute(self._begin())
            cursor.execute(_INSERT, _columns(rows))
            added = [size for (size,) in cursor.fetchall()]
            if added:
                cursor.execute(_RESIZE, [len(added), sum(added)])
                self._check_size(*(cursor.fetchone() or (0, 0)))
            committing = True
            cursor.execute("COMMIT")
        except OutboxFullError:
            self.close()  # which takes it back
            raise
        except (psycopg.Error, OSError) as error:
            self.close()
            raise OutboxAwayError(type(error).__name__, ambiguous=committing) from error

    def _connected(self, until: float) -> _Connection:
        if self._connection is None:
            given = connections["default"].get_connection_params()
            # No statement is prepared, for the sake of poolers that hand a connection on after each transaction.
            ours = {"connect_timeout": max(1, int(self.seconds)), "autocommit": True, "prepare_threshold": None}
            theirs = {name: value for name, value in given.items() if name not in {"cursor_factory", "context"}}
            self._connection = _Connection.connect(**theirs | ours)
        self._connection.until = until
        return self._connection

    def _begin(self) -> bytes:
        milliseconds = int(self.seconds * 1000)
        return (
            f"BEGIN; SET LOCAL statement_timeout = {milliseconds}; SET LOCAL lock_timeout = {milliseconds}"
        ).encode()

    def _check_size(self, rows: int, size: int) -> None:
        if rows > self.rows_max or size > self.bytes_max:
            raise OutboxFullError("full")


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    # In one order everywhere: two groups with the same ids would else wait for each other.
    ordered = sorted(rows, key=lambda row: row.id)
    return [
        [row.id for row in ordered],
        [row.form_id for row in ordered],
        [row.partition for row in ordered],
        [row.value for row in ordered],
        [json.dumps([(name, value.decode("latin-1")) for name, value in row.headers]) for row in ordered],
        [row.size for row in ordered],
        [row.accepted_at for row in ordered],
    ]


# The relay's side, on Django's connection. All but `state`, `waiting` and `find` within a transaction of the caller's.


def begin_turn() -> None:
    _execute(f"SET LOCAL idle_in_transaction_session_timeout = '{TURN_SECONDS}s'")
    _execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")


def waiting() -> dict[int, datetime]:
    """The partitions with rows to be relayed, and when the oldest submission of each was accepted."""
    return dict(_rows(_WAITING))


def hold(partition: int) -> bool:
    """Be the one relay of this partition until the transaction ends; False while another is."""
    [(held,)] = _rows("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCKS, partition])
    return bool(held)


def oldest(partition: int, items: int, size: int) -> list[Row]:
    """At most `items` rows, of some `size` bytes together, oldest first."""
    return list(map(_row, _rows(_OLDEST, [partition, items, size])))


def find(form_id: UUID, id: UUID) -> Row | None:
    """A submission that was accepted and that the log does not have yet."""
    return next(map(_row, _rows(_FIND, [form_id, id])), None)


def drop(ids: Collection[UUID]) -> None:
    """The log has them."""
    gone = _rows("DELETE FROM intake_outboxrow WHERE id = ANY(%s) RETURNING size", [list(ids)])
    if gone:
        _rows(_RESIZE, [-len(gone), -sum(size for (size,) in gone)])


def set_aside(reasons: Mapping[UUID, str]) -> None:
    """The log can never take them, and they must not stand in the others' way."""
    for id, reason in reasons.items():
        OutboxRow.objects.filter(pk=id).update(refused=reason[:200])


def try_refused() -> int:
    """Put what was set aside back in its place; how many that are."""
    return OutboxRow.objects.exclude(refused="").update(refused="")


@dataclass(frozen=True, slots=True)
class State:
    """`oldest`: when the oldest that is to be relayed was accepted. `refused`: counted to REFUSED_COUNTED_MAX."""

    rows: int
    bytes: int
    oldest: datetime | None
    refused: int


def state() -> State:
    """Raises django.db.Error."""
    held = OutboxSize.objects.first() or OutboxSize()
    refused = OutboxRow.objects.exclude(refused="")[:REFUSED_COUNTED_MAX].count()
    return State(held.rows, held.bytes, min(waiting().values(), default=None), refused)


def recount() -> None:
    """Put the size right after rows went some other way, as by hand."""
    with transaction.atomic():
        # Whoever has added or taken rows and not committed waits for this row from here on, and comes after us.
        _rows(_RESIZE, [0, 0])
        _execute(
            "UPDATE intake_outboxsize SET (rows, bytes) = "
            "(SELECT count(*), coalesce(sum(size), 0) FROM intake_outboxrow)"
        )


def _row(columns: tuple[Any, ...]) -> Row:
    id, form, partition, value, headers, accepted_at = columns
    return Row(id, form, partition, bytes(value), _headers(headers), accepted_at)


def _headers(written: str) -> Headers:
    return tuple((name, value.encode("latin-1")) for name, value in json.loads(written))


def _rows(query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, list(values))
        return list(cursor.fetchall())


def _execute(query: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query)
