from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from apps.sinks import actions, replay
from apps.sinks.contract import (
    AmbiguousError,
    BackpressureError,
    Batch,
    ConfigurationError,
    Confirmation,
    PermanentError,
    RetryableError,
)
from apps.sinks.models import Batch as Delivery
from apps.sinks.models import BatchItem, BatchState, Binding, Destination, Parked
from apps.sinks.tests.kinds import Letterbox, Shelf, after_landing, raising
from workers import lease, ledger, outcomes
from workers.buffer.base import Group
from workers.outcomes import Trouble
from workers.tests.conftest import Cast, ids

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def states() -> list[str]:
    return list(Delivery.objects.order_by("sequence").values_list("state", flat=True))


def test_what_waits_is_delivered_in_order_and_in_full_batches(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 25)

    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)
    assert [len(batch.ids) for batch in Shelf.offers] == [10, 10, 5]
    assert [batch.sequence for batch in Shelf.offers] == [1, 2, 3]
    assert BatchItem.objects.count() == 25
    action.refresh_from_db()
    assert action.settled_to == 24


def test_nothing_is_delivered_twice_however_often_one_asks(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 3)

    cast.flush(action)
    actions.back_fill(action, -1)
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)


def test_only_what_lies_below_the_archives_own_bound_is_taken(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 5)
    cast.archive.hold_back(cast.form, 3)

    cast.flush(action)
    assert Shelf.rows("oak") == ids(rows[:3])

    cast.archive.hold_back(cast.form, 5)
    cast.flush(action)
    assert Shelf.rows("oak") == ids(rows)


def test_several_actions_of_one_destination_share_a_batch(cast: Cast) -> None:
    other = uuid4()
    first, second = cast.action(), cast.action(form_id=other)
    rows, others = cast.archive.add(cast.form, 2), cast.archive.add(other, 3)

    cast.flush(first)

    [batch] = Shelf.offers
    assert [part.binding for part in batch.parts] == [first.pk, second.pk]
    assert batch.ids == ids(rows) + ids(others)


def test_a_flood_on_one_action_leaves_room_for_the_other(cast: Cast) -> None:
    quiet = uuid4()
    cast.action()
    second = cast.action(form_id=quiet)
    cast.archive.add(cast.form, 100)
    rows = cast.archive.add(quiet, 2)

    cast.flush(second)

    assert set(ids(rows)) <= set(Shelf.offers[0].ids)


def test_a_batch_ends_at_its_bytes_and_one_that_is_larger_goes_alone(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 3, text="x" * 1_000_000)
    cast.archive.add(cast.form, 1, text="x" * 2_000_000)

    cast.flush(action)

    assert [len(batch.ids) for batch in Shelf.offers] == [1, 1, 1, 1]


def test_a_kind_sees_only_the_chosen_fields_under_the_chosen_names_and_the_condition_sees_all(cast: Cast) -> None:
    selection = {"fields": [{"key": "n", "name": "number", "label": "How many"}], "others": False}
    action = cast.action(selection=selection, condition={"==": [{"var": "secret"}, "x"]})
    cast.archive.add(cast.form, n=1, secret="x")

    cast.flush(action)

    [part] = Shelf.offers[0].parts
    assert [(column.key, column.label) for column in part.layout.columns] == [("number", "How many")]
    assert [submission.answers for submission in part.submissions] == [{"number": 1}]


def test_a_field_is_no_longer_sent_from_the_next_batch_on(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, n=1, secret="x")
    cast.flush(action)
    Binding.objects.update(selection={"fields": [{"key": "secret", "send": False}], "others": True})
    cast.archive.add(cast.form, n=2, secret="x")

    cast.flush(action)

    assert [batch.parts[0].submissions[0].answers for batch in Shelf.offers] == [{"n": 1, "secret": "x"}, {"n": 2}]


def test_the_condition_valid_at_a_position_decides(cast: Cast) -> None:
    action = cast.action(condition={"==": [{"var": "n"}, 1]})
    rows = cast.archive.add(cast.form, 4)
    actions.set_condition(action, {">=": [{"var": "n"}, 3]}, position=2)

    cast.flush(action)

    assert Shelf.rows("oak") == [rows[1].id, rows[3].id]


def test_a_condition_that_fails_parks_the_submission_with_the_reason(cast: Cast) -> None:
    action = cast.action(condition={"/": [{"var": "n"}, 0]})
    rows = cast.archive.add(cast.form, 1, n="text")

    cast.flush(action)

    assert list(Parked.objects.values_list("submission_id", "code")) == [(rows[0].id, "condition")]


