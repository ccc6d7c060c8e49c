"""The log on Apache Kafka, by kafka-python. Its traps are coded around here, and nothing else knows the client."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import (
    InvalidReplicationFactorError,
    KafkaError,
    KafkaTimeoutError,
    LogTruncationError,
    MessageSizeTooLargeError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
)
from kafka.structs import OffsetAndMetadata

from formhub.core.stream.base import (
    MAX_MESSAGE_BYTES,
    Message,
    OffsetOutOfRange,
    Outcome,
    RebalanceListener,
    Receipt,
    Record,
    RefusedError,
    StreamError,
    refusal,
)

# Given so that no client asks the broker for its version first: construction neither blocks nor fails.
API_VERSION = (3, 9)
FETCH_BYTES = 8_388_608
MAX_BLOCK_MS = 1_500
REQUEST_TIMEOUT_MS = 3_500
DELIVERY_TIMEOUT_MS = 8_000
# The client's own ceiling, half a minute, would keep intake and readers waiting long after the broker is back.
RECONNECT_MS = 1_000
ADMIN_TIMEOUT_MS = 5_000


def reached(servers: Sequence[str]) -> dict[str, Any]:
    """What every client is told of the brokers: where they are, and, over TLS, whom to believe and who we are."""
    told: dict[str, Any] = {"bootstrap_servers": list(servers)}
    if settings.KAFKA_CA_FILE:
        told |= {"security_protocol": "SSL", "ssl_cafile": settings.KAFKA_CA_FILE}
    if settings.KAFKA_CERT_FILE:
        told |= {"ssl_certfile": settings.KAFKA_CERT_FILE, "ssl_keyfile": settings.KAFKA_KEY_FILE}
    return told


class KafkaPublisher:
    """Writes groups to one topic: idempotent, on all in-sync replicas, no linger, bounded in time.

    A record that fails here may still land (a timeout after the append), so its error is ambiguous: readers tell
    repeats by the submission's id.
    """

    def __init__(self, bootstrap_servers: Sequence[str], topic: str, partitions: int) -> None:
        self.topic = topic
        self.partitions = partitions
        self._servers = list(bootstrap_servers)
        self._lock = threading.Lock()
        self._closed = False
        self._producer: KafkaProducer | None = self._make()

    def publish(self, messages: Sequence[Message], done: Callable[[list[Outcome]], None]) -> None:
        group = _Group(len(messages), done)
        producer = self._current()
        if producer is None:
            group.settle_from(0, StreamError("the publisher is closed", ambiguous=False))
            return
        for index, message in enumerate(messages):
            if error := refusal(message, self.partitions):
                group.settle(index, error)
                continue
            try:
                future = self._send(producer, message)
            except KafkaError as error:
                # Without topic metadata every send of the group would block as long again: all fail together.
                group.settle_from(index, StreamError(f"not handed over ({type(error).__name__})", ambiguous=False))
                return
            except ValueError:
                missing = f"the topic has no partition {message.partition}"
                group.settle(index, StreamError(missing, ambiguous=False))
                continue
            future.add_callback(partial(_received, group, index))
            future.add_errback(partial(self._failed, producer, group, index))

    def close(self, seconds: float) -> None:
        with self._lock:
            self._closed = True
            producer, self._producer = self._producer, None
        if producer is not None:
            _end(producer, seconds)

    def _send(self, producer: KafkaProducer, message: Message) -> Any:
        return producer.send(
            self.topic,
            key=message.key,
            value=message.value,
            headers=list(message.headers),
            partition=message.partition,
        )

    def _make(self) -> KafkaProducer:
        return KafkaProducer(
            **reached(self._servers),
            api_version=API_VERSION,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            batch_size=800_000,
            max_block_ms=MAX_BLOCK_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
            max_request_size=MAX_MESSAGE_BYTES,
            # Where the broker allows it, the client would make a missing topic with the broker's settings, not ours.
            allow_auto_create_topics=False,
            reconnect_backoff_max_ms=RECONNECT_MS,
            metrics_enabled=False,
        )

    def _current(self) -> KafkaProducer | None:
        with self._lock:
            if self._producer is None and not self._closed:
                self._producer = self._make()
            return self._producer

    def _failed(self, producer: KafkaProducer, group: "_Group", index: int, error: BaseException) -> None:
        self._retire(producer)
        if isinstance(error, MessageSizeTooLargeError):
            # Of one record: the client divides what is too large as a batch.
            group.settle(index, RefusedError("the topic's max.message.bytes is too small for it"))
        else:
            group.settle(index, StreamError(f"the broker gave no receipt ({type(error).__name__})"))

    def _retire(self, producer: KafkaProducer) -> None:
        """Let a new producer take over after any failure.

        An idempotent producer that expired a batch it had sent has dropped its id and never asks for another; one
        whose batch the broker refused counts as broken. Either stays silent for ever after (kafka-python 3.0.12).
        """
        with self._lock:
            if self._producer is not producer:
                return
            self._producer = None
        # In a thread of its own: this one is the producer's, and would wait for itself.
        threading.Thread(target=_end, args=(producer, 0.0), name="kafka-producer-end", daemon=True).start()


def _end(producer: KafkaProducer, seconds: float) -> None:
    try:
        producer.close(timeout=seconds)
    except KafkaTimeoutError:
        # `close` stops at records that are left over. Only this fails them, which settles their groups.
        producer._sender.force_close()
        producer._sender.join(MAX_BLOCK_MS / 1000)
        producer.close(timeout=0)


class _Group:
    """Collects one outcome per message and tells them all when the last one is in."""

    def __init__(self, size: int, done: Callable[[list[Outcome]], None]) -> None:
        self._outcomes: list[Outcome | None] = [None] * size
        self._missing = size
        self._done = done
        self._lock = threading.Lock()
        if not size:
            done([])

    def settle_from(self, index: int, outcome: Outcome) -> None:
        for rest in range(index, len(self._outcomes)):
            self.settle(rest, outcome)

    def settle(self, index: int, outcome: Outcome) -> None:
        with self._lock:
            if self._outcomes[index] is not None:
                return
            self._outcomes[index] = outcome
            self._missing -= 1
            if self._missing:
                return
        self._done([outcome for outcome in self._outcomes if outcome is not None])


def _received(group: _Group, index: int, metadata: Any) -> None:
    # A batch that was split can end without an offset: only an offset is a receipt.
    if metadata is None or metadata.offset is None or metadata.offset < 0:
        group.settle(index, StreamError("the broker named no offset"))
    else:
        group.settle(index, Receipt(metadata.partition, metadata.offset))


class KafkaSource:
    """A member of a group. Where it reads is decided by `seek` at each assignment, never by the client's own reset."""

    def __init__(
        self,
        bootstrap_servers: Sequence[str],
        topic: str,
        group: str,
        listener: RebalanceListener | None = None,
        *,
        session_seconds: float = 30.0,
        max_poll_seconds: float = 300.0,
    ) -> None:
        self.topic = topic
        self._servers = list(bootstrap_servers)
        self._closed = False
        self._consumer = KafkaConsumer(
            **reached(self._servers),
            api_version=API_VERSION,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=int(session_seconds * 1000),
            heartbeat_interval_ms=int(session_seconds * 1000 / 10),
            max_poll_interval_ms=int(max_poll_seconds * 1000),
            request_timeout_ms=int(max(session_seconds + 10, 40) * 1000),
            fetch_max_bytes=4 * FETCH_BYTES,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=100,
            allow_auto_create_topics=False,
            reconnect_backoff_max_ms=RECONNECT_MS,
            metrics_enabled=False,
        )
        self._changes = _Changes(listener)
        self._consumer.subscribe([topic], listener=self._changes)

    def poll(self, max_records: int, seconds: float) -> list[Record]:
        taken = self._take(max_records, seconds)
        moved = self._changes.partitions
        self._begin(moved, taken)
        self._changes.tell()
        return [
            Record(
                topic=self.topic,
                partition=partition.partition,
                offset=record.offset,
                key=record.key,
                value=record.value or b"",
                headers=tuple(record.headers),
                timestamp_ms=record.timestamp,
            )
            for partition, records in taken.items()
            if partition.partition not in moved
            for record in records
        ]

    def assignment(self) -> set[int]:
        self._check_open()
        return {partition.partition for partition in self._consumer.assignment()}

    def seek(self, offsets: Mapping[int, int]) -> None:
        for number in offsets.keys() & self.assignment():
            self._consumer.seek(self._partition(number), offsets[number])

    def commit(self, offsets: Mapping[int, int]) -> None:
        self._check_open()
        with _translated("store offsets"):
            self._consumer.commit(
                {self._partition(number): OffsetAndMetadata(offset, "", -1) for number, offset in offsets.items()},
                timeout_ms=ADMIN_TIMEOUT_MS,
            )

    def committed(self) -> dict[int, int]:
        with _translated("ask for the stored offsets"):
            found = {
                number: self._consumer.committed(self._partition(number), timeout_ms=ADMIN_TIMEOUT_MS)
                for number in self.assignment()
            }
        return {number: offset for number, offset in found.items() if offset is not None}

    def bounds(self) -> dict[int, tuple[int, int]]:
        partitions = [self._partition(number) for number in self.assignment()]
        if not partitions:
            return {}
        with _translated("ask for the log's bounds"):
            first = self._consumer.beginning_offsets(partitions, timeout_ms=ADMIN_TIMEOUT_MS)
            last = self._consumer.end_offsets(partitions, timeout_ms=ADMIN_TIMEOUT_MS)
        return {partition.partition: (first[partition], last[partition]) for partition in partitions}

    def topic_id(self) -> str:
        self._check_open()
        with _admin(self._servers, ADMIN_TIMEOUT_MS) as admin:
            return _described(admin, self.topic).id

    def pause(self, partitions: set[int]) -> None:
        self._consumer.pause(*(self._partition(number) for number in partitions & self.assignment()))

    def resume(self, partitions: set[int]) -> None:
        self._consumer.resume(*(self._partition(number) for number in partitions & self.assignment()))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with _translated("leave the group"):
            self._consumer.close(autocommit=False, timeout_ms=ADMIN_TIMEOUT_MS)
        self._changes.tell()

    def _take(self, max_records: int, seconds: float) -> dict[TopicPartition, list[Any]]:
        self._check_open()
        self._let_resumed_go_on()
        with _translated("poll"):
            try:
                taken: dict[TopicPartition, list[Any]] = self._consumer.poll(int(seconds * 1000), max_records)
            except (OffsetOutOfRangeError, NoOffsetForPartitionError, LogTruncationError) as error:
                if self._changes.partitions:
                    return {}  # the listener has yet to say where to read
                raise OffsetOutOfRange("an offset is outside of the log") from error
        return taken

    def _begin(self, moved: set[int], taken: Mapping[TopicPartition, list[Any]]) -> None:
        """What was read of a partition before the listener knew of it is read again, by whoever has it now."""
        first = {partition.partition: records[0].offset for partition, records in taken.items()}
        self.seek({number: offset for number, offset in first.items() if number in moved})
        # The client keeps a partition paused that leaves and comes back within one change.
        self.resume(moved)

    def _let_resumed_go_on(self) -> None:
        """The client sets aside what it has of a paused partition and takes it up again when it has nothing in hand.

        What it has finished counts as in hand, so that such a partition is never read again (kafka-python 3.0.12).
        """
        fetcher = self._consumer._fetcher
        if not fetcher._next_partition_records:
            fetcher._next_partition_records = None

    def _check_open(self) -> None:
        if self._closed:
            raise StreamError("the source is closed", ambiguous=False)

    def _partition(self, number: int) -> TopicPartition:
        return TopicPartition(self.topic, number)


