"""The topic behind each stream, and how it is made."""

from dataclasses import dataclass

from django.conf import settings

from apps.streams.contract import SUBMISSIONS, Processor
from formhub.core.stream.kafka import TopicSettings


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    wanted: TopicSettings


def submissions() -> Topic:
    return Topic(settings.SUBMISSIONS_TOPIC, _wanted(0, 0))


def of(kind: type[Processor]) -> Topic:
    """What the processor writes to."""
    return Topic(f"stream.{kind.name}.v1", _wanted(kind.partitions, kind.retention_hours))


def source(kind: type[Processor]) -> str:
    """The name of the topic that it reads."""
    return settings.SUBMISSIONS_TOPIC if kind.consumes == SUBMISSIONS else f"{kind.consumes}.v1"


def groups(kind: type[Processor]) -> tuple[str, str]:
    """Who reads for it: the group that makes its results, and the one that keeps them."""
    return f"process.{kind.name}", f"archive.{kind.name}"


def _wanted(partitions: int, retention_hours: int) -> TopicSettings:
    return TopicSettings(
        partitions=partitions or settings.SUBMISSIONS_PARTITIONS,
        replication=settings.SUBMISSIONS_REPLICATION,
        min_insync=settings.SUBMISSIONS_MIN_INSYNC,
        retention_hours=retention_hours or settings.SUBMISSIONS_RETENTION_HOURS,
    )
