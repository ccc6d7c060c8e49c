"""The ledger against a simple model: whatever fails in between, each submission stands on the shelf once and in order,
or is parked, and once everything works again none is missing.
"""

from collections.abc import Callable
from uuid import UUID

import pytest
from django.db.models import Count
from hypothesis import HealthCheck, given
from hypothesis import settings as bounds
from hypothesis import strategies as st

from apps.sinks.contract import AmbiguousError, Batch, PermanentError, RetryableError
from apps.sinks.models import BatchItem, Binding, Destination, Parked
from apps.sinks.tests.kinds import Shelf, after_landing, raising
from workers.tests.conftest import Cast, ids

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


class Killed(BaseException):
    """The worker is gone in the middle of a call: nothing is written down any more."""


def landed(batch: Batch) -> bool:
    return any(each.id == batch.id for shelf in Shelf.shelves.values() for each in shelf)


def truly(error: Callable[[Batch], BaseException]) -> Callable[[Batch], None]:
    """A sink says "certainly not delivered" only of what is not."""

    def step(batch: Batch) -> None:
        if not landed(batch):
            raise error(batch)

    return step


CALLS: dict[str, Callable[[Batch], None]] = {
    "not now": truly(lambda batch: RetryableError("not now")),
    "answer lost": after_landing(AmbiguousError("silence")),
    "lost before it arrived": raising(AmbiguousError("silence")),
    "killed before the call": raising(Killed()),  # type: ignore[arg-type]
    "killed after the call": after_landing(Killed()),  # type: ignore[arg-type]
    "one is refused": truly(lambda batch: PermanentError("refused", code="bad", ids=frozenset(batch.ids[:1]))),
    "all is refused": truly(lambda batch: PermanentError("refused", code="bad")),
}
steps = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 25)),
    st.tuples(st.just("flush"), st.sampled_from(["works", *CALLS])),
    st.tuples(st.just("again"), st.sampled_from(["buffer emptied", "buffer away", "set back", "rest"])),
)


@given(history=st.lists(steps, min_size=1, max_size=8))
@bounds(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_is_delivered_once_and_in_order_or_parked(cast: Cast, history: list[tuple[str, object]]) -> None:
    cast = Cast()  # a form of its own for each history
    shelf = f"shelf {cast.form}"
    action = cast.action(shelf)
    added: list[UUID] = []

    for step, what in history:
        if step == "add":
            assert isinstance(what, int)
            added += ids(cast.archive.add(cast.form, what))
        elif step == "flush":
            flush(cast, action, str(what))
        else:
            disturb(cast, action, str(what))
        promised(action, Shelf.rows(shelf), added)

    cast.buffer.broken = False
    for _ in range(3):
        flush(cast, action, "works")
    assert set(Shelf.rows(shelf)) | parked(action) == set(added)


def promised(action: Binding, delivered: list[UUID], added: list[UUID]) -> None:
    put_aside = parked(action)
    assert delivered == [id for id in added if id in set(delivered)], "once each, in the order of the log"
    assert not put_aside & set(delivered)
    twice = BatchItem.objects.filter(binding=action).values("submission_id").annotate(n=Count("batch_id"))
    assert not twice.filter(n__gt=1).exists()


def parked(action: Binding) -> set[UUID]:
    return set(Parked.objects.filter(binding=action).values_list("submission_id", flat=True))


def flush(cast: Cast, action: Binding, call: str) -> None:
    """By a worker that comes when every wait and every lease is over."""
    Destination.objects.filter(pk=action.destination_id).update(leased_until=None)
    Shelf.script = [CALLS[call]] if call in CALLS else []
    try:
        cast.flush(action)
    except Killed:
        pass
    finally:
        Shelf.script = []


def disturb(cast: Cast, action: Binding, what: str) -> None:
    match what:
        case "buffer emptied":
            cast.buffer.clear()
        case "buffer away":
            cast.buffer.broken = not cast.buffer.broken
        case "set back":
            Binding.objects.filter(pk=action.pk).update(settled_to=-1)
