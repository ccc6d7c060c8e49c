from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.sinks import actions, queries
from apps.sinks.config import Settings
from apps.sinks.models import Batch, BatchItem, BatchState, Binding, Parked
from apps.sinks.queries import Counts, Standing
from apps.sinks.tests.kinds import Shelf

pytestmark = [pytest.mark.services, pytest.mark.django_db]
FORM, SUBMISSION = uuid4(), uuid4()


def an_action(**changes: Any) -> Binding:
    values = {"organization_id": uuid4(), "form_id": FORM, "name": "Oak", "position": 10, **changes}
    return actions.create(sink=Shelf, settings=Settings({"shelf": "oak"}, {}), **values)


def an_item(binding: Binding, state: BatchState, submission: UUID = SUBMISSION) -> Batch:
    batch = Batch.objects.create(
        organization_id=binding.organization_id,
        destination=binding.destination,
        sequence=Batch.objects.count(),
        state=state,
        last_error="Down." if state != BatchState.DELIVERED else "",
        finished_at=timezone.now() if state == BatchState.DELIVERED else None,
    )
    BatchItem.objects.create(binding=binding, submission_id=submission, batch=batch, position=12)
    return batch


def a_parked(binding: Binding, **changes: Any) -> Parked:
    return Parked.objects.create(
        organization_id=binding.organization_id,
        binding=binding,
        form_id=FORM,
        submission_id=SUBMISSION,
        position=12,
        code="too_long",
        message="Too long.",
        **changes,
    )


def standing(position: int = 12, answers: dict[str, Any] | None = None) -> tuple[Standing, str]:
    [state] = queries.states(FORM, SUBMISSION, position, answers)
    return state.standing, state.why


def test_what_no_delivery_has_taken_yet_waits() -> None:
    an_action()

    assert standing() == (Standing.WAITING, "")


def test_a_delivered_submission_says_when() -> None:
    batch = an_item(an_action(), BatchState.DELIVERED)

    [state] = queries.states(FORM, SUBMISSION, 12)
    assert (state.standing, state.at, state.name) == (Standing.DELIVERED, batch.finished_at, "Oak")


def test_one_under_way_waits_and_shows_the_last_trouble() -> None:
    an_item(an_action(), BatchState.AMBIGUOUS)

    assert standing() == (Standing.WAITING, "Down.")


def test_a_failed_one_says_why() -> None:
    a_parked(an_action())

    assert standing() == (Standing.FAILED, "Too long.")


def test_a_failed_one_that_will_be_tried_again_waits() -> None:
    a_parked(an_action(), again=True)

    assert standing() == (Standing.WAITING, "Too long.")


def test_what_came_before_the_action_is_not_its_business() -> None:
    an_action()

    assert standing(position=9) == (Standing.NOT_APPLICABLE, "")


def test_what_came_while_it_was_off_is_not_its_business() -> None:
    actions.switch_off(an_action(), position=11)

    assert standing() == (Standing.NOT_APPLICABLE, "")


def test_what_is_settled_without_a_delivery_was_not_owed() -> None:
    an_action()
    Binding.objects.update(settled_to=12)

    assert standing() == (Standing.NOT_APPLICABLE, "")


def test_the_condition_tells_before_the_delivery_does() -> None:
    an_action(condition={"==": [{"var": "n"}, 1]})

    assert standing(answers={"n": 2}) == (Standing.NOT_APPLICABLE, "")
    assert standing(answers={"n": 1}) == (Standing.WAITING, "")


def test_many_actions_cost_no_more_queries_than_one(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(5):
        an_action()

    with django_assert_num_queries(5):
        assert len(queries.states(FORM, SUBMISSION, 12)) == 5


def test_counts_tell_what_was_delivered_what_is_under_way_and_what_failed() -> None:
    action = an_action()
    an_item(action, BatchState.PENDING, uuid4())
    an_item(action, BatchState.DELIVERED, uuid4())
    a_parked(action)
    Binding.objects.update(delivered=7)

    assert queries.counts([action.pk, 4711]) == {action.pk: Counts(delivered=7, sending=1, failed=1)}
