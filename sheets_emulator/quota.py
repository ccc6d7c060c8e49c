"""Google's quotas: requests per minute, reads and writes apart, per project and per user; a new minute starts anew."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from sheets_emulator.auth import Account
from sheets_emulator.errors import exhausted

PER_PROJECT = 300
PER_USER = 60


@dataclass
class Quota:
    """`scale` multiplies the limits (0: none at all)."""

    scale: float = 1.0
    clock: Callable[[], float] = time.time
    used: dict[tuple[str, str], int] = field(default_factory=dict)
    _minute: int = -1
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
            minute = int(self.clock() // 60)
            if minute != self._minute:
                self._minute = minute
                self.used.clear()
            for who, name, limit in limits:
                if self.used.get((who, name), 0) >= limit * self.scale:
                    raise exhausted(f"{kind.lower()}_requests", name, int(limit * self.scale), account.project)
            for who, name, _ in limits:
                self.used[who, name] = self.used.get((who, name), 0) + 1
