from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings

from apps.archive import erasing as archive
from apps.archive import offsets, queries, writer
from apps.archive.models import FormTombstone, Submission, Tombstone
from apps.archive.tests.rows import a_row
from apps.sinks import erasing as ledger
from apps.sinks.contract import AmbiguousError, RetryableError
from apps.sinks.contract import Batch as Offered
from apps.sinks.models import UNFINISHED, Batch, BatchItem, BatchState, Binding, Parked
from apps.sinks.tests.kinds import Shelf
from formhub.core.journal import Entry, Journal
from formhub.core.stream.base import partition_of
from workers import erasing
from workers.buffer.base import Group
from workers.lease import acquire
from workers.tests.conftest import Cast

pytestmark = [pytest.mark.services, pytest.mark.django_db]
AT_ONCE = timedelta(hours=-1)  # a test's transaction has one time from its beginning on


@pytest.fixture
def cast(cast: Cast) -> Cast:
    cast.archive = queries  # type: ignore[assignment]
    return cast


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def submitted(cast: Cast, *positions: int) -> list[UUID]:
    made = [a_row(place, form=cast.form, organization=cast.organization) for place in positions]
    writer.write(made)
    partition = partition_of(str(cast.form).encode(), settings.SUBMISSIONS_PARTITIONS)
    offsets.place("archive", settings.SUBMISSIONS_TOPIC, "topic", 0, {partition: max(positions) + 1})
    return [row.id for row in made]


def erase(cast: Cast, *ids: UUID) -> None:
    """As the console does it, in its one transaction."""
    archive.bury(cast.form, ids)
    archive.remove(cast.form, ids)
    ledger.clear(cast.form, ids)


def sweep(cast: Cast, journal: Journal, wait: timedelta = AT_ONCE) -> None:
    erasing.sweep(cast.buffer, journal, cast.clock, wait)


def finished() -> bool:
    return not Tombstone.objects.filter(finished_at=None).exists()


def keeping(body: bytes, error: Exception | None) -> Callable[[Offered], None]:
    """A call that keeps its body first, as a kind does that repeats it byte for byte."""

    def act(batch: Offered) -> None:
        batch.keep(body)
        if error is not None:
            raise error

    return act


def test_it_is_written_into_the_journal_and_forgotten_by_the_buffer(cast: Cast, journal: Journal) -> None:
    action = cast.action()
    one, other = submitted(cast, 1, 2)
    cast.buffer.append([Group(action.pk, action.destination_id, 10, 100, [(1, one), (2, other)])], 0)
    erase(cast, one)

    sweep(cast, journal)

    assert [(entry.form, entry.submission) for entry in journal.entries()] == [(cast.form, one)]
    assert cast.buffer.peek(action.pk, 10) == [(2, other)]
    assert finished()


def test_another_sweep_writes_no_further_line(cast: Cast, journal: Journal) -> None:
    erase(cast, uuid4())

    for _ in range(3):
        sweep(cast, journal)

    assert len(list(journal.entries())) == 1


def test_it_is_finished_only_when_nothing_from_before_it_can_be_left(cast: Cast, journal: Journal) -> None:
    erase(cast, uuid4())

    sweep(cast, journal, archive.SETTLED)

    assert not finished()
    assert len(list(journal.entries())) == 1


def test_a_row_that_a_transaction_from_before_it_brought_in_goes(cast: Cast, journal: Journal) -> None:
    [one] = submitted(cast, 1)
    archive.bury(cast.form, [one])

    sweep(cast, journal)

    assert not Submission.objects.exists()
    assert queries.count(cast.form) == 0
    assert finished()


def test_a_buffer_that_is_away_is_asked_again(cast: Cast, journal: Journal) -> None:
    action = cast.action()
    [one] = submitted(cast, 1)
    cast.buffer.append([Group(action.pk, action.destination_id, 10, 100, [(1, one)])], 0)
    erase(cast, one)
    cast.buffer.broken = True

    sweep(cast, journal)
    assert not finished()
    cast.buffer.broken = False
    sweep(cast, journal)

    assert cast.buffer.peek(action.pk, 10) == []
    assert finished()