def test_while_it_is_off_nothing_is_owed_and_what_came_before_is_delivered(cast: Cast) -> None:
    action = cast.action()
    before = cast.archive.add(cast.form, 2)
    actions.switch_off(action, position=2)
    cast.archive.add(cast.form, 3)

    cast.flush(action)
    assert Shelf.rows("oak") == ids(before)

    actions.switch_on(action, position=5)
    after = cast.archive.add(cast.form, 2)
    cast.flush(action)
    assert Shelf.rows("oak") == ids(before + after)


def test_a_paused_action_goes_on_owing_and_resuming_delivers_in_order(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 2)
    actions.pause(action)
    cast.flush(action)
    assert Shelf.offers == []

    rows += cast.archive.add(cast.form, 2)
    actions.resume(action)
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)


def test_an_action_owes_nothing_from_before_it_was_made_until_it_is_filled(cast: Cast) -> None:
    rows = cast.archive.add(cast.form, 4)
    action = cast.action(position=3)

    cast.flush(action)
    assert Shelf.rows("oak") == ids(rows[3:])

    actions.back_fill(action, -1)
    cast.flush(action)
    assert Shelf.rows("oak") == ids(rows[3:] + rows[:3])


def test_an_erased_submission_is_not_delivered_on_a_repeat(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 2)
    Shelf.script = [raising(RetryableError("Down."))]
    cast.flush(action)

    cast.archive.erase(cast.form, rows[0].id)
    cast.flush(action)

    assert Shelf.rows("oak") == [rows[1].id]


def test_after_a_failure_the_same_batch_is_offered_before_anything_new(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 2)
    Shelf.script = [raising(RetryableError("Down.", after=5))]
    cast.flush(action)
    assert Destination.objects.get().next_attempt_at is not None

    rows += cast.archive.add(cast.form, 2)
    cast.flush(action)

    first, again, rest = Shelf.offers
    assert (again.id, again.sequence, again.ids) == (first.id, first.sequence, first.ids)
    assert (first.attempt, again.attempt, rest.attempt) == (1, 2, 1)
    assert Shelf.rows("oak") == ids(rows)


def test_a_destination_that_has_to_wait_is_not_called(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 1)
    Destination.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))

    cast.flusher().flush(action.destination_id)

    assert Shelf.offers == []


def test_a_lost_answer_is_met_with_the_same_batch(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 2)
    Shelf.script = [after_landing(AmbiguousError("Lost."))]

    cast.flush(action)
    assert states() == ["ambiguous"]
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)
    assert Shelf.offers[1].ambiguous is not None
    assert states() == ["delivered"]


@pytest.mark.parametrize(
    ("confirmation", "landed"),
    [
        pytest.param(Confirmation.LANDED, 1, id="landed: not sent again"),
        pytest.param(Confirmation.ABSENT, 2, id="absent: sent again"),
        pytest.param(Confirmation.UNKNOWN, 2, id="unknown: sent again, at least once is the promise"),
    ],
)
def test_where_a_repeat_does_harm_the_sink_is_asked_first(cast: Cast, confirmation: Confirmation, landed: int) -> None:
    action = cast.action(kind=Letterbox)
    rows = cast.archive.add(cast.form, 1)
    Letterbox.script, Letterbox.confirmation = [after_landing(AmbiguousError("Lost."))], confirmation

    cast.flush(action)
    cast.flush(action)

    assert Letterbox.rows("oak") == ids(rows) * landed
    assert states() == ["delivered"]


def test_a_schedule_that_is_used_up_parks_the_batch(cast: Cast) -> None:
    action = cast.action(kind=Letterbox)
    rows = cast.archive.add(cast.form, 2)
    Letterbox.script = [raising(RetryableError("Down."))] * 3
    for _ in range(3):
        cast.flush(action)

    assert list(Parked.objects.order_by("position").values_list("submission_id", "code", "attempts")) == [
        (rows[0].id, "gave_up", 3),
        (rows[1].id, "gave_up", 3),
    ]
    assert BatchItem.objects.count() == 0


def test_back_pressure_counts_as_no_attempt(cast: Cast) -> None:
    action = cast.action(kind=Letterbox)
    cast.archive.add(cast.form, 1)
    Letterbox.script = [raising(BackpressureError("Full.", after=30))] * 5

    for _ in range(5):
        cast.flush(action)
    assert Parked.objects.count() == 0
    assert Destination.objects.get().failures == 0
    cast.flush(action)

    assert {batch.attempt for batch in Letterbox.offers} == {1}
    assert states() == ["delivered"]


