"""The log on a real broker: the suite of every log, and what only a broker can do."""

import queue
import secrets
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from deploy.local.kafka import Kafka, jars
from deploy.local.process import free_port
from formhub.core.envelope import MAX_ENVELOPE_BYTES
from formhub.core.stream.base import (
    MAX_MESSAGE_BYTES,
    Message,
    Outcome,
    Publisher,
    RebalanceListener,
    Receipt,
    RefusedError,
    Source,
    StreamError,
    partition_of,
)
from formhub.core.stream.kafka import (
    DELIVERY_TIMEOUT_MS,
    FETCH_BYTES,
    KafkaPublisher,
    KafkaSource,
    TopicSettings,
    describe_topic,
    ensure_topic,
)
from formhub.core.tests.stream_suite import (
    PARTITIONS,
    SOON,
    GroupSuite,
    Open,
    OutageSuite,
    PublishingSuite,
    ReadingSuite,
    a_message,
    at_start,
    joined,
    messages,
    publish,
    receipts,
    take,
    texts,
    wait_until,
)

pytestmark = pytest.mark.services
SETTINGS = TopicSettings(PARTITIONS, 1, 1, 24)
NOBODY = ["127.0.0.1:9"]
JARS = Path(__file__).resolve().parents[3] / ".formhub" / "kafka-jars"


class KafkaLog:
    """A topic of its own on a broker that others use too."""

    # A delivery that is on its way takes the longest to be given up.
    deadline = DELIVERY_TIMEOUT_MS / 1000 + 4

    def __init__(self, broker: Kafka) -> None:
        self.broker = broker
        self.topic = f"stream-{secrets.token_hex(6)}"
        ensure_topic([broker.url], self.topic, SETTINGS, seconds=SOON)

    def publisher(self) -> Publisher:
        return KafkaPublisher([self.broker.url], self.topic, PARTITIONS)

    def source(self, group: str, listener: RebalanceListener | None = None) -> Source:
        # A short session, so that its heartbeats come often and a member soon hears of another.
        return KafkaSource([self.broker.url], self.topic, f"{self.topic}-{group}", listener, session_seconds=6)

    def drop_below(self, partition: int, offset: int) -> None:
        with self.admin() as admin:
            admin.delete_records({TopicPartition(self.topic, partition): offset})

    def make_anew(self) -> None:
        with self.admin() as admin:
            admin.delete_topics([self.topic])
        ensure_topic([self.broker.url], self.topic, SETTINGS, seconds=SOON)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.broker.pause()
        try:
            yield
        finally:
            self.broker.resume()

    @contextmanager
    def admin(self) -> Iterator[Any]:
        admin = KafkaAdminClient(bootstrap_servers=[self.broker.url])
        try:
            yield admin
        finally:
            admin.close()


@pytest.fixture
def log(kafka_service: Kafka) -> KafkaLog:
    return KafkaLog(kafka_service)


@pytest.fixture(scope="module")
def own_broker() -> Iterator[Kafka]:
    """One that may be paused and killed."""
    with tempfile.TemporaryDirectory(prefix="formhub-test-") as folder:
        broker = Kafka(Path(folder) / "kafka", Path(folder) / "kafka.log", jars(JARS), free_port())
        broker.start()
        yield broker
        broker.stop()


class TestPublishing(PublishingSuite):
    pass


class TestReading(ReadingSuite):
    pass


class TestGroups(GroupSuite):
    pass


class TestOutages(OutageSuite):
    @pytest.fixture
    def log(self, own_broker: Kafka) -> KafkaLog:
        return KafkaLog(own_broker)

    def test_a_broker_killed_and_started_again_costs_no_record_and_the_same_two_go_on(
        self, log: KafkaLog, publisher: Publisher, open_source: Open
    ) -> None:
        source = at_start(open_source())
        sent = texts_of(receipts(publish(publisher, messages(100))), messages(100))
        records = take(source, 30, max_records=30)
        log.broker.kill()
        answers: queue.Queue[list[Outcome]] = queue.Queue()
        publisher.publish([a_message("lost on the way")], answers.put)
        assert isinstance(answers.get(timeout=SOON)[0], StreamError)
        assert set(texts(source.poll(1000, 1))) <= set(sent)
        source.seek({0: 30})
        log.broker.start()

        wait_until(lambda: isinstance(publish(publisher, [a_message("after")])[0], Receipt), "a receipt")

        def all_read() -> bool:
            records.extend(source.poll(100, 0.5))
            return "after" in texts(records)

        wait_until(all_read, "the record")
        assert [text for text in texts(records) if text not in {"lost on the way", "after"}] == sent

    def test_the_silence_of_a_broker_ends_every_question_in_time(self, log: KafkaLog) -> None:
        answers: queue.Queue[str] = queue.Queue()

        def ask() -> None:
            for call in (
                lambda: describe_topic([log.broker.url], log.topic, 0.5),
                lambda: ensure_topic([log.broker.url], log.topic, SETTINGS, seconds=0.5),
            ):
                with pytest.raises(StreamError) as caught:
                    call()
                answers.put(str(caught.value))

        with log.away():
            threading.Thread(target=ask, daemon=True).start()
            # Each of them takes what it was given, and not the client's own half a minute.
            assert [answers.get(timeout=4) for _ in range(2)] == ["could not ask the broker (KafkaTimeoutError)"] * 2