class _Changes(ConsumerRebalanceListener):  # type: ignore[misc]
    """Keeps what the client tells on a thread of its own, where the broker cannot be asked, for the one that polls."""

    def __init__(self, listener: RebalanceListener | None) -> None:
        self._listener = listener
        self._told: deque[tuple[bool, set[int]]] = deque()

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        self._told.append((False, {partition.partition for partition in revoked}))

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        self._told.append((True, {partition.partition for partition in assigned}))

    @property
    def partitions(self) -> set[int]:
        """Those of which there is something to tell."""
        return {number for _, partitions in list(self._told) for number in partitions}

    def tell(self) -> None:
        while self._told:
            assigned, partitions = self._told.popleft()
            if self._listener and partitions:
                (self._listener.assigned if assigned else self._listener.revoked)(partitions)


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """How a topic is made. One replica is made durable by flushing each record; more by the in-sync minimum."""

    partitions: int
    replication: int
    min_insync: int
    retention_hours: int

    def configs(self) -> dict[str, str]:
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_hours * 3_600_000),
            "min.insync.replicas": str(self.min_insync),
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "unclean.leader.election.enable": "false",
            **({"flush.messages": "1"} if self.replication == 1 else {}),
        }


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is. `bounds`: for each partition its first offset and the one after its last."""

    id: str
    partitions: int
    replication: int
    min_insync: int
    flush_messages: int
    bounds: dict[int, tuple[int, int]]


def ensure_topic(servers: Sequence[str], topic: str, wanted: TopicSettings, seconds: float = 30.0) -> list[str]:
    """Make the topic unless it is there; returns how one that is there differs, a sentence for each difference.

    Waits up to `seconds` for the broker. Raises StreamError.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        try:
            with _admin(servers, int(min(ADMIN_TIMEOUT_MS, max(left, 0.1) * 1000))) as admin:
                _create(admin, topic, wanted)
                return _differences(admin, topic, wanted)
        except StreamError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def describe_topic(servers: Sequence[str], topic: str, seconds: float) -> TopicState:
    """Raises StreamError if the broker does not answer within about `seconds` or the topic is not there."""
    with _admin(servers, int(seconds * 1000)) as admin:
        found = _described(admin, topic)
        configs = _configs(admin, topic)
        partitions = [TopicPartition(topic, number) for number in range(found.partitions)]
        first = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
        last = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    return TopicState(
        id=found.id,
        partitions=found.partitions,
        replication=found.replication,
        min_insync=int(configs["min.insync.replicas"]),
        flush_messages=int(configs["flush.messages"]),
        bounds={partition.partition: (first[partition].offset, last[partition].offset) for partition in partitions},
    )


