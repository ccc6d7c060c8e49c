"""A thousand destinations with work cost no more than ten, and a flood at one keeps no other waiting."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis import Redis

from apps.sinks.models import Binding, Destination
from deploy.local.valkey import Valkey
from formhub.core.clock import ManualClock
from formhub.core.envelope import Envelope
from formhub.core.ids import uuid7
from workers import wiring
from workers.buffer.base import Buffer, Group, Limits
from workers.buffer.redis import RedisBuffer
from workers.due import due, sweep
from workers.routing import Router, RouteTable
from workers.tests.conftest import KINDS
from workers.tests.rooms import MemoryArchive

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
SUBMISSIONS = 1000
ORGANIZATION = uuid4()


@pytest.fixture
def server(valkey_service: Valkey, settings: LazySettings) -> Iterator["Redis"]:
    client = wiring.client(settings.REDIS_BUFFER_URL, 5)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def buffer(server: "Redis") -> Buffer:
    return RedisBuffer(server, Limits(10_000, 100_000))


def destinations(count: int) -> list[UUID]:
    """So many, each with an action on a form of its own; the forms."""
    forms = [uuid4() for _ in range(count)]
    made = Destination.objects.bulk_create(
        Destination(organization_id=ORGANIZATION, kind="shelf", key=str(form)) for form in forms
    )
    Binding.objects.bulk_create(
        Binding(organization_id=ORGANIZATION, form_id=form, destination=place, kind="shelf", name="Shelf")
        for form, place in zip(forms, made, strict=True)
    )
    return forms


class Cost:
    """Queries, and commands that the server was sent."""

    def __init__(self, server: "Redis") -> None:
        self._server = server
        self._queries = CaptureQueriesContext(connection)

    def __enter__(self) -> "Cost":
        self._before = self._commands()
        self._queries.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._queries.__exit__(*error)
        self.queries, self.commands = len(self._queries), self._commands() - self._before

    def _commands(self) -> int:
        """Scripts that were run: what they do inside is no round trip."""
        found: Any = self._server.info("commandstats")
        return sum(int(stats["calls"]) for name, stats in found.items() if name.startswith("cmdstat_eval"))


def routed(server: "Redis", buffer: Buffer, forms: list[UUID]) -> Cost:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    taken = [
        (number, Envelope(uuid7(), ORGANIZATION, forms[number % len(forms)], 1, moment, {"n": number}))
        for number in range(SUBMISSIONS)
    ]
    router = Router(RouteTable(KINDS.__getitem__, ManualClock()), buffer, ManualClock())
    router.route(taken[:1])  # the table of routes is read, and the server has the script
    with Cost(server) as cost:
        router.route(taken)
    assert buffer.total() >= SUBMISSIONS
    return cost


@pytest.mark.parametrize("count", [10, 1000])
def test_so_many_destinations_are_fed_in_one_round_trip(server: "Redis", buffer: Buffer, count: int) -> None:
    cost = routed(server, buffer, destinations(count))

    assert cost.commands == 1
    assert cost.queries <= 2  # whether the actions changed, and which there are


@pytest.mark.parametrize("count", [10, 400])
def test_so_many_due_destinations_are_asked_for_at_once(server: "Redis", buffer: Buffer, count: int) -> None:
    destinations(count)
    clock = ManualClock()
    keys = list(Destination.objects.values_list("pk", flat=True))
    buffer.due(0, 1, 0)  # the server has the script from here on
    buffer.set_due(keys, clock.now().timestamp())

    with Cost(server) as cost:
        found = due(buffer, clock)

    assert len(found) == count
    assert (cost.commands, cost.queries) == (1, 2)


@pytest.mark.parametrize("count", [10, 1000])
def test_so_many_idle_destinations_are_swept_with_the_same_queries(server: "Redis", buffer: Buffer, count: int) -> None:
    destinations(count)

    with Cost(server) as cost:
        sweep(MemoryArchive(), buffer, KINDS.__getitem__, ManualClock())

    assert cost.queries <= 4


def test_a_flood_at_one_destination_keeps_no_other_waiting(buffer: Buffer) -> None:
    destinations(20)
    clock = ManualClock()
    now = clock.now().timestamp()
    flooded, *others = list(Binding.objects.order_by("pk"))
    flood = [(number, uuid7()) for number in range(5000)]
    buffer.append([Group(flooded.pk, flooded.destination_id, 0, 10, flood)], now - 60)
    for action in others:
        buffer.append([Group(action.pk, action.destination_id, 0, 10, [(9000, uuid7())])], now - 30)

    turns = []
    for _ in range(20):
        # Room for one: whoever was taken is asked for again only after the others.
        [taken] = due(buffer, clock, limit=1)
        turns.append(taken)
        buffer.append([Group(flooded.pk, flooded.destination_id, 0, 10, [(9000 + len(turns), uuid7())])], now)

    assert turns[0] == flooded.destination_id
    assert set(turns) == {action.destination_id for action in (flooded, *others)}
