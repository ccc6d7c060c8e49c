"""A kind of action whose package was removed, or does not load: its actions wait, and go on once it is back."""

from dataclasses import replace

import pytest
from django.utils import timezone

from apps.sinks import actions
from apps.sinks.contract import RetryableError, Sink
from apps.sinks.models import Binding, Destination, Notice
from apps.sinks.registry import Registry, UnknownKindError
from apps.sinks.tests.kinds import Letterbox, Shelf, raising
from workers.due import resume_returned
from workers.tests.conftest import KINDS, Cast, ids

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def lacking(name: str) -> type[Sink]:
    """As a registry without shelves."""
    if name == "shelf":
        raise UnknownKindError("The kind of action 'shelf' is not installed.", "Install it.")
    return KINDS[name]


def flush_without_it(cast: Cast, action: Binding) -> Binding:
    Destination.objects.filter(pk=action.destination_id).update(next_attempt_at=timezone.now())
    replace(cast.flusher(), kinds=lacking).flush(action.destination_id)
    action.refresh_from_db()
    return action


def test_its_actions_pause_and_name_the_package_and_their_owners_are_told_once(cast: Cast) -> None:
    action = cast.action()
    Binding.objects.update(package="formhub-shelf 1.2")
    cast.archive.add(cast.form, 3)

    for _ in range(2):
        flush_without_it(cast, action)

    assert (action.state, action.pause_reason) == ("paused", "The kind of action 'shelf' is not installed.")
    assert action.pause_remedy == "Install it. It came with formhub-shelf 1.2."
    assert [notice.kind for notice in Notice.objects.all()] == [Notice.Kind.PAUSED]


def test_what_has_gathered_is_delivered_in_order_once_it_is_back(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 3)
    flush_without_it(cast, action)
    rows += cast.archive.add(cast.form, 2)

    resume_returned(lacking)
    action.refresh_from_db()
    assert action.state == "paused"
    resume_returned(KINDS.__getitem__)
    action.refresh_from_db()
    assert (action.state, action.pause_reason, action.pause_code) == ("on", "", "")

    cast.flush(action)
    assert Shelf.rows("oak") == ids(rows)


def test_a_batch_that_was_under_way_is_the_same_afterwards(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 3)
    Shelf.script = [raising(RetryableError("The shelf is being painted."))]
    cast.flush(action)

    flush_without_it(cast, action)
    cast.archive.add(cast.form, 2)
    resume_returned(KINDS.__getitem__)
    cast.flush(action)

    assert Shelf.offers[0].id == Shelf.offers[1].id
    assert Shelf.offers[1].ids == ids(rows)


def test_what_somebody_paused_stays_paused(cast: Cast) -> None:
    action = cast.action()
    actions.pause(action, "Paused by hand.")

    flush_without_it(cast, action)
    resume_returned(KINDS.__getitem__)

    action.refresh_from_db()
    assert (action.state, action.pause_reason) == ("paused", "Paused by hand.")


def test_what_an_action_that_is_off_owes_waits_too(cast: Cast) -> None:
    action = cast.action()
    rows = cast.archive.add(cast.form, 3)
    actions.switch_off(action, rows[-1].position + 1)

    flush_without_it(cast, action)
    assert action.state == "off"
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)


def test_actions_of_other_kinds_go_on(cast: Cast) -> None:
    away, sound = cast.action(), cast.action("post", kind=Letterbox)
    rows = cast.archive.add(cast.form, 3)

    flush_without_it(cast, away)
    flush_without_it(cast, sound)

    assert sound.state == "on"
    assert Letterbox.rows("post") == ids(rows)


def test_the_reason_holds_nothing_of_what_a_broken_module_says(cast: Cast) -> None:
    """It may hold a path or a secret, and is shown to owners of forms; `check` tells it to operators."""
    action = cast.action()
    broken = Registry({"shelf": "apps.sinks.tests.no_such_module.Shelf"}, "nobody.announces")
    Destination.objects.update(next_attempt_at=timezone.now())

    replace(cast.flusher(), kinds=broken.get).flush(action.destination_id)

    action.refresh_from_db()
    assert action.pause_reason == "The kind of action 'shelf' cannot be loaded."
    assert "no_such_module" in broken.errors()[0].msg
