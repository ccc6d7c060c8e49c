"""On a real broker: groups that read once more, and records that nobody can read any more."""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from kafka import KafkaAdminClient, TopicPartition

from apps.archive import offsets, queries
from apps.archive.models import FormCounter, StreamOffset, UnreadRecord
from apps.sinks import actions
from apps.sinks.config import Settings
from apps.sinks.models import BatchItem, Binding, Destination
from apps.sinks.registry import registry
from apps.sinks.tests.kinds import Shelf
from deploy.local.kafka import Kafka
from formhub.core.stream.base import Outcome
from formhub.core.stream.kafka import KafkaPublisher, KafkaSource, TopicSettings, describe_topic, ensure_topic
from workers import consumer as consumers
from workers import routing, tasks, wiring
from workers.archiving import ArchiveHandler
from workers.consumer import Consumer, Handler
from workers.tests.conftest import KINDS
from workers.tests.log import ORGANIZATION, an_envelope, message

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
SOON = 20.0


class Log:
    """A topic of its own with both groups' readers on it."""

    def __init__(self, broker: Kafka, topic: str) -> None:
        self.broker, self.topic, self.form = broker, topic, uuid4()
        wanted = TopicSettings(partitions=6, replication=1, min_insync=1, retention_hours=1)
        ensure_topic([broker.url], topic, wanted, seconds=SOON)
        self.readers: list[Consumer] = []

    def publish(self, count: int) -> None:
        publisher = KafkaPublisher([self.broker.url], self.topic, 6)
        done: list[list[Outcome]] = []
        publisher.publish([message(an_envelope(self.form, number=number)) for number in range(count)], done.append)
        publisher.close(SOON)
        assert len(done[0]) == count

    def read(self, handler: Handler) -> Consumer:
        def source(listener: Consumer) -> KafkaSource:
            return KafkaSource([self.broker.url], self.topic, f"{self.topic}-{handler.group}", listener)

        self.readers.append(Consumer(source, handler, self.topic))
        return self.readers[-1]

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SOON
        while not true():
            assert time.monotonic() < deadline, "it took too long"
            for reader in self.readers:
                reader.turn()

    def archived(self) -> int:
        return len(queries.after(self.form, -1, None, 1000))

    def stands(self, group: str) -> int:
        return sum(StreamOffset.objects.filter(group=group, topic=self.topic).values_list("next_offset", flat=True))

    def drop_below(self, partition: int, offset: int) -> None:
        admin = KafkaAdminClient(bootstrap_servers=[self.broker.url])
        admin.delete_records({TopicPartition(self.topic, partition): offset})
        admin.close()


@pytest.fixture
def log(
    kafka_service: Kafka, valkey_service: Any, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Log]:
    Shelf.reset()
    settings.SUBMISSIONS_TOPIC = f"rewind-{secrets.token_hex(6)}"
    for made in (wiring.buffer, wiring.limiter, wiring.flusher):
        made.cache_clear()
    wiring.client(settings.REDIS_BUFFER_URL, 1).flushdb()
    monkeypatch.setattr(registry, "get", KINDS.__getitem__)
    monkeypatch.setattr(consumers, "LAG_EVERY_SECONDS", 0.0)
    log = Log(kafka_service, settings.SUBMISSIONS_TOPIC)
    yield log
    for reader in log.readers:
        reader.close()


def flush(action: Binding) -> None:
    for _ in range(3):
        Destination.objects.update(next_attempt_at=None)
        tasks.flush(action.destination_id)


def test_what_is_read_once_more_is_neither_archived_nor_delivered_again(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.read(ArchiveHandler())
    log.read(routing.make_handler())
    action = actions.create(
        organization_id=ORGANIZATION, form_id=log.form, sink=Shelf, name="Oak", settings=Settings({"shelf": "oak"}, {}),
        position=0,
    )  # fmt: skip
    log.publish(25)
    log.until(lambda: log.stands("archive") == log.stands("deliver") == 25)
    flush(action)
    before = Shelf.rows("oak")

    call_command("rewind", "archive", by=10)
    call_command("rewind", "deliver", to_start=True)
    assert (log.stands("archive"), log.stands("deliver")) == (15, 0)
    assert queries.log_end(log.form) == 25
    log.until(lambda: log.stands("archive") == log.stands("deliver") == 25)
    flush(action)

    assert "from 25 to 15, 10 records again" in capsys.readouterr().out
    assert len(before) == 25
    assert Shelf.rows("oak") == before
    assert log.archived() == BatchItem.objects.count() == FormCounter.objects.get(form_id=log.form).count == 25


def test_a_reader_that_has_something_in_hand_does_not_take_it_over_the_rewind(log: Log) -> None:
    reader = log.read(ArchiveHandler())
    log.publish(5)
    log.until(lambda: log.stands("archive") == 5)
    call_command("rewind", "archive", by=3)
    log.publish(4)

    log.until(lambda: log.stands("archive") == 9)

    assert reader.source.assignment()
    assert log.archived() == 9


def test_nobody_is_set_back_beyond_what_the_log_holds_or_forward(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    log.read(ArchiveHandler())
    log.publish(9)
    log.until(lambda: log.stands("archive") == 9)
    partition = StreamOffset.objects.get(next_offset=9).partition
    log.drop_below(partition, 4)

    call_command("rewind", "archive", by=1000)
    assert log.stands("archive") == 4
    assert "995 have left the log" in capsys.readouterr().out
    call_command("rewind", "archive", to_time="2100-01-01T00:00Z")

    assert log.stands("archive") == 4


def test_a_time_leads_to_the_first_record_written_from_then_on(log: Log) -> None:
    log.read(ArchiveHandler())
    log.publish(3)
    log.until(lambda: log.stands("archive") == 3)

    call_command("rewind", "archive", to_time="2026-01-01T00:00Z")

    assert log.stands("archive") == 0


def test_a_group_that_never_read_and_a_time_that_is_none_are_refused_in_words(log: Log) -> None:
    with pytest.raises(CommandError, match="has read nothing"):
        call_command("rewind", "archive", by=1)
    with pytest.raises(CommandError, match="is no time"):
        call_command("rewind", "archive", to_time="yesterday")


def test_records_that_left_the_log_unread_are_listed_and_the_rest_goes_on(log: Log) -> None:
    log.publish(10)
    state = describe_topic([log.broker.url], log.topic, SOON)
    [partition] = [number for number, (_, end) in state.bounds.items() if end]
    offsets.place("archive", log.topic, state.id, offsets.epoch(log.topic, state.id), {partition: 2})
    log.drop_below(partition, 7)

    log.read(ArchiveHandler())
    log.until(lambda: log.stands("archive") == 10)

    [lost] = UnreadRecord.objects.all()
    assert (lost.code, lost.partition, lost.offset) == ("lost", partition, 2)
    assert lost.reason == "The records 2 to 6 left the log before they were archived."
    assert log.archived() == 3
