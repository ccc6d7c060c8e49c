"""Late deliveries of what lies below `settled_to`: an action filled from the archive."""

import pytest

from apps.sinks import actions
from apps.sinks.contract import RetryableError
from apps.sinks.models import Batch, Destination, Walk
from apps.sinks.tests.kinds import Shelf, raising
from workers import backfill
from workers.tests.conftest import Cast, ids

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def the_fill() -> Walk:
    return Walk.objects.get(purpose=Walk.Purpose.FILL)


def test_a_new_action_is_filled_in_order_and_marked_late(cast: Cast) -> None:
    old = cast.archive.add(cast.form, 25)
    action = cast.action(position=25)

    actions.back_fill(action, -1)
    cast.flush(action)

    assert Shelf.rows("oak") == ids(old)
    assert list(Batch.objects.order_by("sequence").values_list("late", "size")) == [(True, 10), (True, 10), (True, 5)]
    fill = the_fill()
    assert (fill.state, fill.examined, fill.found) == (Walk.State.DONE, 25, 25)


def test_live_submissions_take_turns_with_a_fill(cast: Cast) -> None:
    old = cast.archive.add(cast.form, 40)
    action = cast.action(position=40)
    actions.back_fill(action, -1)
    live = cast.archive.add(cast.form, 20)

    cast.flush(action)

    turns = [["late" if batch.ids[0] in ids(old) else "live"] for batch in Shelf.offers]
    assert [turn for [turn] in turns] == ["late", "live", "late", "live", "late", "late"]
    delivered = Shelf.rows("oak")
    assert [id for id in delivered if id in ids(live)] == ids(live)
    assert [id for id in delivered if id in ids(old)] == ids(old)


def test_a_long_stretch_with_nothing_to_fill_does_not_hold_live_ones_up(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "LOOK", 2)
    monkeypatch.setattr(backfill, "STEPS", 1)
    action = cast.action()
    cast.archive.add(cast.form, 30)
    cast.flush(action)
    actions.back_fill(action, -1)
    live = cast.archive.add(cast.form, 1)

    cast.flush(action)

    assert Shelf.rows("oak")[-1] == live[0].id
    assert len(Shelf.rows("oak")) == 31
    assert the_fill().state == Walk.State.DONE


def test_what_was_delivered_already_is_passed_over_however_often_one_fills(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 12)
    cast.flush(action)

    for _ in range(2):
        actions.back_fill(action, -1)
        cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)
    assert the_fill().found == 0


def test_only_what_is_owed_is_filled(cast: Cast) -> None:
    rows = cast.archive.add(cast.form, 4)
    action = cast.action(position=4, condition={">=": [{"var": "n"}, 2]})

    actions.back_fill(action, 0)
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows[2:])


def test_a_fill_that_is_put_off_stands_still_and_goes_on_where_it_stood(cast: Cast) -> None:
    old = cast.archive.add(cast.form, 25)
    action = cast.action(position=25)
    actions.back_fill(action, -1)
    Shelf.script = [None, raising(RetryableError("Down."))]
    cast.flush(action)
    actions.pause_back_fill(action, paused=True)
    live = cast.archive.add(cast.form, 3)

    cast.flush(action)
    # What was given to a delivery already is delivered all the same.
    assert Shelf.rows("oak") == ids(old[:20] + live)

    actions.pause_back_fill(action, paused=False)
    cast.flush(action)
    assert Shelf.rows("oak") == ids(old[:20] + live + old[20:])


def test_a_paused_action_is_filled_when_it_is_resumed(cast: Cast) -> None:
    old = cast.archive.add(cast.form, 3)
    action = cast.action(position=3)
    actions.pause(action)
    actions.back_fill(action, -1)
    cast.flush(action)
    assert Shelf.offers == []

    actions.resume(action)
    cast.flush(action)

    assert Shelf.rows("oak") == ids(old)


def test_items_of_a_late_batch_that_is_taken_apart_are_not_forgotten(cast: Cast) -> None:
    old = cast.archive.add(cast.form, 3)
    action = cast.action(position=3)
    actions.back_fill(action, -1)
    Shelf.script = [raising(RetryableError("Down."))]
    cast.flush(action)
    actions.pause(action)
    cast.flush(action)

    actions.resume(action)
    cast.flush(action)

    assert Shelf.rows("oak") == ids(old)


def test_a_fill_of_several_actions_goes_round(cast: Cast) -> None:
    old = cast.archive.add(cast.form, 20)
    first, second = cast.action(position=20), cast.action(position=20)
    for action in (first, second):
        actions.back_fill(action, -1)

    cast.flush(first)

    assert [batch.parts[0].binding for batch in Shelf.offers] == [first.pk, second.pk, first.pk, second.pk]
    assert Shelf.rows("oak").count(old[0].id) == 2  # once for each of them


def test_a_worker_that_dies_in_the_middle_leaves_nothing_out(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    old = cast.archive.add(cast.form, 25)
    action = cast.action(position=25)
    actions.back_fill(action, -1)
    Shelf.script = [None, raising(KeyboardInterrupt())]  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        cast.flush(action)
    Destination.objects.update(leased_until=None)

    cast.flush(action)

    assert Shelf.rows("oak") == ids(old)
