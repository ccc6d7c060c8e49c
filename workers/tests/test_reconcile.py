"""What is owed and written down nowhere is found, and delivered once."""

from collections.abc import Sequence
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.console import figures
from apps.sinks import actions
from apps.sinks.contract import PermanentError, RetryableError
from apps.sinks.models import BatchItem, Binding, Destination, Walk
from apps.sinks.tests.kinds import Shelf, raising
from formhub.core.clock import ManualClock
from workers import backfill, reconcile
from workers.management.commands import reconcile as command
from workers.rooms import Place
from workers.tests.conftest import Cast, ids

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def everything(cast: Cast) -> None:
    """A day's comparison to its end."""
    reconcile.begin()
    while reconcile.step(cast.archive) is not None:
        pass


def missing() -> int:
    return sum(figures.read().missing.values())


@pytest.fixture
def delivered(cast: Cast) -> Binding:
    action = cast.action()
    cast.archive.add(cast.form, 30)
    cast.flush(action)
    Destination.objects.update(next_attempt_at=None)
    return action


def test_a_row_that_came_into_the_archive_late_is_delivered(cast: Cast, delivered: Binding) -> None:
    row = cast.archive.add_at(cast.form, -1)
    Binding.objects.update(since=-5)

    everything(cast)
    assert missing() == 1
    cast.flush(delivered)

    assert Shelf.rows("oak")[-1] == row.id
    assert Shelf.rows("oak").count(row.id) == 1
    assert missing() == 0


def test_items_that_a_restored_ledger_lost_are_delivered_again(cast: Cast, delivered: Binding) -> None:
    lost = Shelf.rows("oak")[3:7]
    BatchItem.objects.filter(submission_id__in=lost).delete()

    everything(cast)
    cast.flush(delivered)

    assert Shelf.rows("oak")[30:] == lost
    assert Shelf.offers[-1].ids == lost
    assert BatchItem.objects.count() == 30


def test_what_is_missing_among_the_recent_is_found_within_a_minute(cast: Cast, delivered: Binding) -> None:
    lost = Shelf.rows("oak")[29]
    BatchItem.objects.filter(submission_id=lost).delete()

    reconcile.recent(cast.archive)
    cast.flush(delivered)

    assert Shelf.rows("oak").count(lost) == 2


def test_a_destination_is_woken_for_what_was_found(cast: Cast, delivered: Binding) -> None:
    BatchItem.objects.filter(submission_id=Shelf.rows("oak")[0]).delete()

    everything(cast)

    assert Destination.objects.get().next_attempt_at is not None


def test_nothing_is_missing_where_everything_is_in_order(cast: Cast, delivered: Binding) -> None:
    cast.archive.add(cast.form, 5)  # they wait for the next flush
    Shelf.script = [raising(PermanentError("No.", code="no", ids=frozenset()))]

    everything(cast)
    reconcile.recent(cast.archive)

    assert missing() == 0
    assert not Walk.objects.filter(purpose=Walk.Purpose.FILL).exists()


def test_failed_submissions_and_those_in_a_delivery_are_not_missing(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 10)
    Shelf.script = [raising(PermanentError("No.", code="no", ids=frozenset(ids(rows[:2]))))]
    Shelf.script.append(raising(RetryableError("Down.")))
    cast.flush(action)

    everything(cast)

    assert missing() == 0


def test_what_no_condition_or_revision_owes_is_not_missing(cast: Cast) -> None:
    action = cast.action(condition={"==": [{"var": "n"}, 1]})
    cast.archive.add(cast.form, 4)
    actions.switch_off(action, position=4)
    cast.archive.add(cast.form, 2)
    actions.switch_on(action, position=6)
    cast.archive.add(cast.form, 2)
    cast.flush(action)

    everything(cast)

    assert missing() == 0


def test_what_a_back_fill_has_yet_to_deliver_is_not_missing(cast: Cast) -> None:
    cast.archive.add(cast.form, 10)
    action = cast.action(position=10)
    actions.back_fill(action, -1)
    actions.pause_back_fill(action, paused=True)

    everything(cast)
    reconcile.recent(cast.archive)

    assert missing() == 0


def test_a_comparison_goes_on_where_it_was_ended(
    cast: Cast, delivered: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "LOOK", 7)
    lost = [Shelf.rows("oak")[index] for index in (2, 28)]
    BatchItem.objects.filter(submission_id__in=lost).delete()
    reconcile.begin()
    reconcile.step(cast.archive)

    assert reconcile.begin() == 0  # the one under way is not begun again
    assert Walk.objects.get(purpose=Walk.Purpose.CHECK).cursor == 6
    everything(cast)
    cast.flush(delivered)

    assert Shelf.rows("oak")[30:] == lost


def test_a_minutes_turn_compares_each_action_once_a_day(cast: Cast, delivered: Binding) -> None:
    for _ in range(2):
        reconcile.turn(cast.archive, ManualClock())

    assert Walk.objects.get(purpose=Walk.Purpose.CHECK).examined == 30


def test_what_is_compared_is_read_in_pieces_without_answers(
    cast: Cast, delivered: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    places = cast.archive.places

    def counted(form: UUID, position: int, below: int, limit: int) -> Sequence[Place]:
        read.append(limit)
        return places(form, position, below, limit)

    monkeypatch.setattr(cast.archive, "places", counted)
    monkeypatch.setattr(cast.archive, "by_ids", lambda form, wanted: pytest.fail("answers were read"))

    everything(cast)

    assert read == [backfill.LOOK]


def test_the_command_says_how_it_goes_and_what_was_missing(
    cast: Cast, delivered: Binding, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "archive", cast.archive)
    BatchItem.objects.filter(submission_id=Shelf.rows("oak")[0]).delete()

    call_command("reconcile", all=True)

    assert "30 submissions compared, 1 were missing" in capsys.readouterr().out


def test_a_turn_asks_no_more_of_the_database_for_idle_actions(cast: Cast, delivered: Binding) -> None:
    reconcile.turn(cast.archive, ManualClock())
    with CaptureQueriesContext(
        connection,
    ) as few:
        reconcile.turn(cast.archive, ManualClock())
    for number in range(50):
        cast.action(f"idle {number}", position=30)

    with CaptureQueriesContext(connection) as many:
        reconcile.turn(cast.archive, ManualClock())

    assert len(many) == len(few)