def test_refused_submissions_that_are_named_are_parked_and_the_rest_goes_on(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 4)
    Shelf.script = [raising(PermanentError("Too long.", code="too_long", ids=frozenset({rows[1].id})))]

    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows[:1] + rows[2:])
    assert Shelf.offers[1].id != Shelf.offers[0].id
    assert list(Parked.objects.values_list("submission_id", "code", "message")) == [
        (rows[1].id, "too_long", "Too long.")
    ]


def refusing(bad: set[UUID]) -> object:
    def check(batch: Batch) -> None:
        if bad & set(batch.ids):
            raise PermanentError("Refused.", code="refused")

    return staticmethod(check)


@pytest.mark.parametrize("bad", [0, 3, 9], ids=["the first", "one in the middle", "the last"])
def test_a_refused_batch_is_divided_until_the_bad_one_stands_alone(cast: Cast, bad: int) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 12)
    Shelf.always = refusing({rows[bad].id})  # type: ignore[assignment]

    cast.flush(action)

    assert Shelf.rows("oak") == [row.id for row in rows if row is not rows[bad]]
    assert list(Parked.objects.values_list("submission_id", flat=True)) == [rows[bad].id]
    assert len(Shelf.offers) <= 9
    assert len({batch.sequence for batch in Shelf.offers}) == len(Shelf.offers)


def test_two_bad_ones_are_found_and_the_order_stays(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 10)
    Shelf.always = refusing({rows[2].id, rows[7].id})  # type: ignore[assignment]

    cast.flush(action)

    assert Shelf.rows("oak") == [row.id for row in rows if row not in (rows[2], rows[7])]
    assert Parked.objects.count() == 2


def test_wrong_settings_pause_the_action_and_say_what_to_do(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 3)
    Shelf.script = [raising(ConfigurationError("The shelf is gone.", remedy="Buy a shelf."))]

    cast.flush(action)
    action.refresh_from_db()
    assert (action.state, action.pause_reason, action.pause_remedy) == ("paused", "The shelf is gone.", "Buy a shelf.")

    rows += cast.archive.add(cast.form, 2)
    actions.resume(action)
    cast.flush(action)
    assert Shelf.rows("oak") == ids(rows)


def test_only_the_part_that_is_named_is_paused_and_the_other_goes_on_at_once(cast: Cast) -> None:
    other = uuid4()
    broken, sound = cast.action(), cast.action(form_id=other)
    rows, others = cast.archive.add(cast.form, 2), cast.archive.add(other, 2)
    Shelf.script = [raising(ConfigurationError("No such tab.", remedy="Choose a tab.", part=broken.pk))]

    cast.flush(sound)
    assert Shelf.rows("oak") == ids(others)

    actions.resume(broken)
    cast.flush(broken)
    assert Shelf.rows("oak") == ids(others + rows)


def test_a_part_is_not_taken_out_of_a_batch_that_may_have_landed(cast: Cast) -> None:
    other = uuid4()
    broken = cast.action()
    cast.action(form_id=other)
    rows, others = cast.archive.add(cast.form, 1), cast.archive.add(other, 1)
    Shelf.script = [
        after_landing(AmbiguousError("Lost.")),
        raising(ConfigurationError("No such tab.", remedy="Choose a tab.", part=broken.pk)),
    ]
    cast.flush(broken)
    cast.flush(broken)
    assert states() == ["ambiguous"]

    actions.resume(broken)
    cast.flush(broken)

    assert Shelf.rows("oak") == ids(rows + others)
    assert len({batch.id for batch in Shelf.offers}) == 1


def test_what_an_action_that_is_off_cannot_deliver_is_parked(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 2)
    actions.switch_off(action, position=2)
    Shelf.script = [raising(ConfigurationError("Gone.", remedy="None."))]

    cast.flush(action)

    assert list(Parked.objects.values_list("code", flat=True)) == ["configuration"] * 2
    action.refresh_from_db()
    assert action.state == "off"


def test_an_action_that_moves_takes_what_it_owes_along(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 2)
    Shelf.script = [raising(RetryableError("Down."))]
    cast.flush(action)
    former = Binding.objects.get()

    actions.configure(action, Shelf, cast.settings("elm"))
    cast.flush(former)
    cast.flush(action)

    assert Shelf.shelves.keys() == {"elm"}
    assert Shelf.rows("elm") == ids(rows)


