"""Erasing: a tombstone first, so that nothing brings the submission back, then whatever the archive holds of it.

Everything here may be repeated, and be ended between any two steps: an erasure that was begun is an open tombstone, and
stays one until a sweep has found nothing left to clear. A form's submissions go with one tombstone for all of them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Model
from django.db.models.functions import Greatest, Now

from apps.archive.models import FormCounter, FormTombstone, Result, Submission, Tombstone

Buried = Tombstone  # as other rooms are handed it
# Longer than any transaction lasts that began before the tombstone was there and could still bring its row in.
SETTLED = timedelta(minutes=10)

_REMOVE_UNREAD = """
DELETE FROM archive_unreadrecord u WHERE key = %s AND EXISTS (
    SELECT 1 FROM unnest(%s::text[]) AS erased (id)
    WHERE headers @> jsonb_build_array(jsonb_build_array('id', erased.id))
       OR position(convert_to(erased.id, 'UTF8') IN u.value) > 0
)
"""
_REMOVE_SOME = """
DELETE FROM archive_submission WHERE form_id = %s AND id IN (
    SELECT id FROM archive_submission WHERE form_id = %s ORDER BY position LIMIT %s
)
"""
_REMOVE_SOME_RESULTS = """
DELETE FROM archive_result WHERE form_id = %s AND (submission_id, stream) IN (
    SELECT submission_id, stream FROM archive_result WHERE form_id = %s LIMIT %s
)
"""
_REOPEN = """
UPDATE archive_tombstone t SET finished_at = NULL
WHERE t.finished_at IS NOT NULL AND (
    EXISTS (SELECT 1 FROM archive_submission s WHERE s.form_id = t.form_id AND s.id = t.submission_id)
    OR EXISTS (SELECT 1 FROM archive_result r WHERE r.form_id = t.form_id AND r.submission_id = t.submission_id)
)
"""
_REOPEN_FORMS = """
UPDATE archive_formtombstone t SET finished_at = NULL
WHERE t.finished_at IS NOT NULL AND (
    EXISTS (SELECT 1 FROM archive_submission s WHERE s.form_id = t.form_id)
    OR EXISTS (SELECT 1 FROM archive_result r WHERE r.form_id = t.form_id)
)
"""


def bury(form_id: UUID, ids: Sequence[UUID], *, journaled: bool = False) -> None:
    """From the end of the caller's transaction none of these comes back; what is buried already stays as it is."""
    at = Now() if journaled else None
    Tombstone.objects.bulk_create(
        [Tombstone(form_id=form_id, submission_id=id, journaled_at=at) for id in sorted(ids)], ignore_conflicts=True
    )


def bury_form(form_id: UUID, *, journaled: bool = False) -> None:
    """All of a form at once; its rows are taken away in portions, by `remove_some`."""
    count = FormCounter.objects.filter(form_id=form_id).values_list("count", flat=True).first() or 0
    FormTombstone.objects.get_or_create(
        form_id=form_id, defaults={"submissions": count, "journaled_at": Now() if journaled else None}
    )


def form_deleted(sender: type[Model], instance: Any, **kwargs: Any) -> None:
    """In the transaction that deletes the form."""
    bury_form(instance.pk)


def remove(form_id: UUID, ids: Sequence[UUID]) -> int:
    """What the archive holds of them, with the form's counter, in the caller's transaction; how many rows that were."""
    gone, _ = Submission.objects.filter(form_id=form_id, id__in=list(ids)).delete()
    if gone:
        FormCounter.objects.filter(form_id=form_id).update(count=Greatest(F("count") - gone, 0))
    Result.objects.filter(form_id=form_id, submission_id__in=list(ids)).delete()
    with connection.cursor() as cursor:
        cursor.execute(_REMOVE_UNREAD, [str(form_id).encode(), [str(id) for id in ids]])
    return gone


