"""The handler of the group `archive`: every submission into Postgres, every unreadable record kept aside."""

from collections import deque
from collections.abc import Sequence

from django.db import transaction

from apps.archive import offsets, writer
from apps.archive.writer import Row, Unread, Written
from apps.streams import topics
from apps.streams.contract import Processor
from formhub.core.metrics import ARCHIVE_SECONDS, ARCHIVED, UNREAD
from formhub.core.stream.base import Record
from workers.consumer import Decoded, Lost, Taken

# Of the last so many records this share may be unreadable before the loop stops: then something is wrong with the
# writer of the log, and a person should look before the whole topic is put aside.
WINDOW = 1000
SHARE_MAX = 0.5
LEAST = 100


class TooManyUnreadableError(Exception):
    """Most of what the log holds cannot be read here; nothing of this batch was taken."""


class ArchiveHandler:
    group = writer.GROUP

    def __init__(self) -> None:
        self._readable: deque[bool] = deque(maxlen=WINDOW)

    def blocked(self) -> bool:
        return False

    def missed(self, lost: Lost) -> None:
        """Kept beside the unreadable records, so that somebody sees which offsets they were."""
        reason = f"The records {lost.first} to {lost.last} left the log before they were archived."
        place = (lost.topic, lost.topic_id, lost.partition, lost.first)
        writer.keep_unread([Unread(*place, key=None, value=b"", headers=(), code="lost", reason=reason)])
        UNREAD.labels(self.group, "lost").inc(lost.last - lost.first + 1)

    def handle(self, taken: Taken) -> None:
        with ARCHIVE_SECONDS.time(), transaction.atomic():
            written = self._write([_row(index, decoded) for index, decoded in enumerate(taken.decoded)])
            unread = [
                _unread(taken, decoded.record, "refused", f"PostgreSQL refused it ({reason})")
                for decoded, reason in ((taken.decoded[source], reason) for source, reason in written.refused)
            ]
            unread += [_unread(taken, found.record, found.code, found.message) for found in taken.unreadable]
            self._judge(len(taken.decoded) + len(taken.unreadable), len(unread))
            writer.keep_unread(unread)
            self._advance(taken)
        self._count(written.inserted)
        for record in unread:
            UNREAD.labels(self.group, record.code).inc()

    def _write(self, rows: Sequence[Row]) -> Written:
        return writer.write(rows)

    def _advance(self, taken: Taken) -> None:
        writer.advance(taken.topic_id, taken.moves)

    def _count(self, inserted: int) -> None:
        ARCHIVED.inc(inserted)

    def _judge(self, total: int, unread: int) -> None:
        seen = [*self._readable, *([True] * (total - unread)), *([False] * unread)][-WINDOW:]
        bad = seen.count(False)
        if bad >= LEAST and bad > SHARE_MAX * len(seen):
            raise TooManyUnreadableError(f"{bad} of the last {len(seen)} records cannot be read")
        self._readable = deque(seen, maxlen=WINDOW)


class ResultsHandler(ArchiveHandler):
    """The same for what a processor notes: one result per submission, however often it was made."""

    def __init__(self, kind: type[Processor]) -> None:
        super().__init__()
        _, self.group = topics.groups(kind)
        self._stream = kind.name

    def _write(self, rows: Sequence[Row]) -> Written:
        return writer.write_results(self._stream, rows)

    def _advance(self, taken: Taken) -> None:
        offsets.advance(self.group, taken.topic_id, taken.moves)

    def _count(self, inserted: int) -> None:
        """Only submissions are counted there."""


def _row(index: int, decoded: Decoded) -> Row:
    envelope = decoded.envelope
    return Row(
        organization=envelope.organization,
        form=envelope.form,
        id=envelope.id,
        version=envelope.version,
        position=decoded.position,
        accepted_at=envelope.accepted_at,
        late=envelope.late,
        answers=envelope.answers,
        meta=envelope.meta,
        source=index,
    )


def _unread(taken: Taken, record: Record, code: str, reason: str) -> Unread:
    return Unread(
        topic=taken.topic,
        topic_id=taken.topic_id,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=record.headers,
        code=code,
        reason=reason,
    )
