"""Google's quotas: requests per minute, reads and writes apart, per project and per user.

Whether a minute is the last sixty seconds or the one on the clock nobody has measured: the switch says.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from sheets_emulator.auth import Account
from sheets_emulator.errors import exhausted

PER_PROJECT = 300
PER_USER = 60
SECONDS = 60


@dataclass
class Quota:
    """`scale` multiplies the limits (0: none at all)."""

    scale: float = 1.0
    clock: Callable[[], float] = time.time
    window: Callable[[], str] = lambda: "sliding"
    _spent: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def spend(self, account: Account, write: bool) -> None:
        """One request. Raises ApiError 429, which costs nothing."""
        if not self.scale:
            return
        kind = "Write" if write else "Read"
        limits = (
            (account.project, f"{kind}RequestsPerMinutePerProject", PER_PROJECT),
            (account.email, f"{kind}RequestsPerMinutePerUser", PER_USER),
        )
        with self._lock:
            now = self.clock()
            begin = now - now % SECONDS if self.window() == "minute" else now - SECONDS
            for who, name, limit in limits:
                if self._count(who, name, begin) >= limit * self.scale:
                    raise exhausted(f"{kind.lower()}_requests", name, int(limit * self.scale), account.project)
            for who, name, _ in limits:
                self._spent[who, name].append(now)

    def _count(self, who: str, name: str, begin: float) -> int:
        spent = self._spent.setdefault((who, name), deque())
        sliding = self.window() == "sliding"
        while spent and (spent[0] <= begin if sliding else spent[0] < begin):
            spent.popleft()
        return len(spent)