def test_what_a_moved_action_takes_along_comes_before_what_is_newer(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 2)
    Shelf.script = [raising(RetryableError("Down."))]
    cast.flush(action)
    former = Binding.objects.get()

    actions.configure(action, Shelf, cast.settings("elm"))
    rows += cast.archive.add(cast.form, 1)
    cast.flush(action)
    action.destination.refresh_from_db()
    assert action.destination.next_attempt_at is not None, "it looks again by itself"
    cast.flush(former)
    cast.flush(action)

    assert Shelf.rows("elm") == ids(rows)


def test_it_comes_along_even_from_behind_what_may_have_landed(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 4)
    Shelf.script = [raising(PermanentError("Refused.", code="refused")), raising(AmbiguousError("Lost."))]
    cast.flush(action)  # refused, divided, and the answer to the first half was lost
    assert states() == ["refused", "ambiguous", "pending"]
    former = Binding.objects.get()

    actions.configure(action, Shelf, cast.settings("elm"))
    Shelf.script = [raising(AmbiguousError("Lost."))]
    cast.flush(former)
    cast.flush(action)

    assert Shelf.rows("elm") == ids(rows[2:])


def test_what_may_have_landed_at_the_former_destination_holds_nothing_up(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 2)
    Shelf.script = [raising(AmbiguousError("Lost."))]
    cast.flush(action)

    actions.configure(action, Shelf, cast.settings("elm"))
    newer = cast.archive.add(cast.form, 1)
    cast.flush(action)

    assert Shelf.rows("elm") == ids(newer)


def test_a_moved_action_is_not_paused_for_what_is_wrong_where_it_was(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 2)
    Shelf.script = [raising(AmbiguousError("Lost.")), raising(ConfigurationError("Gone.", remedy=""))]
    cast.flush(action)
    former = Binding.objects.get()

    actions.configure(action, Shelf, cast.settings("elm"))
    cast.flush(former)

    action.refresh_from_db()
    assert (action.state, states()) == ("on", ["ambiguous"])


def test_a_batch_that_may_have_landed_is_resolved_where_it_was_sent(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 2)
    Shelf.script = [after_landing(AmbiguousError("Lost."))]
    cast.flush(action)
    former = Binding.objects.get()

    actions.configure(action, Shelf, cast.settings("elm"))
    cast.flush(former)
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)
    assert Shelf.rows("elm") == []


def test_a_plug_in_that_fails_in_an_unknown_way_is_tried_a_few_times_then_parked(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 2, n="a secret answer")
    Shelf.script = [raising(KeyError("a secret answer"))] * 3

    for _ in range(3):
        cast.flush(action)

    messages = set(Parked.objects.values_list("code", "message"))
    assert messages == {("outcome_unknown", "The action failed unexpectedly (KeyError).")}


def test_where_nothing_landed_an_unknown_failure_is_narrowed_down(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 2)
    Shelf.confirmation = Confirmation.ABSENT

    def check(batch: Batch) -> None:
        if rows[0].id in batch.ids:
            raise ZeroDivisionError

    Shelf.always = staticmethod(check)
    for _ in range(8):
        cast.flush(action)

    assert Shelf.rows("oak") == [rows[1].id]
    assert Parked.objects.get().submission_id == rows[0].id


def test_a_failed_submission_is_tried_again_when_somebody_asks(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 3)
    Shelf.script = [raising(PermanentError("Too long.", code="too_long", ids=frozenset({rows[0].id})))]
    cast.flush(action)

    replay.ask_failed(Parked.objects.all())
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows[1:] + rows[:1])
    assert Parked.objects.count() == 0
    assert Delivery.objects.get(pk=Shelf.offers[-1].id).late


def test_what_a_sink_keeps_is_there_on_the_repeat(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 1)

    def keep_and_fail(batch: Batch) -> None:
        batch.keep(b"rendered")
        raise AmbiguousError("Lost.")

    Shelf.script = [keep_and_fail]
    cast.flush(action)
    cast.flush(action)

    assert [batch.kept for batch in Shelf.offers] == [None, b"rendered"]
    assert Delivery.objects.get().body is None


class Killed(BaseException):
    """The worker's end: no handler sees it."""


