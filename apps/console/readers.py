"""How far the readers of the log are behind what it holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from apps.archive.models import StreamOffset
from apps.console.words import duration
from apps.streams import topics
from apps.streams.contract import Processor
from apps.streams.models import Processing
from apps.streams.registry import usable
from formhub.core.stream import cluster
from formhub.core.stream.base import StreamError
from formhub.core.stream.kafka import TopicState, describe_topic

GROUPS = ("archive", "deliver")
TOPIC_SECONDS = 2.0
BEHIND_SECONDS = 60.0
LOST_SECONDS = 600.0
ASK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Lag:
    """`records` that a group has not taken yet, of which the oldest was written `seconds` ago (None: not known).

    `read` is False for a group that never stored an offset.
    """

    group: str
    records: int
    read: bool
    seconds: float | None

    @property
    def state(self) -> str:
        if not self.read or (self.seconds or 0) > LOST_SECONDS:
            return "bad"
        return "wait" if (self.seconds or 0) > BEHIND_SECONDS else "good"

    @property
    def age(self) -> str:
        return "" if self.seconds is None else duration(self.seconds)


def lags(topic: TopicState) -> list[Lag]:
    """Raises django.db.Error."""
    name = settings.SUBMISSIONS_TOPIC
    found = [_lag(group, name, topic) for group in GROUPS]
    used = set(Processing.objects.filter(on=True).values_list("processor", flat=True).distinct())
    return found + [lag for kind in usable() if kind.name in used for lag in _of_processor(kind, {name: topic})]


def _of_processor(kind: type[Processor], described: Mapping[str, TopicState]) -> Iterator[Lag]:
    """Who makes its results and who keeps them. What is not there to be read has never been read."""
    for group, name in zip(topics.groups(kind), (topics.source(kind), topics.of(kind).name), strict=True):
        try:
            state = described.get(name) or describe_topic(settings.KAFKA_BOOTSTRAP_SERVERS, name, TOPIC_SECONDS)
        except StreamError:
            yield Lag(group, 0, read=False, seconds=None)
        else:
            yield _lag(group, name, state)


def _lag(group: str, name: str, topic: TopicState) -> Lag:
    rows = StreamOffset.objects.filter(group=group, topic_id=topic.id)
    stored = dict(rows.values_list("partition", "next_offset"))
    places = {
        number: place
        for number, (start, end) in topic.bounds.items()
        if (place := max(start, stored.get(number, 0))) < end
    }
    records = sum(topic.bounds[number][1] - place for number, place in places.items())
    return Lag(group, records, bool(stored), _seconds(name, places, timezone.now()))


def _seconds(topic: str, places: dict[int, int], now: datetime) -> float | None:
    if not places:
        return 0.0
    try:
        found = cluster.written_at(settings.KAFKA_BOOTSTRAP_SERVERS, topic, places, ASK_SECONDS)
    except StreamError:
        return None
    return max(0.0, (now - min(found.values())).total_seconds()) if found else None