def offsets_at(servers: Sequence[str], topic: str, moment: datetime, seconds: float) -> dict[int, int]:
    """By partition the first record written at or after a moment, or the log's end. Raises StreamError."""
    with _admin(servers, int(seconds * 1000)) as admin:
        partitions = [TopicPartition(topic, number) for number in range(_described(admin, topic).partitions)]
        last = admin.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
        found = admin.list_partition_offsets(dict.fromkeys(partitions, int(moment.timestamp() * 1000)))
    return {
        partition.partition: found[partition].offset if found[partition].offset >= 0 else last[partition].offset
        for partition in partitions
    }


@dataclass(frozen=True, slots=True)
class _Described:
    id: str
    partitions: int
    replication: int


def _create(admin: KafkaAdminClient, topic: str, wanted: TopicSettings) -> None:
    spec = {
        topic: {
            "num_partitions": wanted.partitions,
            "replication_factor": wanted.replication,
            "configs": wanted.configs(),
        }
    }
    try:
        admin.create_topics(spec, timeout_ms=ADMIN_TIMEOUT_MS)
    except TopicAlreadyExistsError:
        return
    except InvalidReplicationFactorError as error:
        raise StreamError(
            f"{topic} needs {wanted.replication} brokers, and fewer are there", ambiguous=False
        ) from error
    admin.wait_for_topics([topic], timeout_ms=ADMIN_TIMEOUT_MS)


