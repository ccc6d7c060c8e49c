from datetime import timedelta

import pytest
from django.utils import timezone

from apps.sinks import actions, replay
from apps.sinks.contract import PermanentError, RetryableError
from apps.sinks.models import Destination, Parked
from apps.sinks.tests.kinds import Shelf, raising
from formhub.core.clock import SystemClock
from workers import lease
from workers.buffer.base import Group
from workers.due import due, sweep
from workers.tests.conftest import KINDS, Cast, ids

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def tick(cast: Cast) -> dict[int, str]:
    return due(cast.buffer, SystemClock())


def sweeping(cast: Cast) -> dict[int, str]:
    sweep(cast.archive, cast.buffer, KINDS.__getitem__, SystemClock())
    return tick(cast)


def test_a_destination_with_a_full_batch_is_due_and_named_with_its_kind(cast: Cast) -> None:
    action = cast.action()
    cast.buffer.append([Group(action.pk, action.destination_id, 5, 1, [(1, action.organization_id)])], 0)

    assert tick(cast) == {action.destination_id: "shelf"}
    assert tick(cast) == {}


def test_a_wait_that_is_over_makes_a_destination_due_once_for_two_beats(cast: Cast) -> None:
    action = cast.action()
    Destination.objects.update(next_attempt_at=timezone.now())

    assert tick(cast) == {action.destination_id: "shelf"}
    assert tick(cast) == {}


def test_a_task_that_was_lost_is_queued_again(cast: Cast) -> None:
    action = cast.action()
    Destination.objects.update(next_attempt_at=timezone.now())
    tick(cast)
    Destination.objects.update(queued_until=timezone.now())

    assert tick(cast) == {action.destination_id: "shelf"}


def test_a_hint_does_not_shorten_a_wait(cast: Cast) -> None:
    action = cast.action()
    cast.buffer.set_due([action.destination_id], 0)
    Destination.objects.update(next_attempt_at=timezone.now() + timedelta(minutes=1))

    assert tick(cast) == {}


def test_a_destination_that_somebody_is_at_is_left_to_them(cast: Cast) -> None:
    action = cast.action()
    cast.buffer.set_due([action.destination_id], 0)
    lease.acquire(action.destination_id, "somebody")

    assert tick(cast) == {}


def test_a_destination_that_is_gone_is_forgotten(cast: Cast) -> None:
    cast.buffer.set_due([4711], 0)

    assert tick(cast) == {}
    assert cast.buffer.due(1e12, 10, 1e12) == []


def test_ticks_go_on_by_the_database_when_the_buffer_is_away(cast: Cast) -> None:
    action = cast.action()
    cast.buffer.broken = True
    Destination.objects.update(next_attempt_at=timezone.now())

    assert tick(cast) == {action.destination_id: "shelf"}


def test_the_sweep_finds_what_no_buffer_lists(cast: Cast) -> None:
    action = cast.action()
    assert sweeping(cast) == {}
    rows = cast.archive.add(cast.form, 3)

    assert sweeping(cast) == {action.destination_id: "shelf"}
    cast.flush(action)
    assert Shelf.rows("oak") == ids(rows)
    assert sweeping(cast) == {}


def test_the_sweep_finds_a_batch_that_nobody_finishes(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 1)
    Shelf.script = [raising(RetryableError("Down."))]
    cast.flush(action)
    Destination.objects.update(next_attempt_at=None)

    assert sweeping(cast) == {action.destination_id: "shelf"}


def test_the_sweep_finds_failed_submissions_to_be_tried_again(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 1)
    Shelf.script = [raising(PermanentError("No.", code="no"))]
    cast.flush(action)
    replay.ask_failed(Parked.objects.all())
    Destination.objects.update(next_attempt_at=None)

    assert sweeping(cast) == {action.destination_id: "shelf"}


def test_the_sweep_leaves_actions_alone_that_are_paused_or_off_and_done(cast: Cast) -> None:
    paused, off = cast.action("oak"), cast.action("elm")
    actions.pause(paused)
    actions.switch_off(off, position=0)
    Destination.objects.update(next_attempt_at=None)
    cast.archive.add(cast.form, 3)

    assert sweeping(cast) == {}


def test_the_sweep_clears_the_buffer_of_actions_that_were_deleted(cast: Cast) -> None:
    action = cast.action()
    cast.buffer.append([Group(action.pk, action.destination_id, 5, 9, [(1, action.organization_id)])], 0)
    action.delete()

    sweeping(cast)

    assert cast.buffer.total() == 0
