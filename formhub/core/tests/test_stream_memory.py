from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from formhub.core.stream.base import Publisher, RebalanceListener, Source, partition_of
from formhub.core.stream.memory import MemoryPublisher, MemorySource, MemoryTopic
from formhub.core.tests.stream_suite import PARTITIONS, GroupSuite, OutageSuite, PublishingSuite, ReadingSuite


class MemoryLog:
    deadline = 1.0

    def __init__(self) -> None:
        self.topic = MemoryTopic(partitions=PARTITIONS)

    def publisher(self) -> Publisher:
        return MemoryPublisher(self.topic)

    def source(self, group: str, listener: RebalanceListener | None = None) -> Source:
        return MemorySource(self.topic, group, listener)

    def drop_below(self, partition: int, offset: int) -> None:
        self.topic.drop_below(partition, offset)

    def make_anew(self) -> None:
        self.topic = MemoryTopic(partitions=PARTITIONS)

    @contextmanager
    def away(self) -> Iterator[None]:
        self.topic.broken = True
        yield
        self.topic.broken = False


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


class TestPublishing(PublishingSuite):
    pass


class TestReading(ReadingSuite):
    pass


class TestGroups(GroupSuite):
    pass


class TestOutages(OutageSuite):
    pass


@pytest.mark.parametrize(
    ("key", "hash_"),
    [
        pytest.param(b"21", -973932308, id="two digits"),
        pytest.param(b"foobar", -790332482, id="a word"),
        pytest.param(b"a-little-bit-long-string", -985981536, id="long"),
        pytest.param(b"a-little-bit-longer-string", -1486304829, id="longer"),
        pytest.param(b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971, id="longest"),
        pytest.param(b"abc", 479470107, id="three letters"),
    ],
)
def test_a_key_lies_where_kafkas_own_clients_put_it(key: bytes, hash_: int) -> None:
    """The hashes are those of the tests of Apache Kafka's Java client."""
    for partitions in (1, 3, 6, 24):
        assert partition_of(key, partitions) == (hash_ & 0x7FFFFFFF) % partitions
