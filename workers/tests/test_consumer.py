"""The loop and the archive together, on the real database: nothing lost, nothing double, whatever happens between."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from uuid import UUID

import pytest
from django.db import OperationalError

from apps.archive import offsets, queries
from apps.archive.models import FormCounter, StreamOffset, Submission, Tombstone, UnreadRecord
from formhub.core.position import place
from formhub.core.stream.base import StreamError
from formhub.core.stream.memory import MemorySource, MemoryTopic
from workers.archiving import ArchiveHandler, TooManyUnreadableError
from workers.consumer import Consumer, ConsumerFailedError, Handler, Taken
from workers.heartbeat import Heartbeat
from workers.tests.log import FORM, an_envelope, publish, publish_raw

pytestmark = pytest.mark.django_db


def consumer(topic: MemoryTopic, handler: Handler | None = None, **options: object) -> Consumer:
    def open_source(listener: Consumer) -> MemorySource:
        return MemorySource(topic, "archive", listener)

    made = Consumer(open_source, handler or ArchiveHandler(), topic.name, **options)  # type: ignore[arg-type]
    made.turn()  # brings the partitions, and no record yet
    return made


def archived(form: UUID = FORM) -> list[UUID]:
    return [row.id for row in queries.after(form, -1, None, 1000)]


class Failing(ArchiveHandler):
    """Fails once, at a point of the test's choosing."""

    def __init__(self, before: bool) -> None:
        super().__init__()
        self.before = before
        self.left = 1

    def handle(self, taken: Taken) -> None:
        fail, self.left = self.left > 0, 0
        if fail and self.before:
            raise OperationalError("the connection is gone")
        super().handle(taken)
        if fail:
            raise OperationalError("the answer to the commit was lost")


def test_submissions_reach_the_archive_in_the_order_of_the_log() -> None:
    topic = MemoryTopic()
    sent = [an_envelope(number=number) for number in range(5)]
    for envelope in sent:
        publish(topic, envelope)

    consumer(topic).turn()

    rows = queries.after(FORM, -1, None, 100)
    assert [row.id for row in rows] == [envelope.id for envelope in sent]
    assert [row.answers for row in rows] == [envelope.answers for envelope in sent]
    assert rows[0].accepted_at == sent[0].accepted_at
    assert FormCounter.objects.get(form_id=FORM).count == 5


@pytest.mark.parametrize("text", ["a\tb\nc\\d", "\\N", "\\.", "'\"\u2028 😀 \x7f", '{"a": "\\u0001"}'])
def test_any_text_comes_back_unchanged(text: str) -> None:
    topic = MemoryTopic()
    publish(topic, an_envelope(text=text, nested={text: [text]}))

    consumer(topic).turn()

    [row] = queries.after(FORM, -1, None, 10)
    assert row.answers == {"text": text, "nested": {text: [text]}}


@pytest.mark.parametrize("before", [True, False], ids=["before the write", "after the commit"])
def test_a_failure_at_any_point_loses_nothing_and_doubles_nothing(before: bool) -> None:
    topic = MemoryTopic()
    sent = [publish(topic, an_envelope(number=number)) for number in range(3)]
    loop = consumer(topic, Failing(before))

    with pytest.raises(OperationalError):
        loop.turn()
    loop.turn()

    assert len(archived()) == len(sent)
    assert FormCounter.objects.get(form_id=FORM).count == len(sent)


def test_a_submission_that_stands_twice_in_the_log_is_archived_once_at_its_first_place() -> None:
    topic = MemoryTopic()
    envelope = an_envelope()
    publish(topic, envelope)
    publish(topic, an_envelope())
    publish(topic, envelope)

    consumer(topic).turn()

    assert archived()[0] == envelope.id
    assert len(archived()) == 2
    assert FormCounter.objects.get(form_id=FORM).count == 2


def test_an_erased_submission_does_not_come_back_when_the_log_is_read_again() -> None:
    topic = MemoryTopic()
    erased, kept = an_envelope(), an_envelope()
    Tombstone.objects.create(form_id=FORM, submission_id=erased.id)
    publish(topic, erased)
    publish(topic, kept)

    consumer(topic).turn()

    assert archived() == [kept.id]


def test_what_cannot_be_read_is_kept_aside_and_the_rest_goes_on() -> None:
    topic = MemoryTopic(partitions=1)
    publish_raw(topic, b"\xff not json")
    publish_raw(topic, b"{}", version=b"9")
    good = an_envelope()
    publish(topic, good)
    loop = consumer(topic)

    loop.turn()

    kept = UnreadRecord.objects.order_by("offset")
    assert [(record.offset, record.code) for record in kept] == [(0, "malformed"), (1, "unknown_version")]
    assert bytes(kept[0].value) == b"\xff not json"
    assert archived() == [good.id]
    assert offsets.stored("archive", topic.id) == {0: 3}


