"""A log of records in partitions, as FormHub needs it: read as a member of a group, written in groups.

Two implementations, `kafka` and `memory`, are held to one suite of promises.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kafka.partitioner.default import murmur2

Headers = tuple[tuple[str, bytes], ...]
# What the log takes as one record, and what a record has around its key, value and each header at most.
MAX_MESSAGE_BYTES = 2_097_152
RECORD_OVERHEAD = 100
HEADER_OVERHEAD = 10


class StreamError(Exception):
    """The log did not take or give records. `ambiguous`: it may have taken them all the same."""

    def __init__(self, message: str, *, ambiguous: bool = True) -> None:
        super().__init__(message)
        self.ambiguous = ambiguous


class RefusedError(StreamError):
    """The log can never take this message as it is, whatever it does with others."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ambiguous=False)


class OffsetOutOfRange(StreamError):  # noqa: N818 - Kafka's own name for it
    """A group stands outside of the log: below its start (records are gone) or above its end (it was set back)."""


@dataclass(frozen=True, slots=True)
class Message:
    """A record to be written; the caller chooses the partition by `partition_of`."""

    key: bytes
    value: bytes
    headers: Headers
    partition: int

    @property
    def size(self) -> int:
        """Bytes as a record, rounded up a little."""
        headers = sum(HEADER_OVERHEAD + len(name.encode()) + len(value) for name, value in self.headers)
        return RECORD_OVERHEAD + len(self.key) + len(self.value) + headers


@dataclass(frozen=True, slots=True)
class Receipt:
    """The broker's word that a record is on all in-sync replicas."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Headers
    timestamp_ms: int


Outcome = Receipt | StreamError


class Publisher(Protocol):
    """Writes groups of messages to one topic. Thread-safe."""

    def publish(self, messages: Sequence[Message], done: Callable[[list[Outcome]], None]) -> None:
        """Hand over a group; `done` gets one outcome per message, in order, exactly once, on any thread.

        A message that can never be taken fails alone and for certain (not `ambiguous`). May block for the time the
        client waits for topic metadata, so neither a loop nor a request calls it.
        """

    def close(self, seconds: float) -> None:
        """Wait at most `seconds` for what was handed over, then end: whatever is left fails, and so does what comes."""


class Source(Protocol):
    """One member of a consumer group over one topic. Used by one thread.

    An assigned partition is read from where it was sought, else from the group's stored offset; it begins unpaused, and
    its records come with the polls after the one that brought it. `seek`, `pause` and `resume` leave out what is not
    assigned. Closed, all but `close` raise StreamError.
    """

    def poll(self, max_records: int, seconds: float) -> list[Record]:
        """Up to `max_records`, waiting at most `seconds` for the first; what the listener raises comes out of here.

        Raises StreamError; OffsetOutOfRange where a partition was neither sought nor has an offset stored.
        """

    def assignment(self) -> set[int]:
        """The partitions this member reads now; none before the first poll."""

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Read on from these offsets (partition -> next offset)."""

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Store the next offsets for the group. Raises StreamError."""

    def committed(self) -> dict[int, int]:
        """The stored next offsets of the assigned partitions; those never stored are left out."""

    def bounds(self) -> dict[int, tuple[int, int]]:
        """For each assigned partition its first offset and the one after its last."""

    def topic_id(self) -> str:
        """The id of the topic's present incarnation; a topic made anew has another."""

    def pause(self, partitions: set[int]) -> None: ...

    def resume(self, partitions: set[int]) -> None: ...

    def close(self) -> None: ...


class RebalanceListener(Protocol):
    """Told about changes of the assignment on the thread that polls, within the poll: it may ask the source and seek.

    A source that closes tells what is revoked when it is closed already.
    """

    def assigned(self, partitions: set[int]) -> None: ...

    def revoked(self, partitions: set[int]) -> None: ...


def refusal(message: Message, partitions: int) -> StreamError | None:
    """Why the log can never take the message, None if it can."""
    if not 0 <= message.partition < partitions:
        return StreamError(f"there is no partition {message.partition}", ambiguous=False)
    if message.size > MAX_MESSAGE_BYTES:
        return RefusedError(f"{message.size} bytes are more than the {MAX_MESSAGE_BYTES} of a record")
    return None


def partition_of(key: bytes, partitions: int) -> int:
    """Kafka's own default placement (murmur2 of the key), so that every client agrees where a form lives."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