@pytest.mark.parametrize("step", ["freeze", "sending", "deliver", "delivered", "settle"])
def test_a_worker_that_dies_between_two_steps_loses_and_repeats_nothing(
    cast: Cast, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 15)

    def die(*args: object, **kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if step == "freeze":
            patch.setattr("workers.flush.Flusher._offer", die)
        elif step == "deliver":
            Shelf.script = [None, die]
        elif step == "settle":
            patch.setattr("workers.flush.Flusher._settle", die)
        else:
            patch.setattr(outcomes, step, die)
        patch.setattr("workers.flush.release", lambda lease: None)
        with pytest.raises(Killed):
            cast.flush(action)
    Destination.objects.update(leased_until=timezone.now())
    rows += cast.archive.add(cast.form, 3)
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)
    assert set(states()) == {"delivered"}


def test_a_holder_that_slept_through_its_lease_writes_nothing(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 2)

    def oversleep(batch: Batch) -> None:
        Destination.objects.update(leased_until=timezone.now())
        cast.flusher("two").flush(action.destination_id)
        raise PermanentError("Refused.", code="refused")

    Shelf.script = [oversleep]
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)
    assert Parked.objects.count() == 0
    assert states() == ["delivered"]
    assert Destination.objects.get().token == 2


def test_while_one_flusher_is_at_it_another_does_nothing(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 2)
    Shelf.script = [lambda batch: cast.flusher("two").flush(action.destination_id)]

    cast.flush(action)

    assert len(Shelf.offers) == 1


def test_no_function_of_the_ledger_works_with_an_old_token(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 2)
    Shelf.script = [raising(RetryableError("Down."))]
    cast.flush(action)
    batch = Delivery.objects.get()
    stale = lease.Lease(action.destination_id, token=0)

    attempts: list[Callable[[], object]] = [
        lambda: ledger.unfinished(stale),
        lambda: outcomes.sending(stale, batch, ""),
        lambda: outcomes.delivered(stale, batch, {}),
        lambda: outcomes.wait(stale, batch, Trouble("x", "x"), 1, ambiguous=False),
        lambda: outcomes.refuse(stale, batch, Trouble("x", "x"), None),
        lambda: outcomes.give_up(stale, batch, Trouble("x", "x")),
        lambda: outcomes.pause(stale, batch, Trouble("x", "x"), "x"),
        lambda: outcomes.keep(stale, batch, b"x"),
    ]
    for attempt in attempts:
        with pytest.raises(lease.LeaseLostError):
            attempt()
    assert states() == [BatchState.PENDING]


def test_a_buffer_that_is_away_stops_no_delivery(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 25)
    cast.buffer.broken = True

    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)


@pytest.mark.parametrize(
    ("read_below", "left"), [pytest.param(6, 0, id="of what was read"), pytest.param(5, 1, id="of what was not")]
)
def test_a_record_that_is_owed_to_nobody_is_forgotten_once_the_archive_has_read_it(
    cast: Cast, read_below: int, left: int
) -> None:
    """One that repeats a row of the archive, or that it cannot take; nothing comes after it."""
    action = cast.action()
    cast.archive.add(cast.form, 1)
    cast.flush(action)
    cast.buffer.append([Group(action.pk, action.destination_id, 10, 1000, [(5, uuid4())])], 0)
    cast.archive.hold_back(cast.form, read_below)

    cast.flush(action)

    assert cast.buffer.total() == left


def test_destinations_that_fail_take_only_their_share_of_the_workers(cast: Cast) -> None:
    dead = [cast.action(shelf, form_id=uuid4()) for shelf in ("a", "b", "c")]
    for action in dead:
        cast.archive.add(action.form_id, 1)
    Destination.objects.update(failures=3)
    for action in dead[:2]:
        assert lease.acquire(action.destination_id, "busy")

    cast.flush(dead[2])
    assert Shelf.offers == []

    Destination.objects.filter(pk=dead[2].destination_id).update(failures=0)
    cast.flush(dead[2])
    assert len(Shelf.offers) == 1


def test_a_worker_that_is_told_to_stop_ends_after_the_batch_and_leaves_the_rest_to_another(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 25)

    replace(cast.flusher(), stopping=lambda: True).flush(action.destination_id)

    assert Shelf.rows("oak") == ids(rows[:10])
    destination = Destination.objects.get(pk=action.destination_id)
    assert destination.leased_until is None
    assert destination.next_attempt_at is not None
    assert destination.next_attempt_at <= timezone.now()
    cast.flusher("another").flush(action.destination_id)
    assert Shelf.rows("oak") == ids(rows)
