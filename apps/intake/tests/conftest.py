from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apps.forms import published
from apps.forms.published import PublishedForm
from apps.intake import process
from apps.intake.commit import Bounds, Committer
from apps.intake.gate.base import Call
from apps.intake.gate.gate import Asked, Gate
from apps.intake.gate.memory import MemoryStore
from apps.intake.keep import Keeper
from apps.intake.tests import outboxes
from apps.intake.tests.forms import a_form
from formhub.core.stream.memory import MemoryPublisher, MemoryTopic


@pytest.fixture
def topic() -> MemoryTopic:
    return MemoryTopic()


@pytest.fixture
def gate() -> Iterator[MemoryStore]:
    """The store of the gate that the process uses."""
    store = MemoryStore()
    before = process.gate.install(InPlace(store))
    yield store
    process.gate.install(before)


class InPlace(Gate):
    """A gate without a thread: each call is a turn and done at once, so that a test sees what it left behind."""

    def _put(self, call: Call, asked: Asked | None) -> bool:
        if self._breaker.ready():
            self._take([(call, asked)])
            return True
        return False


@pytest.fixture
def outbox() -> Iterator[outboxes.MemoryStore]:
    """What the keeper that the process uses writes to."""
    store = outboxes.MemoryStore()
    keeper = Keeper(store, Bounds(items=1000, bytes=10_000_000, seconds=2))
    before = process.keeper.install(keeper)
    yield store
    process.keeper.install(before)
    keeper.close(5)


@pytest.fixture
def committer(topic: MemoryTopic) -> Iterator[Committer]:
    """The committer that the process uses, into `topic`."""
    committer = Committer(MemoryPublisher(topic), Bounds(items=1000, bytes=10_000_000, seconds=2))
    before = process.committer.install(committer)
    yield committer
    process.committer.install(before)
    committer.close(0)


class Forms:
    """What is published, by public id and by `organization~slug`."""

    def __init__(self) -> None:
        self.found: dict[str, PublishedForm] = {}

    def put(self, **changes: Any) -> PublishedForm:
        form = a_form(**changes)
        self.found[form.public_id] = self.found[f"acme~{form.slug}"] = form
        return form

    def by_id(self, id: Any) -> PublishedForm | None:
        return next((form for form in self.found.values() if form.id == id), None)


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch) -> Forms:
    forms = Forms()
    forms.put()
    monkeypatch.setattr(published, "by_name", forms.found.get)
    monkeypatch.setattr(published, "by_id", forms.by_id)
    return forms


@pytest.fixture
def client(forms: Forms, gate: MemoryStore, committer: Committer, outbox: outboxes.MemoryStore) -> Client:
    return Client(raise_request_exception=False)
