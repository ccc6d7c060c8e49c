from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from apps.sinks import actions
from apps.sinks.models import Destination
from apps.sinks.tests.kinds import Shelf
from formhub.core.envelope import Envelope
from formhub.core.ids import uuid7
from workers.buffer.base import Limits
from workers.buffer.memory import MemoryBuffer
from workers.routing import Router, RouteTable
from workers.tests.conftest import KINDS, Cast, ids
from workers.tests.rooms import Row

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def router(cast: Cast) -> Router:
    return Router(RouteTable(KINDS.__getitem__, cast.clock), cast.buffer, cast.clock)


def logged(row: Row) -> tuple[int, Envelope]:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return row.position, Envelope(row.id, uuid7(), row.form_id, 1, moment, row.answers)


def feed(cast: Cast, route: Router, count: int, form: UUID | None = None, **answers: Any) -> list[Row]:
    rows = cast.archive.add(form or cast.form, count, **answers)
    route.route(map(logged, rows))
    return rows


def test_a_submission_is_listed_at_every_action_that_it_concerns(cast: Cast) -> None:
    plain = cast.action("oak")
    other = cast.action("elm", condition={"==": [{"var": "n"}, 1]})

    rows = feed(cast, router(cast), 3)

    assert cast.buffer.peek(plain.pk, 9) == [(row.position, row.id) for row in rows]
    assert cast.buffer.peek(other.pk, 9) == [(rows[1].position, rows[1].id)]


def test_a_record_read_again_is_listed_once(cast: Cast) -> None:
    action = cast.action()
    route = router(cast)
    rows = feed(cast, route, 3)

    route.route(map(logged, rows))

    assert cast.buffer.sizes([action.pk]) == {action.pk: 3}


def test_changes_of_actions_are_seen_after_two_seconds(cast: Cast) -> None:
    action = cast.action()
    route = router(cast)
    feed(cast, route, 1)
    actions.switch_off(action, position=1)

    feed(cast, route, 1)
    cast.clock.advance(2)
    feed(cast, route, 1)

    assert cast.buffer.sizes([action.pk]) == {action.pk: 2}


def test_an_action_over_its_cap_goes_behind_and_drains_in_order(cast: Cast) -> None:
    cast.buffer = MemoryBuffer(Limits(binding=15, total=100))
    action = cast.action()
    route = router(cast)
    rows = feed(cast, route, 20) + feed(cast, route, 20)

    action.refresh_from_db()
    assert action.behind_at == 15
    assert cast.buffer.sizes([action.pk]) == {action.pk: 15}

    cast.flush(action)
    assert Shelf.rows("oak") == ids(rows)
    action.refresh_from_db()
    assert action.behind_at is None

    cast.clock.advance(2)
    rows += feed(cast, route, 3)
    assert cast.buffer.sizes([action.pk]) == {action.pk: 3}
    cast.flush(action)
    assert Shelf.rows("oak") == ids(rows)


def test_an_action_over_its_cap_leaves_the_others_alone(cast: Cast) -> None:
    cast.buffer = MemoryBuffer(Limits(binding=5, total=100))
    slow, quick = cast.action("oak"), cast.action("elm")
    route = router(cast)
    feed(cast, route, 5)
    cast.flush(quick)

    feed(cast, route, 5)

    assert cast.buffer.sizes([slow.pk, quick.pk]) == {slow.pk: 5, quick.pk: 5}
    slow.refresh_from_db()
    quick.refresh_from_db()
    assert (slow.behind_at, quick.behind_at) == (5, None)


def test_a_paused_action_goes_behind_and_resuming_drains_it(cast: Cast) -> None:
    action = cast.action()
    actions.pause(action)
    route = router(cast)
    rows = feed(cast, route, 4)
    action.refresh_from_db()
    assert (action.behind_at, cast.buffer.total()) == (0, 0)

    actions.resume(action)
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)


def test_without_the_buffer_offsets_move_on_and_the_database_remembers(cast: Cast) -> None:
    action = cast.action()
    cast.buffer.broken = True

    rows = feed(cast, router(cast), 3)

    assert Destination.objects.get().next_attempt_at is not None
    cast.flush(action)
    assert Shelf.rows("oak") == ids(rows)


def test_a_buffer_that_lost_everything_loses_nothing_and_keeps_the_order(cast: Cast) -> None:
    action = cast.action()
    route = router(cast)
    rows = feed(cast, route, 7)
    cast.buffer.clear()
    rows += feed(cast, route, 7)

    cast.flush(action)
    cast.flush(action)

    assert Shelf.rows("oak") == ids(rows)
