"""Reads of the archive. Each carries the form; lists go by position, never by counting rows off."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from apps.archive.models import FormCounter, Result, StreamOffset, Submission, Tombstone
from formhub.core.position import position
from formhub.core.stream.base import partition_of

FIELDS = ("organization_id", "form_id", "id", "version", "position", "accepted_at", "archived_at", "late")
ALL_FIELDS = (*FIELDS, "answers", "meta")
# Rows that are fetched at a time where many are read: each may hold a megabyte.
CHUNK = 25


@dataclass(frozen=True, slots=True)
class Stored:
    """A submission as the archive holds it."""

    organization_id: UUID
    form_id: UUID
    id: UUID
    version: int
    position: int
    accepted_at: datetime
    archived_at: datetime
    late: bool
    answers: dict[str, Any]
    meta: dict[str, Any]


def get(form_id: UUID, submission_id: UUID) -> Stored | None:
    rows = _kept(form_id).filter(id=submission_id)
    return next(_stored(rows), None)


def results(form_id: UUID, submission_id: UUID) -> list[Result]:
    """What processors noted of a submission, by stream."""
    return list(Result.objects.filter(form_id=form_id, submission_id=submission_id).order_by("stream"))


def by_ids(form_id: UUID, ids: Sequence[UUID]) -> list[Stored]:
    """In any order; what is not there is left out."""
    return list(_stored(_kept(form_id).filter(id__in=list(ids))))


def after(form_id: UUID, position: int, below: int | None, limit: int) -> list[Stored]:
    """Up to `limit` rows with position > `position` (and < `below`), in order of the log: one index range."""
    rows = _kept(form_id).filter(position__gt=position)
    if below is not None:
        rows = rows.filter(position__lt=below)
    return list(_stored(rows.order_by("position")[:limit]))


def places(form_id: UUID, position: int, below: int, limit: int) -> list[tuple[int, UUID]]:
    """Position and id of up to `limit` rows with position > `position` and < `below`, in order; no answers are read."""
    rows = Submission.objects.filter(form_id=form_id, position__gt=position, position__lt=below)
    return list(rows.order_by("position").values_list("position", "id")[:limit])


def positions(form_id: UUID, ids: Sequence[UUID]) -> dict[UUID, int]:
    """By id; what is not there is left out, and no answers are read."""
    return dict(Submission.objects.filter(form_id=form_id, id__in=list(ids)).values_list("id", "position"))


@contextmanager
def page(form_id: UUID, *, beyond: int | None, limit: int, newest_first: bool) -> Iterator[Iterable[Stored]]:
    """Up to `limit` of the form's submissions in order of the log, or against it, beginning beyond a position.

    They are fetched a few at a time, as they are read: answers may be large, and a reader who has enough may stop.
    """
    rows = _kept(form_id)
    if beyond is not None:
        rows = rows.filter(position__lt=beyond) if newest_first else rows.filter(position__gt=beyond)
    rows = rows.order_by("-position" if newest_first else "position")[:limit]
    with transaction.atomic():  # the server's cursor lives as long as this
        yield _stored(rows, CHUNK)


def oldest_after(pairs: Sequence[tuple[UUID, int]]) -> list[datetime | None]:
    """For each (form, position) when the first row after it was archived; None where there is none."""
    if not pairs:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (SELECT s.archived_at FROM archive_submission s
                    WHERE s.form_id = p.form AND s.position > p.position ORDER BY s.position LIMIT 1)
            FROM unnest(%s::uuid[], %s::bigint[]) WITH ORDINALITY AS p(form, position, number)
            ORDER BY p.number
            """,
            [[form for form, _ in pairs], [position for _, position in pairs]],
        )
        return [row[0] for row in cursor.fetchall()]


def archived_below(form_id: UUID) -> int:
    """Below this position the archive has everything that the log ever held of the form."""
    return consumed_below("archive", form_id)


def consumed_below(group: str, form_id: UUID) -> int:
    """The position up to which a group has taken the form's partition; 0 if it never read."""
    partition = partition_of(str(form_id).encode(), settings.SUBMISSIONS_PARTITIONS)
    row = (
        StreamOffset.objects.filter(group=group, topic=settings.SUBMISSIONS_TOPIC, partition=partition)
        .order_by("-epoch")
        .values_list("epoch", "next_offset")
        .first()
    )
    return position(*row) if row else 0


def log_end(form_id: UUID) -> int:
    """The position that the form's next submission will have at least, also while a group reads again."""
    last = Submission.objects.filter(form_id=form_id).order_by("-position").values_list("position", flat=True).first()
    return max(archived_below(form_id), 0 if last is None else last + 1)


def position_at(form_id: UUID, moment: datetime) -> int | None:
    """The position of the form's first submission accepted at or after a moment; None if there is none."""
    rows = Submission.objects.filter(form_id=form_id, accepted_at__gte=moment).order_by("position")
    return rows.values_list("position", flat=True).first()


def count(form_id: UUID) -> int:
    """How many submissions of the form the archive holds."""
    return FormCounter.objects.filter(form_id=form_id).values_list("count", flat=True).first() or 0


def _kept(form_id: UUID) -> QuerySet[Submission]:
    """Without what was erased: for a moment, or in a database that was restored, its row may stand here again."""
    erased = Tombstone.objects.filter(form_id=form_id, submission_id=OuterRef("id"))
    return Submission.objects.filter(~Exists(erased), form_id=form_id)


def _stored(rows: QuerySet[Submission], chunk: int | None = None) -> Iterator[Stored]:
    found: Any = rows.values_list(*ALL_FIELDS)
    for row in found.iterator(chunk_size=chunk) if chunk else found:
        yield Stored(*row)