def test_what_postgres_refuses_for_its_data_is_found_and_kept_aside_alone() -> None:
    topic = MemoryTopic()
    sent = [an_envelope(number=number) for number in range(7)]
    sent.insert(3, an_envelope(text="\x00"))
    for envelope in sent:
        publish(topic, envelope)

    consumer(topic).turn()

    assert len(archived()) == 7
    assert UnreadRecord.objects.get().code == "refused"


def test_a_log_that_is_mostly_unreadable_stops_the_loop_and_takes_nothing() -> None:
    topic = MemoryTopic(partitions=1)
    for _ in range(150):
        publish_raw(topic, b"?")
    loop = consumer(topic)

    with pytest.raises(TooManyUnreadableError):
        loop.turn()

    assert not UnreadRecord.objects.exists()
    assert offsets.stored("archive", topic.id) == {0: 0}


def test_a_reader_whose_offsets_were_moved_writes_nothing_and_reads_from_there() -> None:
    topic = MemoryTopic(partitions=1)
    first, second = an_envelope(), an_envelope()
    publish(topic, first)
    publish(topic, second)
    slow = consumer(topic)
    StreamOffset.objects.filter(group="archive").update(next_offset=1)

    slow.turn()
    assert archived() == []

    slow.turn()
    assert archived() == [second.id]


def test_a_topic_made_anew_continues_the_order() -> None:
    old, new = MemoryTopic(), MemoryTopic()
    before, after = an_envelope(), an_envelope()
    publish(old, before)
    consumer(old).turn()

    publish(new, after)
    consumer(new).turn()

    assert archived() == [before.id, after.id]


def test_a_log_that_was_set_back_opens_an_epoch_and_loses_nothing() -> None:
    topic = MemoryTopic(partitions=1)
    before, after = an_envelope(), an_envelope()
    for envelope in (before, an_envelope(), an_envelope()):
        publish(topic, envelope)
    first = consumer(topic)
    first.turn()
    first.close()

    topic.logs = [[]]
    publish(topic, after)
    consumer(topic).turn()

    assert archived()[-1] == after.id
    assert place(queries.after(FORM, -1, None, 100)[-1].position).epoch == 1


def test_records_that_left_the_log_unread_are_skipped_with_an_alarm(caplog: pytest.LogCaptureFixture) -> None:
    topic = MemoryTopic(partitions=1)
    for _ in range(5):
        publish(topic, an_envelope())
    loop = consumer(topic)
    offsets.place("archive", topic.name, topic.id, 0, {0: 0})
    loop.source.bounds = lambda: {0: (3, 5)}  # type: ignore[method-assign]

    loop.assigned({0})
    loop.turn()

    assert len(archived()) == 2
    assert "left the log before they were read" in caplog.text


def test_a_blocked_handler_holds_its_partitions_and_goes_on_polling() -> None:
    topic = MemoryTopic()
    publish(topic, an_envelope())
    handler = ArchiveHandler()
    loop = consumer(topic, handler)

    handler.blocked = lambda: True  # type: ignore[method-assign]
    assert loop.turn() == 0

    handler.blocked = lambda: False  # type: ignore[method-assign]
    assert loop.turn() == 1


def test_a_loop_that_fails_for_good_says_so_and_leaves_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    topic = MemoryTopic()
    loop = consumer(topic)
    topic.broken = True
    monkeypatch.setattr("workers.consumer.BACK_OFF_SECONDS", (0.0,))

    with pytest.raises(ConsumerFailedError):
        loop.run(Event())

    assert isinstance(loop.source, MemorySource)
    assert loop.source.closed


def test_a_source_that_fails_again_and_again_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    topic, opened, stop = MemoryTopic(), list[MemorySource](), Event()
    publish(topic, an_envelope())

    class Lost(MemorySource):
        """A client that does not find its way back."""

        def bounds(self) -> dict[int, tuple[int, int]]:
            raise StreamError("no answer")

    def open_source(listener: Consumer) -> MemorySource:
        opened.append((Lost if not opened else MemorySource)(topic, "archive", listener))
        return opened[-1]

    class Once(ArchiveHandler):
        def handle(self, taken: Taken) -> None:
            super().handle(taken)
            stop.set()

    monkeypatch.setattr("workers.consumer.BACK_OFF_SECONDS", (0.0,))
    monkeypatch.setattr("workers.consumer.close_old_connections", lambda: None)  # the test's transaction goes on
    Consumer(open_source, Once(), topic.name).run(stop)

    assert len(opened) == 2
    assert len(archived()) == 1


def test_each_turn_leaves_a_heartbeat(tmp_path: Path, settings: Callable[[], None]) -> None:
    heartbeat = Heartbeat(tmp_path, "archive")
    assert heartbeat.age() == float("inf")

    consumer(MemoryTopic(), heartbeat=heartbeat).turn()

    assert heartbeat.age() < 5


def test_the_archive_knows_below_which_position_it_has_everything() -> None:
    topic = MemoryTopic()
    last = publish(topic, an_envelope())
    assert queries.archived_below(FORM) == 0

    consumer(topic).turn()

    assert queries.archived_below(FORM) == last.offset + 1
    assert Submission.objects.get(form_id=FORM).position < queries.archived_below(FORM)
