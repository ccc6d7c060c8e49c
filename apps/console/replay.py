"""After a restore: erase once more what the journal says was erased, before consumers and workers start."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from django.db import transaction

from apps.archive import erasing as archive
from apps.forms.models import Form
from apps.sinks import erasing as ledger
from formhub.core.journal import Entry, Journal

CHUNK = 1000


@dataclass(slots=True)
class Replayed:
    """lines: of the journal. rows: of the archive that were there again. forms: that were there again."""

    lines: int = 0
    rows: int = 0
    forms: int = 0


def replay(journal: Journal) -> Replayed:
    """May be ended and repeated. Raises OSError when the journal cannot be read."""
    done = Replayed()
    for entries in _portions(journal.entries()):
        for form, ids in _by_form(entries).items():
            with transaction.atomic():
                archive.bury(form, ids, journaled=True)
                done.rows += archive.remove(form, ids)
                ledger.clear(form, ids)
        for entry in entries:
            if entry.submission is None:
                done.forms += _bury_form(entry.form)
        done.lines += len(entries)
    return done


def missing(entries: Iterable[Entry]) -> int:
    """How many of these the database does not know of: then it was restored, and the journal not replayed yet."""
    wanted = list(entries)
    pairs = {(entry.form, entry.submission) for entry in wanted if entry.submission is not None}
    forms = {entry.form for entry in wanted if entry.submission is None}
    return len(pairs - archive.buried(pairs)) + len(forms - archive.buried_forms(forms))


def _bury_form(form_id: UUID) -> int:
    """A form that came back is deleted as well, or it would take answers that go nowhere; 1 if it had come back."""
    with transaction.atomic():
        archive.bury_form(form_id, journaled=True)
        found = Form.objects.filter(pk=form_id)
        there = found.count()
        found.delete()
    while archive.remove_some(form_id, CHUNK):
        pass
    return there


def _by_form(entries: Iterable[Entry]) -> dict[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    for entry in entries:
        if entry.submission is not None:
            found.setdefault(entry.form, []).append(entry.submission)
    return found


def _portions(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while some := list(islice(entries, CHUNK)):
        yield some
