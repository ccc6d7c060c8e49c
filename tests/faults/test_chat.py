"""A chat away, slow, full, its answers lost: all that was accepted stands there in the end, and Sheets go on."""

from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from apps.sinks.builtin.chat.tests.services import SlackService
from apps.sinks.http_conformance import Cut, Fault
from tests.faults.harness.case import Case
from tests.faults.harness.proxy import Proxy
from tests.faults.harness.signs import rises
from tests.faults.harness.world import a_port
from tests.stack import wait_until

CALLS = 4  # that meet the fault
FEW, PAUSE = 2, 1.2  # clients and their pauses: a channel takes a message a second
SECONDS = 120.0
AWAY = pytest.mark.shows(rises("formhub_flush_items_total", kind="slack", outcome="retryable"))
UNKNOWN = pytest.mark.shows(rises("formhub_flush_items_total", kind="slack", outcome="ambiguous"))
FULL = pytest.mark.shows(rises("formhub_quota_refused_total", "QuotaRefused", kind="slack"))


class Slack(SlackService):
    """`calls`: how many there were, whatever became of them."""

    calls = 0

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        self.calls += 1
        super().serve(request)


@dataclass
class Channels:
    """Of Slack, one for each form. `port`: where it is reached."""

    case: Case
    service: Slack
    port: int

    def join(self) -> None:
        for target in self.case.targets:
            url = f"http://127.0.0.1:{self.port}/services/{target['form']}"
            self.case.world.owner.add(target, "slack", url=url, text="{{ id }}")

    def all_there(self) -> bool:
        return self.case.accepted() <= set(self.service.texts)


@pytest.fixture
def slack(case: Case) -> Iterator[Channels]:
    with Slack() as service:
        yield Channels(case, service, int(service.url.rpartition(":")[2].partition("/")[0]))


@pytest.mark.parametrize(
    ("fault", "repeats"),
    [
        pytest.param(Fault(429, {"Retry-After": "3"}), False, id="429, three seconds to wait", marks=FULL),
        pytest.param(Fault(503, taken=True), True, id="503, taken all the same", marks=UNKNOWN),
        pytest.param(Fault(cut=Cut.AFTER, taken=True), True, id="the connection cut after it was taken", marks=UNKNOWN),
        pytest.param(Fault(cut=Cut.NEVER, taken=True), True, id="taken, then silence", marks=UNKNOWN),
    ],
)
def test_chat(case: Case, slack: Channels, fault: Fault, repeats: bool) -> None:
    """Slack: {id}, four calls in a row"""
    slack.join()
    with case.load(FEW, PAUSE) as load:
        load.more(6)
        slack.service.next(*[fault] * CALLS)
        before = slack.service.calls
        wait_until(lambda: slack.service.calls >= before + CALLS, SECONDS, f"{CALLS} calls have met it")
        case.healed()
        load.more(6)

    ended(case, slack, repeats)


@AWAY
def test_chat_away(case: Case, slack: Channels) -> None:
    """Slack: nobody listens for some twenty seconds"""
    wire: dict[str, Any] = {"target": ("127.0.0.1", slack.port), "port": a_port()}
    slack.port = wire["port"]
    proxy = Proxy(**wire).start()
    try:
        slack.join()
        with case.load(FEW, PAUSE) as load:
            load.more(6)
            proxy.stop()
            load.more(20)
            proxy = Proxy(**wire).start()
            case.healed()
            load.more(6)

        ended(case, slack, repeats=False)
    finally:
        proxy.stop()


def ended(case: Case, slack: Channels, repeats: bool) -> None:
    """Sheets as ever; in the channels everything, and twice only what nobody knew of."""
    wait_until(slack.all_there, SECONDS, "everything stands in the channels")
    case.judge()
    shown = slack.service.texts
    assert set(shown) == case.accepted()
    assert len(shown) - len(set(shown)) <= (CALLS if repeats else 0)
