"""Finishes erasures that were begun: written into the journal, forgotten by the buffer, gone from kept bytes.

What was asked for is an open tombstone in the database, made in the transaction that took the row away. So whoever
erases needs no buffer and no journal, and a worker that dies leaves nothing undone: the next sweep finds it.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction

from apps.archive import erasing as archive
from apps.sinks import erasing as ledger
from apps.sinks.models import Batch, BatchState
from formhub.core.clock import Clock
from formhub.core.journal import Entry, Journal
from workers.buffer.base import Buffer, BufferUnavailableError
from workers.lease import acquire, fenced, release

logger = logging.getLogger(__name__)
CHUNK = 1000
BUDGET_SECONDS = 20.0  # what is left after this waits for the next sweep
HOLDER = "erasing"

Erased = Mapping[UUID, Sequence[UUID]]  # submissions by form


def sweep(buffer: Buffer, journal: Journal, clock: Clock, wait: timedelta = archive.SETTLED) -> None:
    """Raises OSError when the journal cannot be written; everything else is done first as far as it goes."""
    end = clock.monotonic() + BUDGET_SECONDS
    try:
        while _write_down(buffer, journal, clock) == CHUNK and clock.monotonic() < end:
            pass
    finally:
        _finish_all(buffer, clock, end, wait)
        _finish_forms(clock, end, wait)


def nightly(journal: Journal, clock: Clock, days: int) -> None:
    """Look for erased submissions that came back, and let the oldest lines of the journal go."""
    if count := archive.reopen():
        logger.warning("%s erased submissions or forms were in the archive again", count)
    journal.drop_older(clock.now(), days)


def _write_down(buffer: Buffer, journal: Journal, clock: Clock) -> int:
    """Into the journal what stands in the database alone; how many there were at this go."""
    rows: list[archive.Buried] = []
    try:
        with transaction.atomic():
            rows, forms = archive.to_journal(CHUNK), archive.forms_to_journal(CHUNK)
            entries = [Entry(row.form_id, row.submission_id, row.created_at) for row in rows]
            journal.append(entries + [Entry(row.form_id, None, row.created_at) for row in forms], clock.now())
            archive.journaled(rows, forms)
    finally:
        _clear(buffer, _ids(rows))  # not within: it takes the locks of destinations
    return max(len(rows), len(forms))


def _finish_all(buffer: Buffer, clock: Clock, end: float, wait: timedelta) -> None:
    after = 0
    while rows := archive.settled(after, CHUNK, wait):
        still = _clear(buffer, _ids(rows))
        for form, found in archive.by_form(rows).items():
            with transaction.atomic():
                archive.remove(form, [row.submission_id for row in found])
        archive.finish(row for row in rows if row.submission_id not in still)
        after = rows[-1].pk
        if clock.monotonic() >= end:
            return


def _finish_forms(clock: Clock, end: float, wait: timedelta) -> None:
    for tombstone in archive.open_forms(CHUNK):
        while _portion(tombstone.pk):
            if clock.monotonic() >= end:
                return
        archive.finish_form(tombstone.pk, wait)


def _portion(form: UUID) -> int:
    with transaction.atomic():
        return archive.remove_some(form, CHUNK)


def _clear(buffer: Buffer, erased: Erased) -> set[UUID]:
    """What deliveries hold of them. Returns those that are not to be counted as finished yet."""
    still: set[UUID] = set()
    for form, ids in erased.items():
        ledger.clear(form, ids)
        for batch, submissions in ledger.held(form, ids).items():
            _drop_kept(batch)
            still |= submissions  # until it is over: its end may park them, or its sink keep something again
        try:
            buffer.forget(ledger.actions_of(form), ids)
        except BufferUnavailableError as error:
            logger.warning("form %s: %s", form, error)
            still |= set(ids)
    return still


def _drop_kept(batch_id: UUID) -> None:
    """What the sink kept of a delivery that is certainly not applied: its next attempt is made anew from the archive.

    While an attempt runs, and while nobody knows whether one landed, it is needed so that the repeat is the same one.
    It goes with the end of the delivery.
    """
    waiting = Batch.objects.filter(pk=batch_id, state=BatchState.PENDING, ambiguous_at=None, body__isnull=False)
    destination = waiting.values_list("destination_id", flat=True).first()
    lease = acquire(destination, HOLDER) if destination is not None else None
    if lease is None:
        return
    try:
        with fenced(lease):
            waiting.update(body=None)
    finally:
        release(lease)


def _ids(rows: Sequence[archive.Buried]) -> Erased:
    return {form: [row.submission_id for row in found] for form, found in archive.by_form(rows).items()}
