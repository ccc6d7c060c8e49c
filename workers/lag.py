"""How far a group is behind in the partitions that this process reads: worked out when somebody scrapes.

A loop that stands still can report nothing, so its lag has to grow without it.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial

from formhub.core.clock import Clock
from formhub.core.metrics import COMMIT_AGE, LAG, LAG_SECONDS
from formhub.core.stream.base import Record


class Lag:
    """Told by the loop what it saw; asked by scrapes from other threads."""

    def __init__(self, group: str, clock: Clock) -> None:
        self._group = group
        self._clock = clock
        self._next: dict[int, int] = {}
        self._end: dict[int, int] = {}
        # When the next record not yet taken was written; until it was seen, when it was first known of.
        self._since: dict[int, float] = {}
        self._done_at = clock.monotonic()
        COMMIT_AGE.labels(group).set_function(self._commit_age)

    def records(self, partition: int) -> int:
        return max(0, self._end.get(partition, 0) - self._next.get(partition, 0))

    def seconds(self, partition: int) -> float:
        since = self._since.get(partition)
        return 0.0 if since is None else max(0.0, self._clock.now().timestamp() - since)

    def saw(self, records: Iterable[Record]) -> None:
        """Read, not yet taken."""
        first: dict[int, Record] = {}
        for record in records:
            first.setdefault(record.partition, record)
        self._since.update({partition: self._written(record) for partition, record in first.items()})

    def took(self, records: Iterable[Record], places: Mapping[int, int]) -> None:
        """Everything up to `places` (partition -> next offset) is done with."""
        last = {record.partition: record for record in records}
        self._next.update(places)
        for partition, record in last.items():
            if self.records(partition):
                self._since[partition] = self._written(record)  # the next one is no older; soon it will be seen
            else:
                self._since.pop(partition, None)

    def measured(self, ends: Mapping[int, int], places: Mapping[int, int]) -> None:
        """Where the log ends, and where the group stands; partitions left out are no longer this process's."""
        for partition in self._end.keys() - ends.keys():
            self.forget(partition)
        for partition, end in ends.items():
            if partition not in self._end:
                LAG.labels(self._group, str(partition)).set_function(partial(self.records, partition))
                LAG_SECONDS.labels(self._group, str(partition)).set_function(partial(self.seconds, partition))
            self._end[partition] = end
            self._next[partition] = places.get(partition, end)
            if self.records(partition):
                self._since.setdefault(partition, self._clock.now().timestamp())
            else:
                self._since.pop(partition, None)

    def done(self) -> None:
        """A turn ended well."""
        self._done_at = self._clock.monotonic()

    def forget(self, partition: int) -> None:
        if self._end.pop(partition, None) is not None:
            for gauge in (LAG, LAG_SECONDS):
                with suppress(KeyError):
                    gauge.remove(self._group, str(partition))
        self._next.pop(partition, None)
        self._since.pop(partition, None)

    def close(self) -> None:
        for partition in list(self._end):
            self.forget(partition)
        with suppress(KeyError):
            COMMIT_AGE.remove(self._group)

    def _written(self, record: Record) -> float:
        return record.timestamp_ms / 1000 if record.timestamp_ms > 0 else self._clock.now().timestamp()

    def _commit_age(self) -> float:
        return self._clock.monotonic() - self._done_at
