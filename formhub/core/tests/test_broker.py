"""A worker's connection to a broker that it lost, on a real server."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection, Queue
from kombu.transport import TRANSPORT_ALIASES, resolve_transport
from redis.exceptions import ConnectionError as RedisConnectionError

from deploy.local.process import free_port
from deploy.local.valkey import Valkey
from formhub.core import broker


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """One to kill."""
    server = Valkey("cache", tmp_path / "data", tmp_path / "valkey.log", free_port())
    server.start()
    yield server
    server.stop()


def raising(error: type[Exception]) -> None:
    raise error


def test_a_task_under_way_does_not_end_the_worker_that_lost_its_broker(
    server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection: Any = Connection(server.url, transport=broker.Transport)
    queue = Queue(f"tasks-{uuid4()}", channel=connection.default_channel)
    queue.declare()
    connection.Producer().publish({"id": 1}, routing_key=queue.name, exchange="")
    message: Any = queue.get(no_ack=False)
    server.kill()
    # It waits for the next task when the connection breaks, so that closing it fails half-way at first.
    channel: Any = connection.default_channel
    waits = chain([RedisConnectionError] * 2, repeat(Empty))
    monkeypatch.setattr(channel, "_in_poll", True)
    monkeypatch.setattr(channel, "_brpop_read", lambda: raising(next(waits)))

    # As Celery does it: what the first of them raises is passed over, what the second raises ends the worker.
    with suppress(Exception):
        connection.collect(socket_timeout=1)
    connection.close()

    with pytest.raises(connection.connection_errors):
        message.ack()  # which a worker logs, and goes on


def test_both_kinds_of_address_lead_to_the_mended_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("redis", "sentinel"):
        monkeypatch.setitem(TRANSPORT_ALIASES, name, "")

    broker.install()

    kinds: list[object] = [resolve_transport(name) for name in ("redis", "sentinel")]
    assert kinds == [broker.Transport, broker.SentinelTransport]