def test_a_journal_that_cannot_be_written_keeps_it_open_and_says_so(cast: Cast, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    erase(cast, uuid4())

    with pytest.raises(OSError, match="file"):
        sweep(cast, Journal(tmp_path / "file"))

    assert not finished()
    sweep(cast, Journal(tmp_path / "folder"))
    assert finished()


def test_it_leaves_the_failed_submissions(cast: Cast, journal: Journal) -> None:
    action = cast.action()
    one, other = submitted(cast, 1, 2)
    for id in (one, other):
        Parked.objects.create(
            organization_id=cast.organization, binding=action, form_id=cast.form, submission_id=id, position=1,
            code="too_long", message="Too long.",
        )  # fmt: skip
    erase(cast, one)

    assert [row.submission_id for row in Parked.objects.all()] == [other]


def test_a_delivery_that_waits_loses_what_was_kept_and_goes_on_without_it(cast: Cast, journal: Journal) -> None:
    action = cast.action()
    one, other = submitted(cast, 1, 2)
    Shelf.script = [keeping(b"answers of both", RetryableError("full", after=1))]
    cast.flush(action)
    assert bytes(Batch.objects.get().body or b"") == b"answers of both"
    erase(cast, one)

    sweep(cast, journal)

    assert Batch.objects.get().body is None
    assert not finished()  # its end may park it, or something be kept again
    cast.flush(action)
    assert [offered.ids for offered in Shelf.offers][-1] == [other]
    assert Batch.objects.get().state == BatchState.DELIVERED
    sweep(cast, journal)
    assert finished()


def test_what_is_kept_stays_while_nobody_knows_whether_it_landed_and_goes_with_the_end(
    cast: Cast, journal: Journal
) -> None:
    action = cast.action()
    one, other = submitted(cast, 1, 2)
    Shelf.script = [keeping(b"marker", AmbiguousError("no answer"))]
    cast.flush(action)
    erase(cast, one)

    sweep(cast, journal)
    assert bytes(Batch.objects.get().body or b"") == b"marker"
    cast.flush(action)
    sweep(cast, journal)

    assert not Batch.objects.filter(state__in=UNFINISHED).exists()
    assert Batch.objects.get().body is None
    assert finished()
    assert Shelf.offers[-1].ids == [other]


def test_what_is_kept_stays_while_somebody_is_at_the_destination(cast: Cast, journal: Journal) -> None:
    action = cast.action()
    [one] = submitted(cast, 1)
    Shelf.script = [keeping(b"answers", RetryableError("full", after=1))]
    cast.flush(action)
    erase(cast, one)
    assert acquire(action.destination_id, "somebody") is not None

    sweep(cast, journal)

    assert Batch.objects.get().body is not None
    assert not finished()


def test_the_ledger_goes_on_knowing_its_id(cast: Cast, journal: Journal) -> None:
    action = cast.action()
    [one] = submitted(cast, 1)
    cast.flush(action)

    erase(cast, one)
    sweep(cast, journal)

    assert [item.submission_id for item in BatchItem.objects.all()] == [one]
    assert Binding.objects.get().delivered == 1


def test_an_action_that_reads_all_again_is_not_given_it(cast: Cast, journal: Journal) -> None:
    one, other = submitted(cast, 1, 2)
    erase(cast, one)
    writer.write([a_row(1, form=cast.form, organization=cast.organization, id=one)])  # the log is read again

    cast.flush(cast.action())

    assert [id for offered in Shelf.offers for id in offered.ids] == [other]


def test_a_deleted_forms_submissions_go_in_portions_and_stay_away(
    cast: Cast, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "CHUNK", 2)
    submitted(cast, *range(1, 6))
    archive.bury_form(cast.form)

    sweep(cast, journal)

    assert not Submission.objects.exists()
    assert list(journal.entries()) == [Entry(cast.form, None, next(iter(journal.entries())).at)]
    tombstone = FormTombstone.objects.get()
    assert (tombstone.submissions, tombstone.erased) == (5, 5)
    assert tombstone.finished_at is not None
    submitted(cast, 9)
    assert not Submission.objects.exists()


def test_a_sweep_that_runs_out_of_time_goes_on_with_the_next(
    cast: Cast, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "CHUNK", 2)
    monkeypatch.setattr(erasing, "BUDGET_SECONDS", 0.0)
    submitted(cast, *range(1, 6))
    archive.bury_form(cast.form)

    sweep(cast, journal)
    assert Submission.objects.count() == 3
    while FormTombstone.objects.get().finished_at is None:
        sweep(cast, journal)

    assert not Submission.objects.exists()


def test_every_night_what_came_back_is_erased_again(
    cast: Cast, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    [one] = submitted(cast, 1)
    row: Any = Submission.objects.get()
    erase(cast, one)
    sweep(cast, journal)
    row.save(force_insert=True)  # as a restored table would bring it

    erasing.nightly(journal, cast.clock, 400)
    sweep(cast, journal)

    assert not Submission.objects.exists()
    assert "were in the archive again" in caplog.text
