"""Faults: what the next calls meet, as planned one by one or by seeded chance. A demo has none."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from threading import Lock
from typing import Any

import orjson

from sheets_emulator.errors import invalid

PLANNED_MAX = 10_000
REFUSED_MAX = 100


class Fault(StrEnum):
    """reject: 503 and not applied. The others end after it was applied, except hang and unauthorized.

    At the token endpoint nothing is ever granted: unauthorized is a refused key, late a token that comes late.
    """

    REJECT = "reject"
    LOSE_ANSWER = "lose_answer"  # applied, then 503
    DROP = "drop"  # applied, then the connection is cut
    HTML = "html"  # applied, then 502 with a page
    HANG = "hang"  # applied, then silence
    LATE = "late"  # 503 at once, applied a moment later
    UNAUTHORIZED = "unauthorized"  # 401, not applied


@dataclass(frozen=True, slots=True)
class Target:
    """Which calls: a method such as spreadsheets.batchUpdate, drive.files.create or token (`*` stands for any text),
    a piece of the path such as the spreadsheet's id, and a kind of update. What is empty matches every call.
    """

    method: str = "*"
    path: str = ""
    kind: str = ""

    def matches(self, method: str, path: str, kinds: Collection[str]) -> bool:
        return fnmatchcase(method, self.method) and self.path in path and (not self.kind or self.kind in kinds)


@dataclass
class Chance:
    """The same seed and the same calls meet the same faults."""

    target: Target
    rates: Mapping[Fault, float]
    dice: random.Random


@dataclass
class Faults:
    """Planned ones come first, in the order they were planned."""

    hang_seconds: float = 1.0
    late_seconds: float = 0.3
    _planned: list[tuple[Target, Fault]] = field(default_factory=list)
    _refused: list[bytes] = field(default_factory=list)
    _chance: Chance | None = None
    _lock: Lock = field(default_factory=Lock)

    def plan(self, method: str, *faults: Fault, path: str = "", kind: str = "") -> None:
        """The next calls that match meet these. Raises OverflowError."""
        with self._lock:
            if len(self._planned) + len(faults) > PLANNED_MAX:
                raise OverflowError(f"At most {PLANNED_MAX} faults may be planned.")
            self._planned += [(Target(method, path, kind), fault) for fault in faults]

    def refuse(self, text: str) -> None:
        """Batches of updates that hold this text are refused and not applied, until `clear`. Raises OverflowError.

        It stands for whatever Google does not take in a cell, and its documents do not tell.
        """
        with self._lock:
            if len(self._refused) >= REFUSED_MAX:
                raise OverflowError(f"At most {REFUSED_MAX} texts may be refused.")
            self._refused.append(orjson.dumps(text)[1:-1])

    def check(self, body: Any) -> None:
        """Raises ApiError 400, with the name of the first request that holds a refused text."""
        if not self._refused:
            return
        for index, request in enumerate(body.get("requests", ())):
            written = orjson.dumps(request)
            if any(text in written for text in list(self._refused)):
                raise invalid(f"Invalid requests[{index}].{next(iter(request), '')}: Invalid value.")

    def at_random(self, seed: int, rates: Mapping[Fault, float], target: Target | None = None) -> None:
        """Each call that matches meets one with its rate (0 to 1), until `clear`. Raises ValueError."""
        if min(rates.values(), default=0) < 0 or sum(rates.values()) > 1:
            raise ValueError("The rates are numbers from 0 to 1, and 1 at most all together.")
        with self._lock:
            # Not a secret: the seed makes a run repeatable.
            self._chance = Chance(target or Target(), dict(rates), random.Random(seed))  # noqa: S311

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()
            self._refused.clear()
            self._chance = None

    def next(self, method: str, path: str = "", kinds: Collection[str] = ()) -> Fault | None:
        with self._lock:
            for index, (target, fault) in enumerate(self._planned):
                if target.matches(method, path, kinds):
                    del self._planned[index]
                    return fault
            return self._drawn(method, path, kinds)

    def _drawn(self, method: str, path: str, kinds: Collection[str]) -> Fault | None:
        if self._chance is None or not self._chance.target.matches(method, path, kinds):
            return None
        drawn = self._chance.dice.random()
        for fault, rate in self._chance.rates.items():
            drawn -= rate
            if drawn < 0:
                return fault
        return None