def texts_of(found: list[Receipt], sent: list[Message]) -> list[str]:
    """What was sent, in the order of the log."""
    return [message.value.decode() for _, message in sorted(zip((r.offset for r in found), sent, strict=True))]


class TestTopics:
    def test_a_topic_is_made_with_every_setting_said(self, log: KafkaLog) -> None:
        state = describe_topic([log.broker.url], log.topic, 10)

        assert (state.partitions, state.replication, state.min_insync, state.flush_messages) == (PARTITIONS, 1, 1, 1)
        assert state.bounds == dict.fromkeys(range(PARTITIONS), (0, 0))
        assert self.settings(log) == {
            "cleanup.policy": "delete",
            "retention.ms": "86400000",
            "min.insync.replicas": "1",
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "unclean.leader.election.enable": "false",
            "flush.messages": "1",
        }

    def test_making_it_again_changes_nothing(self, log: KafkaLog) -> None:
        before = describe_topic([log.broker.url], log.topic, 10)

        assert ensure_topic([log.broker.url], log.topic, SETTINGS) == []

        assert describe_topic([log.broker.url], log.topic, 10) == before

    def test_many_may_make_it_at_once(self, kafka_service: Kafka) -> None:
        topic, found = f"stream-{secrets.token_hex(6)}", []

        def make() -> None:
            found.append(ensure_topic([kafka_service.url], topic, SETTINGS))

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)

        assert found == [[]] * 4

    def test_how_one_that_is_there_differs_is_said_in_words_and_left_as_it_is(self, log: KafkaLog) -> None:
        before = self.settings(log)

        said = ensure_topic([log.broker.url], log.topic, TopicSettings(PARTITIONS + 1, 3, 2, 168))

        assert said == [
            "partitions is 3, not 4",
            "replication is 1, not 3",
            "retention.ms is 86400000, not 604800000",
            "min.insync.replicas is 1, not 2",
        ]
        assert self.settings(log) == before

    def test_a_topic_that_somebody_made_otherwise_is_named_setting_by_setting(self, log: KafkaLog) -> None:
        with log.admin() as admin:
            admin.create_topics({f"{log.topic}-other": {"num_partitions": PARTITIONS, "replication_factor": 1}})

        said = ensure_topic([log.broker.url], f"{log.topic}-other", SETTINGS)

        # The broker of the tests flushes of itself, and takes records of our size.
        assert said == ["retention.ms is 604800000, not 86400000"]

    def test_three_replicas_are_not_flushed_one_by_one(self) -> None:
        assert "flush.messages" not in TopicSettings(24, 3, 2, 168).configs()

    def test_a_description_follows_what_is_written_and_dropped(self, log: KafkaLog) -> None:
        publisher = log.publisher()
        receipts(publish(publisher, messages(10, 1)))
        log.drop_below(1, 4)

        assert describe_topic([log.broker.url], log.topic, 10).bounds == {0: (0, 0), 1: (4, 10), 2: (0, 0)}
        publisher.close(1)

    def test_a_topic_that_is_not_there_is_no_outage(self, kafka_service: Kafka) -> None:
        with pytest.raises(StreamError, match="the topic nothing is not there") as caught:
            describe_topic([kafka_service.url], "nothing", 10)

        assert not caught.value.ambiguous

    def test_more_replicas_than_brokers_are_refused_in_words(self, kafka_service: Kafka) -> None:
        with pytest.raises(StreamError, match="wide needs 3 brokers, and fewer are there"):
            ensure_topic([kafka_service.url], "wide", TopicSettings(1, 3, 2, 1), seconds=0)

    def test_it_waits_for_a_broker_that_is_still_starting(self, own_broker: Kafka) -> None:
        own_broker.kill()
        topic, said = f"stream-{secrets.token_hex(6)}", queue.Queue[list[str]]()
        waiting = threading.Thread(
            target=lambda: said.put(ensure_topic([own_broker.url], topic, SETTINGS, SOON)), daemon=True
        )
        waiting.start()

        own_broker.start()

        assert said.get(timeout=SOON) == []

    def test_without_a_broker_it_gives_up_and_says_so(self) -> None:
        with pytest.raises(StreamError, match="could not ask the broker"):
            ensure_topic(NOBODY, "any", SETTINGS, seconds=0.2)
        with pytest.raises(StreamError, match="could not ask the broker"):
            describe_topic(NOBODY, "any", 0.2)

    def settings(self, log: KafkaLog) -> dict[str, str]:
        """What was set for this topic alone."""
        with log.admin() as admin:
            resource = ConfigResource(ConfigResourceType.TOPIC, log.topic)
            [found] = admin.describe_configs([resource], config_filter="all")["topic"].values()
        return {
            name: str(each["value"]) for name, each in found.items() if each["config_source"] == "DYNAMIC_TOPIC_CONFIG"
        }


