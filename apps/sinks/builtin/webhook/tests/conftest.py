"""A receiver of the test's own, and batches for it."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings

from apps.sinks import egress
from apps.sinks.builtin.webhook.signing import make_secret
from apps.sinks.builtin.webhook.sink import Webhook
from apps.sinks.conformance import FORM, LAYOUT, ORGANIZATION, make_submission
from apps.sinks.contract import Batch, Context, Part, Submission
from apps.sinks.tests.receiver import Receiver
from formhub.core.clock import ManualClock
from formhub.core.ids import uuid7


@dataclass
class Post:
    """One receiver, the settings of an action that posts to it, and the destination's memory between calls."""

    receiver: Receiver
    secret: str = field(default_factory=make_secret, repr=False)
    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime.now(UTC)))
    state: dict[str, Any] = field(default_factory=dict, repr=False)

    def config(self, **changes: Any) -> dict[str, Any]:
        return {"url": self.receiver.url, "version": "1", "secret": self.secret} | changes

    def sink(self, context: Context | None = None, **changes: Any) -> Webhook:
        lent = context or Context(ORGANIZATION, state=self.state, clock=self.clock)
        return Webhook(self.config(**changes), lent)

    def part(self, *submissions: Submission, number: int = 1, **changes: Any) -> Part:
        pages = "https://forms.example/s/"
        return Part(number, FORM, "A form", self.config(**changes), LAYOUT, submissions, pages)

    def batch(self, *parts: Part) -> Batch:
        return Batch(uuid7(), 1, self.receiver.url, parts)

    def batch_of(self, count: int, **changes: Any) -> Batch:
        return self.batch(self.part(*map(make_submission, range(count)), **changes))

    def deliver(self, batch: Batch) -> None:
        """As the engine offers it."""
        Webhook(batch.parts[0].config, Context(ORGANIZATION, state=self.state, clock=self.clock)).deliver(batch)


@pytest.fixture
def post(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    settings.EGRESS_HTTP = True
    settings.EGRESS_PORTS = []
    settings.EGRESS_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    monkeypatch.setattr(egress, "READ_SECONDS", 0.3)
    with Receiver() as running:
        yield Post(running)
