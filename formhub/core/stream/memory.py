"""The in-memory twin of the log: same promises, one process, for tests."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from formhub.core.stream.base import Message, Outcome, Receipt, Record, StreamError


@dataclass
class MemoryTopic:
    """`broken` makes every write and read fail, as an unreachable broker does."""

    name: str = "submissions.v1"
    partitions: int = 6
    broken: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    lock: threading.Lock = field(default_factory=threading.Lock)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.logs: list[list[Record]] = [[] for _ in range(self.partitions)]

    def append(self, message: Message) -> Receipt:
        with self.lock:
            log = self.logs[message.partition]
            record = Record(
                topic=self.name,
                partition=message.partition,
                offset=len(log),
                key=message.key,
                value=message.value,
                headers=message.headers,
                timestamp_ms=time.time_ns() // 1_000_000,
            )
            log.append(record)
            return Receipt(message.partition, record.offset)

    def records(self) -> list[Record]:
        with self.lock:
            return [record for log in self.logs for record in log]

    def check(self) -> None:
        if self.broken:
            raise StreamError("the broker does not answer")


class MemoryPublisher:
    def __init__(self, topic: MemoryTopic) -> None:
        self.topic = topic

    def publish(self, messages: Sequence[Message], done: Callable[[list[Outcome]], None]) -> None:
        if self.topic.broken:
            done([StreamError("the broker does not answer") for _ in messages])
            return
        done([self.topic.append(message) for message in messages])

    def close(self, seconds: float) -> None:
        return None


class MemorySource:
    """The only member of its group: it reads every partition."""

    def __init__(self, topic: MemoryTopic, group: str) -> None:
        self.topic = topic
        self.group = group
        self.paused: set[int] = set()
        self.closed = False
        self._next = {partition: topic.offsets.get((group, partition), 0) for partition in range(topic.partitions)}

    def poll(self, max_records: int, seconds: float) -> list[Record]:
        self.topic.check()
        taken: list[Record] = []
        for partition, position in self._next.items():
            if partition in self.paused:
                continue
            batch = self.topic.logs[partition][position : position + max_records - len(taken)]
            self._next[partition] = position + len(batch)
            taken += batch
        return taken

    def assignment(self) -> set[int]:
        return set(self._next)

    def seek(self, offsets: Mapping[int, int]) -> None:
        self._next.update(offsets)

    def commit(self, offsets: Mapping[int, int]) -> None:
        self.topic.check()
        self.topic.offsets.update({(self.group, partition): offset for partition, offset in offsets.items()})

    def committed(self) -> dict[int, int]:
        return {
            partition: self.topic.offsets[self.group, partition]
            for partition in self._next
            if (self.group, partition) in self.topic.offsets
        }

    def bounds(self) -> dict[int, tuple[int, int]]:
        return {partition: (0, len(self.topic.logs[partition])) for partition in self._next}

    def topic_id(self) -> str:
        return self.topic.id

    def pause(self, partitions: set[int]) -> None:
        self.paused |= partitions

    def resume(self, partitions: set[int]) -> None:
        self.paused -= partitions

    def close(self) -> None:
        self.closed = True
