import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from apps.intake import process
from apps.intake.accept import Accepted, accept
from apps.intake.commit import Bounds, Committer
from apps.intake.tests.forms import a_form
from apps.intake.tests.outboxes import MemoryStore
from apps.intake.ticket import NotCommittedError
from formhub.core.envelope import decode
from formhub.core.ids import canonical
from formhub.core.stream.base import Message, Outcome, Receipt
from formhub.core.stream.memory import MemoryPublisher, MemoryTopic

pytestmark = pytest.mark.usefixtures("committer", "outbox")


def test_id_and_time_are_those_of_the_record(topic: MemoryTopic) -> None:
    pending = accept(a_form(), {"name": "Ada"})
    accepted = pending.result()

    (record,) = topic.records()
    envelope = decode(record.value, record.headers)
    assert (envelope.id, envelope.accepted_at) == (accepted.id, accepted.accepted_at)
    assert (pending.id, pending.accepted_at) == (accepted.id, accepted.accepted_at)
    assert accepted.receipt == Receipt(record.partition, record.offset)
    assert accepted.door == "kafka"
    assert accepted.id.version == 7


def test_a_loop_awaits_what_a_thread_waits_for(topic: MemoryTopic) -> None:
    async def wait() -> Accepted:
        return await accept(a_form(), {"name": "Ada"})

    assert asyncio.run(wait()).version == 3
    assert len(topic.records()) == 1


def test_the_same_key_and_answers_are_the_same_submission_in_every_version() -> None:
    parsed = canonical({"age": "36"})
    first = accept(a_form(version=3), {"age": 36}, key="k", parsed=parsed)
    second = accept(a_form(version=4), {"age": "36"}, key="k", parsed=parsed)

    assert first.id == second.id
    assert first.id.version == 8


@pytest.mark.parametrize(
    ("form", "key", "answers"),
    [
        pytest.param(a_form(salt=b"another form 16b"), "k", {"name": "Ada"}, id="another form"),
        pytest.param(a_form(), "l", {"name": "Ada"}, id="another key"),
        pytest.param(a_form(), "k", {"name": "Bob"}, id="other answers"),
    ],
)
def test_anything_else_is_another_submission(form: object, key: str, answers: dict[str, str]) -> None:
    assert accept(a_form(), {"name": "Ada"}, key="k").id != accept(form, answers, key=key).id  # type: ignore[arg-type]


def test_the_forms_submissions_stay_in_one_partition(topic: MemoryTopic) -> None:
    for number in range(10):
        accept(a_form(), {"age": number}).result()

    (log,) = [log for log in topic.logs if log]
    assert [decode(record.value, record.headers).answers["age"] for record in log] == list(range(10))


class TestWithoutTheLog:
    def test_the_outbox_gets_it_under_the_same_id_and_time(
        self, topic: MemoryTopic, committer: Committer, outbox: MemoryStore
    ) -> None:
        topic.broken = True
        pending = accept(a_form(), {"name": "Ada"})
        accepted = pending.result()

        (row,) = outbox.rows.values()
        envelope = decode(row.value, row.headers)
        assert (accepted.door, accepted.receipt) == ("outbox", None)
        assert (envelope.id, envelope.accepted_at) == (accepted.id, accepted.accepted_at)
        assert (row.id, row.accepted_at, row.form_id) == (envelope.id, envelope.accepted_at, envelope.form)
        assert envelope.late
        assert committer.pending == 0

    def test_a_loop_awaits_the_second_door_as_well(self, topic: MemoryTopic, outbox: MemoryStore) -> None:
        async def wait() -> list[Accepted]:
            return [await accept(a_form(), {"age": number}) for number in range(5)]

        topic.broken = True
        found = asyncio.run(wait())

        assert [accepted.door for accepted in found] == ["outbox"] * 5
        assert list(outbox.rows) == [accepted.id for accepted in found]

    @pytest.mark.parametrize("awaits", [False, True], ids=["a thread", "a loop"])
    def test_a_publisher_that_is_held_up_holds_nobody_up(
        self, topic: MemoryTopic, outbox: MemoryStore, settings: Any, awaits: bool
    ) -> None:
        async def wait() -> Accepted:
            return await accept(a_form(), {"name": "Ada"})

        settings.INTAKE_KAFKA_SECONDS = 0.1
        publisher = HeldUp(topic)
        held = Committer(publisher, Bounds(items=1000, bytes=10_000_000, seconds=0.1))
        before = process.committer.install(held)
        try:
            accepted = asyncio.run(wait()) if awaits else accept(a_form(), {"name": "Ada"}).result()
        finally:
            process.committer.install(before)
            publisher.go_on.set()
            held.close(5)

        assert accepted.door == "outbox"
        assert list(outbox.rows) == [accepted.id]
        # It landed as well, late: one submission, told by its id.
        (record,) = topic.records()
        assert decode(record.value, record.headers).id == accepted.id

    def test_with_both_doors_away_nothing_is_accepted(self, topic: MemoryTopic, outbox: MemoryStore) -> None:
        topic.broken = outbox.broken = True
        with pytest.raises(NotCommittedError):
            accept(a_form(), {"name": "Ada"}).result()
        assert not outbox.rows

    def test_whether_it_may_be_in_the_log_all_the_same_is_told(self, topic: MemoryTopic, outbox: MemoryStore) -> None:
        """A broker that failed may have taken it; one that nobody asks cannot."""
        topic.broken = outbox.broken = True
        told = []
        for _ in range(5):
            with pytest.raises(NotCommittedError) as failed:
                accept(a_form(), {"name": "Ada"}).result()
            told.append(failed.value.ambiguous)

        assert (told[0], told[-1]) == (True, False)


class HeldUp(MemoryPublisher):
    """Stands still in `publish`, as a client does that lacks the topic's metadata."""

    def __init__(self, topic: MemoryTopic) -> None:
        super().__init__(topic)
        self.go_on = threading.Event()

    def publish(self, messages: Sequence[Message], done: Callable[[list[Outcome]], None]) -> None:
        assert self.go_on.wait(30)
        super().publish(messages, done)