def test_the_clients_own_partitioner_agrees_where_a_key_lies(log: KafkaLog, kafka_service: Kafka) -> None:
    keys = [secrets.token_bytes(size) for size in range(1, 60)]
    producer = KafkaProducer(bootstrap_servers=[kafka_service.url])

    placed = [producer.send(log.topic, key=key, value=b"x").get(timeout=SOON).partition for key in keys]

    producer.close()
    assert placed == [partition_of(key, PARTITIONS) for key in keys]


def test_a_topic_that_takes_less_than_it_should_refuses_and_the_publisher_goes_on(log: KafkaLog) -> None:
    with log.admin() as admin:
        topic = {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "1000"}}
        admin.create_topics({f"{log.topic}-small": topic})
    publisher = KafkaPublisher([log.broker.url], f"{log.topic}-small", 1)

    [refused] = publish(publisher, [a_message("x" * 5000)])

    assert isinstance(refused, RefusedError)
    assert "max.message.bytes" in str(refused)
    receipts(publish(publisher, [a_message("x")]))
    publisher.close(1)


def test_a_topic_with_fewer_partitions_than_configured_fails_what_is_beyond(log: KafkaLog) -> None:
    publisher = KafkaPublisher([log.broker.url], log.topic, PARTITIONS + 5)

    outcomes = publish(publisher, [a_message("a"), a_message("b", PARTITIONS + 2), a_message("c")])

    assert str(outcomes[1]) == f"the topic has no partition {PARTITIONS + 2}"
    receipts([outcomes[0], outcomes[2]])
    publisher.close(1)


def test_a_missing_topic_is_not_made_by_writing_or_reading(kafka_service: Kafka) -> None:
    topic = f"stream-{secrets.token_hex(6)}"
    publisher = KafkaPublisher([kafka_service.url], topic, 1)
    source = KafkaSource([kafka_service.url], topic, topic)

    outcomes = publish(publisher, messages(2))

    assert source.poll(1, 1) == []
    assert [isinstance(each, StreamError) and each.ambiguous for each in outcomes] == [False, False]
    with pytest.raises(StreamError, match="is not there"):
        describe_topic([kafka_service.url], topic, 10)
    source.close()
    publisher.close(1)


def test_the_clients_are_made_as_the_design_demands() -> None:
    publisher, source = KafkaPublisher(NOBODY, "any", 1), KafkaSource(NOBODY, "any", "any")

    producer, consumer = publisher._producer.config, source._consumer.config  # type: ignore[union-attr]

    # Receipts: on all in-sync replicas, once, in time for an answer within seven seconds.
    assert (producer["acks"], producer["enable_idempotence"], producer["linger_ms"]) == (-1, True, 0)
    assert (producer["max_block_ms"], producer["request_timeout_ms"]) == (1500, 3500)
    assert producer["delivery_timeout_ms"] == 8000
    # What is accepted fits, with room, through producer, topic and readers.
    assert MAX_ENVELOPE_BYTES < producer["max_request_size"] == MAX_MESSAGE_BYTES == 2 * 1024 * 1024
    assert producer["batch_size"] < MAX_MESSAGE_BYTES < FETCH_BYTES == consumer["max_partition_fetch_bytes"]
    # Offsets move by our hand alone.
    assert (consumer["enable_auto_commit"], consumer["auto_offset_reset"]) == (False, "none")
    assert (consumer["session_timeout_ms"], consumer["max_poll_interval_ms"]) == (30_000, 300_000)
    for config in (producer, consumer):
        assert config["api_version"] == (3, 9)
        assert config["allow_auto_create_topics"] is False
        assert config["reconnect_backoff_max_ms"] == 1000
    source.close()
    publisher.close(0)


def test_a_large_backlog_of_large_records_comes_whole(log: KafkaLog) -> None:
    publisher, source = log.publisher(), log.source("large")
    sent = [a_message(f"{number}:" + "x" * 1_500_000, number % PARTITIONS) for number in range(20)]
    receipts(publish(publisher, sent))

    records = take(at_start(joined(source)), len(sent))

    assert {record.value for record in records} == {message.value for message in sent}
    source.close()
    publisher.close(1)