def _differences(admin: KafkaAdminClient, topic: str, wanted: TopicSettings) -> list[str]:
    found = _described(admin, topic)
    configs = _configs(admin, topic)
    pairs = [
        ("partitions", found.partitions, wanted.partitions),
        ("replication", found.replication, wanted.replication),
        *((name, configs.get(name), value) for name, value in wanted.configs().items()),
    ]
    return [f"{name} is {is_}, not {should}" for name, is_, should in pairs if str(is_) != str(should)]


def _described(admin: KafkaAdminClient, topic: str) -> _Described:
    [found] = admin.describe_topics([topic])
    if found.get("error_code"):
        raise StreamError(f"the topic {topic} is not there", ambiguous=False)
    partitions = found["partitions"]
    return _Described(str(UUID(str(found["topic_id"]))), len(partitions), len(partitions[0]["replica_nodes"]))


def _configs(admin: KafkaAdminClient, topic: str) -> dict[str, str]:
    answer = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
    [configs] = answer["topic"].values()
    return {name: str(data["value"]) for name, data in configs.items()}


@contextmanager
def _admin(servers: Sequence[str], timeout_ms: int) -> Iterator[KafkaAdminClient]:
    with _translated("ask the broker"):
        admin = KafkaAdminClient(
            **reached(servers),
            request_timeout_ms=timeout_ms,
            bootstrap_timeout_ms=timeout_ms,
        )
        try:
            yield admin
        finally:
            admin.close()


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise StreamError(f"could not {doing} ({type(error).__name__})") from error


__all__ = [
    "KafkaPublisher",
    "KafkaSource",
    "TopicSettings",
    "TopicState",
    "describe_topic",
    "ensure_topic",
]
