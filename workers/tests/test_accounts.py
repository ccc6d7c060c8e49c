"""A kind with several accounts, and one whose destination is used up."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

import pytest

from apps.sinks import actions
from apps.sinks.contract import Account, AmbiguousError, BackpressureError, Policy, Rate, RelocatedError, RetryableError
from apps.sinks.models import Batch, Binding, BindingState
from apps.sinks.tests.kinds import Shelf, after_landing, raising
from workers.tests.conftest import KINDS, Cast, ids

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


class Porters(Shelf):
    """Two accounts, each with ten calls at once; those that the memory calls ill are left out."""

    name = "shelf"
    policy = Policy(max_items=10, max_seconds=5, repeatable=True, rates=(Rate("carry", 50, 1e6), Rate("lift", 50, 1e6)))

    @classmethod
    def accounts(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> Sequence[Account]:
        names = [name for name in ("ann", "ben") if name not in state.get("ill", ())]
        return [Account(name, {"carry": name, "lift": f"{name}'s arms"}) for name in names]


@pytest.fixture(autouse=True)
def _porters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(KINDS, "shelf", Porters)
    yield
    Porters.reset()


@pytest.fixture
def action(cast: Cast) -> Binding:
    return cast.action(kind=Porters)


def porters() -> list[str]:
    return [batch.account for batch in Porters.offers]


def test_calls_are_spread_over_the_accounts(cast: Cast, action: Binding) -> None:
    cast.archive.add(cast.form, 40)

    cast.flush(action)

    assert sorted(porters()) == ["ann", "ann", "ben", "ben"]


def test_a_batch_that_may_have_landed_keeps_its_account(cast: Cast, action: Binding) -> None:
    cast.archive.add(cast.form, 1)
    Porters.script = [after_landing(AmbiguousError("lost"))]

    flusher = cast.flusher()  # its limiter remembers that the first account has one call less
    for _ in range(2):
        action.destination.__class__.objects.filter(pk=action.destination_id).update(next_attempt_at=None)
        flusher.flush(action.destination_id)

    [first, again] = porters()
    assert first == again
    assert Batch.objects.get().account == first


def test_one_that_certainly_did_not_land_may_be_carried_by_another(cast: Cast, action: Binding) -> None:
    cast.archive.add(cast.form, 1)
    Porters.script = [raising(RetryableError("not now"))]

    flusher = cast.flusher()
    for _ in range(2):
        action.destination.__class__.objects.filter(pk=action.destination_id).update(next_attempt_at=None)
        flusher.flush(action.destination_id)

    assert sorted(porters()) == ["ann", "ben"]


def test_only_the_rate_that_is_used_up_is_emptied(cast: Cast, action: Binding) -> None:
    cast.archive.add(cast.form, 1)
    Porters.script = [raising(BackpressureError("full", after=60, rates=frozenset({"carry"})))]
    flusher = cast.flusher()

    flusher.flush(action.destination_id)

    [name] = porters()
    speaker = next(each for each in flusher._speakers(Porters, action) if each.account == name)
    used = {charge.rate.name: flusher.limiter.used([charge]) for charge in speaker.charges}
    assert used["carry"] > 0.9 > used["lift"]


def test_an_action_goes_on_at_its_next_destination(cast: Cast, action: Binding) -> None:
    rows = cast.archive.add(cast.form, 3)
    Porters.script = [raising(RelocatedError("oak is full", changes={"shelf": "elm"}, part=action.pk))]

    cast.flush(action)
    action.refresh_from_db()
    cast.flush(action)

    assert (action.config["shelf"], action.destination.key) == ("elm", "elm")
    assert (Porters.rows("oak"), Porters.rows("elm")) == ([], ids(rows))


def test_what_may_have_landed_is_found_out_before_the_action_moves(cast: Cast, action: Binding) -> None:
    rows = cast.archive.add(cast.form, 1)
    moved = RelocatedError("oak is full", changes={"shelf": "elm"}, part=action.pk)
    Porters.script = [after_landing(AmbiguousError("lost")), raising(moved), None]

    for _ in range(3):
        cast.flush(action)

    action.refresh_from_db()
    assert (Porters.rows("oak"), action.config["shelf"]) == (ids(rows), "oak")


def test_a_next_destination_that_is_anothers_pauses_the_action(cast: Cast, action: Binding, monkeypatch: Any) -> None:
    monkeypatch.setattr(Porters, "exclusive", True)
    stranger = Cast(organization=uuid4())
    stranger.action("elm", kind=Porters)
    cast.archive.add(cast.form, 1)
    Porters.script = [raising(RelocatedError("oak is full", changes={"shelf": "elm"}, part=action.pk))]

    cast.flush(action)

    action.refresh_from_db()
    assert (action.state, "Another organization" in action.pause_reason) == (BindingState.PAUSED, True)
    actions.resume(action)
