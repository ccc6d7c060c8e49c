"""A loop that stands still is found while it does."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from formhub.core.watchdog import Watchdog


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def blocked() -> float:
    return REGISTRY.get_sample_value("formhub_web_loop_blocked_total") or 0.0


def test_a_blocked_loop_is_counted_once_and_its_place_is_logged(
    loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    before, found, go_on = blocked(), threading.Event(), threading.Event()

    def sleeps_where_nobody_may() -> None:
        found.set()
        assert go_on.wait(30)

    watchdog = Watchdog(loop, every=0.01, blocked=0.1)
    with caplog.at_level(logging.WARNING, "formhub"):
        loop.call_soon_threadsafe(watchdog.start)
        loop.call_soon_threadsafe(sleeps_where_nobody_may)
        assert found.wait(10)
        until = time.monotonic() + 20
        while blocked() == before and time.monotonic() < until:
            time.sleep(0.01)
        while not caplog.records and time.monotonic() < until:
            time.sleep(0.01)
        go_on.set()
    watchdog.stop()

    assert blocked() == before + 1
    assert "sleeps_where_nobody_may" in caplog.text


def test_a_loop_that_turns_is_left_in_peace(loop: asyncio.AbstractEventLoop) -> None:
    before = REGISTRY.get_sample_value("formhub_web_loop_seconds_count") or 0.0
    counted = blocked()
    watchdog = Watchdog(loop, every=0.001, blocked=10)
    loop.call_soon_threadsafe(watchdog.start)

    until = time.monotonic() + 20
    while (REGISTRY.get_sample_value("formhub_web_loop_seconds_count") or 0.0) < before + 3:
        assert time.monotonic() < until
        time.sleep(0.01)
    watchdog.stop()

    assert blocked() == counted
