"""The gate's words. A limit counts in sliding windows: this window's hits, and of the last one's the share that the
window, moved back to now, still covers. A hit that is refused counts nowhere.

A claim's record is `running` while its first try lasts, at most RUNNING_SECONDS, then `done` with the answer given.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

RUNNING_SECONDS = 15
RUNNING, DONE = "r", "d"
_FINGERPRINT_LENGTH = 64


class GateAwayError(Exception):
    """Redis did not answer in time, or not at all."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`amount` hits in `seconds`, counted under `key`; `name` is what the caller is told."""

    name: str
    key: str
    amount: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A limit's hits in this window and the last, `elapsed` seconds into this one."""

    limit: Limit
    current: int
    previous: int
    elapsed: float

    @property
    def used(self) -> float:
        return self.current + self.previous * (1 - self.elapsed / self.limit.seconds)

    @property
    def remaining(self) -> int:
        return max(0, int(self.limit.amount - self.used))

    @property
    def seconds_left(self) -> int:
        """Until this window ends."""
        return max(1, math.ceil(self.limit.seconds - self.elapsed))

    @property
    def retry_after(self) -> int:
        """Seconds until one more hit fits, if nobody else hits meanwhile."""
        room = self.limit.amount - 1
        if self.current > room:
            wait = self.limit.seconds - self.elapsed + self.limit.seconds * (1 - room / self.current)
        else:
            wait = self.limit.seconds * (1 - (room - self.current) / max(1, self.previous)) - self.elapsed
        return max(1, math.ceil(wait))


@dataclass(frozen=True, slots=True)
class Claim:
    """One try under an idempotency key. `fingerprint`: SHA-256 of the answers in hex; `owner`: this try alone."""

    key: str
    fingerprint: str
    owner: str

    @property
    def running(self) -> str:
        return RUNNING + self.fingerprint + self.owner

    def done(self, answer: str) -> str:
        return DONE + self.fingerprint + answer

    def same_body(self, record: str) -> bool:
        return record[1 : 1 + _FINGERPRINT_LENGTH] == self.fingerprint


def stored_answer(record: str) -> str | None:
    """The answer of a record that is done."""
    return record[1 + _FINGERPRINT_LENGTH :] if record.startswith(DONE) else None


@dataclass(frozen=True, slots=True)
class Entry:
    """`exceeded`: the first limit without room; then nothing was counted or claimed. `held`: the record that another
    try has under the claim's key; without one the claim is ours."""

    standings: tuple[Standing, ...] = ()
    exceeded: Standing | None = None
    held: str | None = None


@dataclass(frozen=True, slots=True)
class Enter:
    """Count a hit at each limit and claim the key, if every limit has room."""

    limits: Sequence[Limit]
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Settle:
    """Keep the answer, unless another body has the key by now."""

    claim: Claim
    answer: str


@dataclass(frozen=True, slots=True)
class Release:
    """Forget a try that was refused; only its owner can."""

    claim: Claim


Call = Enter | Settle | Release


class Store(Protocol):
    """Where hits and records are kept. One thread calls it at a time."""

    def turn(self, calls: Sequence[Call]) -> list[Entry]:
        """Do the calls in their order, each atomically; an entry for each, empty for all but Enter.

        Raises GateAwayError; how many of them were done is then unknown.
        """
