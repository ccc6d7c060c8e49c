"""What can be seen of a Kafka cluster from outside: for readiness, the status page and the doctor. It changes nothing.

Everything answers within about the seconds given, or raises StreamError.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import CoordinatorNotAvailableError

from formhub.core.stream.base import StreamError
from formhub.core.stream.kafka import API_VERSION, _admin, _configs, _translated, reached

NOBODY = -1


@dataclass(frozen=True, slots=True)
class Partition:
    """`leader`: False while no broker leads it. in_sync: how many of its replicas are."""

    number: int
    leader: bool
    replicas: int
    in_sync: int

    def takes(self, min_insync: int) -> bool:
        return self.leader and self.in_sync >= min_insync


@dataclass(frozen=True, slots=True)
class Disk:
    """Where a broker keeps its log. Zero bytes in all: the broker does not say."""

    broker: int
    folder: str
    total: int
    free: int


def partitions(servers: Sequence[str], topic: str, seconds: float) -> list[Partition]:
    """Raises StreamError, also where the topic is not there."""
    with _admin(servers, _ms(seconds)) as admin:
        [found] = admin.describe_topics([topic])
    if found["error_code"]:
        raise StreamError(f"the topic {topic} is not there", ambiguous=False)
    return [
        Partition(
            number=each["partition_index"],
            leader=each["leader_id"] != NOBODY,
            replicas=len(each["replica_nodes"]),
            in_sync=len(each["isr_nodes"]),
        )
        for each in found["partitions"]
    ]


def topic_settings(servers: Sequence[str], topic: str, seconds: float) -> dict[str, str]:
    """Those of the topic, with the brokers' where it has none of its own. Raises StreamError."""
    with _admin(servers, _ms(seconds)) as admin:
        return _configs(admin, topic)


def broker_settings(servers: Sequence[str], seconds: float) -> dict[int, dict[str, str | None]]:
    """By broker."""
    with _admin(servers, _ms(seconds)) as admin:
        brokers = [each["broker_id"] for each in admin.describe_cluster()["brokers"]]
        wanted = [ConfigResource(ConfigResourceType.BROKER, str(broker)) for broker in brokers]
        found = admin.describe_configs(wanted, config_filter="all")["broker"]
    return {int(broker): {name: data["value"] for name, data in configs.items()} for broker, configs in found.items()}


def disks(servers: Sequence[str], seconds: float) -> list[Disk]:
    with _admin(servers, _ms(seconds)) as admin:
        found = admin.describe_log_dirs()
    return [
        Disk(broker["broker"], folder["log_dir"], folder["total_bytes"], folder["usable_bytes"])
        for broker in found
        for folder in broker["log_dirs"]
    ]


def members(servers: Sequence[str], groups: Sequence[str], seconds: float) -> dict[str, int]:
    """How many readers each group has."""
    with _admin(servers, _ms(seconds)) as admin:
        try:
            found = admin.describe_groups(list(groups))
        except CoordinatorNotAvailableError:  # no group ever joined here
            return dict.fromkeys(groups, 0)
    return {group: len(found[group]["members"]) if group in found else 0 for group in groups}


def written_at(servers: Sequence[str], topic: str, places: Mapping[int, int], seconds: float) -> dict[int, datetime]:
    """When the record at, or next after, each offset was written, by partition; left out where there is none yet."""
    if not places:
        return {}
    with _translated("look into the log"):
        consumer = KafkaConsumer(
            **reached(servers),
            api_version=API_VERSION,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=_ms(seconds),
            max_partition_fetch_bytes=1,  # one batch of each is sent all the same
            metrics_enabled=False,
        )
        try:
            return _look(
                consumer, {TopicPartition(topic, number): offset for number, offset in places.items()}, seconds
            )
        finally:
            consumer.close(autocommit=False, timeout_ms=_ms(seconds))


def _look(consumer: KafkaConsumer, places: Mapping[TopicPartition, int], seconds: float) -> dict[int, datetime]:
    consumer.assign(list(places))
    for partition, offset in places.items():
        consumer.seek(partition, offset)
    found: dict[int, datetime] = {}
    until = time.monotonic() + seconds
    while len(found) < len(places) and time.monotonic() < until:
        for partition, records in consumer.poll(timeout_ms=200).items():
            if records:
                found.setdefault(partition.partition, datetime.fromtimestamp(records[0].timestamp / 1000, UTC))
                consumer.pause(partition)
    return found


def _ms(seconds: float) -> int:
    return int(1000 * seconds)