def remove_some(form_id: UUID, limit: int) -> int:
    """Up to `limit` rows of a form that was buried; how many were left to remove."""
    with connection.cursor() as cursor:
        cursor.execute(_REMOVE_SOME, [form_id, form_id, limit])
        gone: int = cursor.rowcount
        cursor.execute(_REMOVE_SOME_RESULTS, [form_id, form_id, limit])
        noted: int = cursor.rowcount
        cursor.execute("DELETE FROM archive_unreadrecord WHERE key = %s", [str(form_id).encode()])
    FormCounter.objects.filter(form_id=form_id).delete()
    FormTombstone.objects.filter(form_id=form_id).update(erased=F("erased") + gone)
    return max(gone, noted)


def buried(pairs: Collection[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Those of the pairs (form, submission) that were erased."""
    if not pairs:
        return set()
    forms = buried_forms({form for form, _ in pairs})
    ids = {id for _, id in pairs}
    found = set(Tombstone.objects.filter(submission_id__in=ids).values_list("form_id", "submission_id"))
    return {pair for pair in pairs if pair[0] in forms or pair in found}


def buried_forms(ids: Collection[UUID]) -> set[UUID]:
    return set(FormTombstone.objects.filter(pk__in=ids).values_list("pk", flat=True))


def to_journal(limit: int) -> list[Tombstone]:
    """Tombstones that stand nowhere but here, the oldest first, held until the caller's transaction ends."""
    rows = Tombstone.objects.select_for_update(skip_locked=True).filter(journaled_at=None)
    return list(rows.order_by("id")[:limit])


def forms_to_journal(limit: int) -> list[FormTombstone]:
    rows = FormTombstone.objects.select_for_update(skip_locked=True).filter(journaled_at=None)
    return list(rows.order_by("created_at")[:limit])


def journaled(rows: Iterable[Tombstone], forms: Iterable[FormTombstone] = ()) -> None:
    Tombstone.objects.filter(pk__in=[row.pk for row in rows]).update(journaled_at=Now())
    FormTombstone.objects.filter(pk__in=[form.pk for form in forms]).update(journaled_at=Now())


def settled(after: int, limit: int, wait: timedelta = SETTLED) -> list[Tombstone]:
    """Open ones that nothing begun before them can undo any more; those with an `id` above `after`."""
    rows = Tombstone.objects.filter(finished_at=None, id__gt=after, created_at__lt=Now() - wait)
    return list(rows.exclude(journaled_at=None).order_by("id")[:limit])


def open_forms(limit: int) -> list[FormTombstone]:
    return list(FormTombstone.objects.filter(finished_at=None).order_by("created_at")[:limit])


def finish(rows: Iterable[Tombstone]) -> None:
    Tombstone.objects.filter(pk__in=[row.pk for row in rows]).update(finished_at=Now())


def finish_form(form_id: UUID, wait: timedelta = SETTLED) -> None:
    """Unless something begun before it could still bring rows in."""
    rows = FormTombstone.objects.filter(pk=form_id, created_at__lt=Now() - wait)
    rows.exclude(journaled_at=None).update(finished_at=Now())


def reopen() -> int:
    """Every erasure of which the archive holds a row again, by whatever road it came back."""
    with connection.cursor() as cursor:
        cursor.execute(_REOPEN)
        count: int = cursor.rowcount
        cursor.execute(_REOPEN_FORMS)
        forms: int = cursor.rowcount
    return count + forms


def by_form(rows: Iterable[Tombstone]) -> Mapping[UUID, list[Tombstone]]:
    found: dict[UUID, list[Tombstone]] = {}
    for row in rows:
        found.setdefault(row.form_id, []).append(row)
    return found


def oldest_unwritten() -> datetime | None:
    """Since when an erasure has waited to be journaled."""
    return _oldest(journaled_at=None)


def oldest_open() -> datetime | None:
    return _oldest(finished_at=None)


def _oldest(**which: None) -> datetime | None:
    found = [
        model._default_manager.filter(**which).order_by(order).values_list("created_at", flat=True).first()
        for model, order in ((Tombstone, "id"), (FormTombstone, "created_at"))
    ]
    return min((at for at in found if at is not None), default=None)
