"""The in-memory twin of the log: same promises, one process, for tests."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from formhub.core.stream.base import (
    Message,
    OffsetOutOfRange,
    Outcome,
    RebalanceListener,
    Receipt,
    Record,
    StreamError,
    refusal,
)


@dataclass
class MemoryTopic:
    """`broken` makes every write and read fail, as an unreachable broker does."""

    name: str = "submissions.v1"
    partitions: int = 6
    broken: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    lock: threading.RLock = field(default_factory=threading.RLock)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.logs: list[list[Record]] = [[] for _ in range(self.partitions)]
        self.starts = [0] * self.partitions
        self.members: dict[str, list[MemorySource]] = {}

    def append(self, message: Message) -> Receipt:
        with self.lock:
            log = self.logs[message.partition]
            record = Record(
                topic=self.name,
                partition=message.partition,
                offset=self.starts[message.partition] + len(log),
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

    def bounds(self, partition: int) -> tuple[int, int]:
        with self.lock:
            start = self.starts[partition]
            return start, start + len(self.logs[partition])

    def drop_below(self, partition: int, offset: int) -> None:
        """Let the oldest records go, as retention does."""
        with self.lock:
            self.logs[partition] = self.logs[partition][offset - self.starts[partition] :]
            self.starts[partition] = offset

    def read(self, partition: int, offset: int, limit: int) -> list[Record]:
        """Raises OffsetOutOfRange."""
        with self.lock:
            start, end = self.bounds(partition)
            if not start <= offset <= end:
                raise OffsetOutOfRange("an offset is outside of the log")
            return self.logs[partition][offset - start : offset - start + limit]

    def check(self) -> None:
        if self.broken:
            raise StreamError("the broker does not answer")


class MemoryPublisher:
    def __init__(self, topic: MemoryTopic) -> None:
        self.topic = topic
        self.closed = False

    def publish(self, messages: Sequence[Message], done: Callable[[list[Outcome]], None]) -> None:
        if self.closed:
            done([StreamError("the publisher is closed", ambiguous=False) for _ in messages])
        elif self.topic.broken:
            done([StreamError("the broker does not answer") for _ in messages])
        else:
            with self.topic.lock:
                outcomes = [refusal(each, self.topic.partitions) or self.topic.append(each) for each in messages]
            done(outcomes)

    def close(self, seconds: float) -> None:
        self.closed = True


class MemorySource:
    """A member of a group. It takes what no other member holds: each gives up what is another's share when it polls."""

    def __init__(self, topic: MemoryTopic, group: str, listener: RebalanceListener | None = None) -> None:
        self.topic = topic
        self.group = group
        self.paused: set[int] = set()
        self.closed = False
        self._listener = listener
        self._next: dict[int, int | None] = {}
        topic.members.setdefault(group, []).append(self)

    def poll(self, max_records: int, seconds: float) -> list[Record]:
        """What is there; a test has nobody to wait for."""
        self._check()
        if self._take_share():
            return []
        taken: list[Record] = []
        for partition in sorted(self._next.keys() - self.paused):
            try:
                batch = self._read(partition, max_records - len(taken))
            except OffsetOutOfRange:
                if not taken:
                    raise
                break  # what was taken of others must not be lost: the next poll says it
            taken += batch
        return taken

    def assignment(self) -> set[int]:
        self._check_open()
        return set(self._next)

    def seek(self, offsets: Mapping[int, int]) -> None:
        self._check_open()
        self._next.update({number: offset for number, offset in offsets.items() if number in self._next})

    def commit(self, offsets: Mapping[int, int]) -> None:
        self._check()
        self.topic.offsets.update({(self.group, partition): offset for partition, offset in offsets.items()})

    def committed(self) -> dict[int, int]:
        self._check()
        stored = {partition: self._stored(partition) for partition in self._next}
        return {partition: offset for partition, offset in stored.items() if offset is not None}

    def bounds(self) -> dict[int, tuple[int, int]]:
        self._check()
        return {partition: self.topic.bounds(partition) for partition in self._next}

    def topic_id(self) -> str:
        self._check()
        return self.topic.id

    def pause(self, partitions: set[int]) -> None:
        self._check_open()
        self.paused |= partitions & self._next.keys()

    def resume(self, partitions: set[int]) -> None:
        self._check_open()
        self.paused -= partitions

    def close(self) -> None:
        if self.closed:
            return
        with self.topic.lock:
            self.topic.members[self.group].remove(self)
            before, self._next = self._next, {}
        self.closed = True
        self._tell(set(before), set())

    def _read(self, partition: int, limit: int) -> list[Record]:
        offset = self._next[partition]
        if offset is None:
            raise OffsetOutOfRange("a partition has no place in the log")
        batch = self.topic.read(partition, offset, limit)
        self._next[partition] = offset + len(batch)
        return batch

    def _take_share(self) -> bool:
        """Whether anything changed: then all was taken away and the share given, none of it paused."""
        with self.topic.lock:
            members = self.topic.members[self.group]
            place = members.index(self)
            held = {partition for member in members if member is not self for partition in member._next}
            share = {number for number in range(self.topic.partitions) if number % len(members) == place} - held
            if share == self._next.keys():
                return False
            before, self.paused = self._next, set()
            self._next = {partition: before.get(partition, self._stored(partition)) for partition in share}
        self._tell(set(before), share)
        return True

    def _tell(self, revoked: set[int], assigned: set[int]) -> None:
        if self._listener and revoked:
            self._listener.revoked(revoked)
        if self._listener and assigned:
            self._listener.assigned(assigned)

    def _stored(self, partition: int) -> int | None:
        return self.topic.offsets.get((self.group, partition))

    def _check(self) -> None:
        self._check_open()
        self.topic.check()

    def _check_open(self) -> None:
        if self.closed:
            raise StreamError("the source is closed", ambiguous=False)
