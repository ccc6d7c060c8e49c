"""Faults on order: what the next calls of a kind meet. For tests; a demo has none."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock


class Fault(StrEnum):
    """reject: 503 and not applied. The others end after it was applied, except hang and unauthorized."""

    REJECT = "reject"
    LOSE_ANSWER = "lose_answer"  # applied, then 503
    DROP = "drop"  # applied, then the connection is cut
    HTML = "html"  # applied, then 502 with a page
    HANG = "hang"  # applied, then silence
    LATE = "late"  # 503 at once, applied a moment later
    UNAUTHORIZED = "unauthorized"  # 401, not applied


@dataclass
class Faults:
    """`method` is an id such as spreadsheets.batchUpdate; the first one listed for it is met next."""

    hang_seconds: float = 1.0
    late_seconds: float = 0.3
    _planned: dict[str, deque[Fault]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def plan(self, method: str, *faults: Fault) -> None:
        with self._lock:
            self._planned.setdefault(method, deque()).extend(faults)

    def next(self, method: str) -> Fault | None:
        with self._lock:
            planned = self._planned.get(method)
            return planned.popleft() if planned else None
