import os
import threading

import pytest
from pytest_django import Settings

from deploy.local.process import free_port
from deploy.local.valkey import Valkey
from formhub.core import presence
from formhub.core.presence import Pulse
from tests.stack import wait_until


@pytest.fixture(autouse=True)
def _nobody_yet(request: pytest.FixtureRequest) -> None:
    if "valkey_service" in request.fixturenames:
        with presence._client() as client:
            client.delete(presence._KEY)


def names() -> list[str]:
    return [seen.name for seen in presence.seen()]


@pytest.mark.usefixtures("valkey_service")
def test_what_is_alive_is_listed_with_its_process() -> None:
    Pulse({"archive": lambda: True, "deliver": lambda: False}).say()

    [seen] = presence.seen()
    assert (seen.name, seen.pid, seen.alive) == ("archive", os.getpid(), True)
    assert seen.seconds < presence.SILENT_SECONDS


@pytest.mark.usefixtures("valkey_service")
def test_a_process_that_stops_leaves_the_list_and_one_that_dies_falls_silent() -> None:
    stopped, died = Pulse({"worker": lambda: True}), Pulse({"beat": lambda: True})
    stopped.start()
    died.say()
    wait_until(lambda: names() == ["beat", "worker"], 10, "both are listed")

    stopped.stop()

    assert names() == ["beat"]
    with presence._client() as client:
        [(member, at)] = client.zrange(presence._KEY, 0, -1, withscores=True)
        client.zadd(presence._KEY, {member: at - presence.SILENT_SECONDS - 5})
    [seen] = presence.seen()
    assert not seen.alive


@pytest.mark.usefixtures("valkey_service")
def test_the_list_has_an_end_and_yesterday_is_not_on_it() -> None:
    with presence._client() as client:
        client.zadd(presence._KEY, {f"old host {number}": 1 for number in range(10)})
        client.zadd(presence._KEY, {f"web host {number}": 32_503_680_000 for number in range(presence.LISTED_MAX + 5)})
    Pulse({"beat": lambda: True}).say()

    assert len(names()) == presence.LISTED_MAX
    assert "old" not in names()


def test_without_redis_nothing_is_said_and_the_log_says_so_once(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    pulse = Pulse({"web": lambda: True})

    pulse.say()
    pulse.say()

    assert caplog.text.count("nobody can be told who is there") == 1


def test_the_thread_ends_with_the_process(settings: Settings, valkey_service: Valkey) -> None:
    pulse = Pulse({"web": lambda: True})
    pulse.start()

    assert [thread.daemon for thread in threading.enumerate() if thread.name == "pulse"] == [True]
    pulse.stop()
