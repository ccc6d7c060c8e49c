"""One case: load, a fault in the middle, and the verdict, written down for the table in the docs."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
import redis

from deploy.local.process import ServiceError
from formhub.core.stream.base import StreamError
from tests.faults.harness.checker import Verdict, check
from tests.faults.harness.clients import Load
from tests.faults.harness.journal import Journal
from tests.faults.harness.signs import Nowhere, Sign
from tests.faults.harness.watch import Watch
from tests.faults.harness.world import ROLES, World

DRAIN_SECONDS = 150.0
LOOK_SECONDS = 0.3
# A fault that is over before anybody looked may be seen in what it left behind, and that soon.
SHOWS_SECONDS = 15.0
# All processes of a role together, at any moment of a case; and what the buffer's server holds. Both are far above what
# a case needs and far below what a leak, or a queue without a bound, makes of it.
MEMORY_MAX = {"web": 500_000_000, "consumer": 350_000_000, "worker": 350_000_000, "beat": 250_000_000}
VALKEY_MAX = 64_000_000
EMPTY_SECONDS = 60.0


@dataclass
class Case:
    """`fault`: in words for the table. `results`: the folder that takes what came of it. `sign`: where the fault shows.
    `forgotten`: accepted ids that the case itself took out of the log before anybody read them; nothing else may be
    missing. `failed` and `late`: as the checker takes them.
    """

    name: str
    fault: str
    seed: int
    world: World
    folder: Path
    results: Path
    sign: Sign | Nowhere | None = None
    targets: list[dict[str, str]] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    recovery: float | None = None
    _missing: str = ""
    _recovering: threading.Thread | None = None
    _healed_at: float | None = None

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / f"{self.name}.journal")
        self.targets = self.world.forms(3)
        self.watch = Watch(self.world.stack, ROLES, self.sign)

    def load(self, clients: int = 8, pause: float = 0.12) -> Load:
        number = len(self.loads)
        made = Load(self.targets, self.journal, self.seed * 10 + number, clients, pause)
        self.loads.append(made)
        return made

    def stand(self, seconds: float) -> None:
        """Let a fault last: here time itself is the fault."""
        time.sleep(seconds)

    def healed(self) -> None:
        """From here on the time to recover counts: until all that was accepted up to now is where it belongs."""
        self.world.heal()
        self._healed_at = time.monotonic()
        accepted = self.accepted()
        self._recovering = threading.Thread(target=self._recover, args=(accepted,), daemon=True)
        self._recovering.start()

    def accepted(self) -> set[str]:
        """The ids that clients were told, and that are still to be found somewhere."""
        told = {submission for call in self.journal.history().values() for submission in call.ids}
        return told - self.forgotten

    def archived(self) -> set[str]:
        return {row.id for target in self.targets for row in self.world.archive(target["form"])}

    def judge(self) -> Verdict:
        """Let everything travel, compare, write down; fails the test where the promise is broken."""
        drained = self._until(self._still, DRAIN_SECONDS)
        if self._recovering:
            self._recovering.join(LOOK_SECONDS * 10)
        history = {key: call for key, call in self.journal.history().items() if not call.ids & self.forgotten}
        places = self.world.places(self.targets)
        marked = {form: replace(place, failed=self.failed, late=self.late) for form, place in places.items()}
        verdict = check(history, marked)
        self._write_down(verdict)
        self._hold(verdict.good, str(verdict))
        self._hold(drained, f"not at rest within {DRAIN_SECONDS:.0f} s ({self._missing})")
        self._hold(not self._crashed(), f"the web server answered {self._crashed()}")
        self._hold_bounds()
        if self._healed_at is not None:
            self._hold_to_sign(self._healed_at + SHOWS_SECONDS)
        return verdict

    # Parts

    def _hold(self, kept: bool, broken: str) -> None:
        assert kept, f"{self.name}, seed {self.seed}: {broken}"

    def _hold_bounds(self) -> None:
        """Memory never went beyond its bound, and what is held for a while only is held no more."""
        large = {role: size for role, size in self.watch.memory.items() if size > MEMORY_MAX[role]}
        self._hold(not large, f"{large} bytes of memory, of {MEMORY_MAX} at most")
        self._hold(self._until(self._empty, EMPTY_SECONDS), f"not empty after {EMPTY_SECONDS:.0f} s: {self._missing}")
        used = self.world.redis().info("memory")["used_memory"]
        self._hold(used < VALKEY_MAX, f"Valkey holds {used:,} bytes, of {VALKEY_MAX:,} at most")

    def _empty(self) -> bool:
        left = {"outbox": self.world.outbox(), **self.world.buffered()}
        self._missing = repr({name: count for name, count in left.items() if count})
        return not any(left.values())

    def _hold_to_sign(self, latest: float) -> None:
        if not isinstance(self.sign, Sign):
            return
        self._until(lambda: self.watch.seen_at is not None, latest - time.monotonic())
        seen = self.watch.seen_at
        self._hold(seen is not None and seen <= latest, f"{self.sign} did not show it in time ({self.sign.metric})")

    def _recover(self, accepted: set[str]) -> None:
        begun = time.monotonic()
        if self._until(lambda: accepted - self.failed <= self._everywhere(), DRAIN_SECONDS):
            self.recovery = time.monotonic() - begun

    def _still(self) -> bool:
        """The archive has read all there is and the Sheets hold what it has."""
        self.world.revive()
        behind, archived, everywhere = self.world.behind(), self.archived(), self._everywhere()
        missing, owed = self.accepted() - archived, archived - self.failed
        self._missing = f"{behind} not read, {len(missing)} not archived, {len(owed - everywhere)} not in Sheets"
        return not behind and not missing and everywhere == owed

    def _everywhere(self) -> set[str]:
        in_sheets = {submission for target in self.targets for submission in self.world.sheet(target)}
        return in_sheets & self.archived()

    def _until(self, done: Callable[[], bool], seconds: float) -> bool:
        """What cannot be asked is not done."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if done():
                    return True
            except (psycopg.Error, redis.RedisError, OSError, ServiceError, StreamError) as error:
                self._missing = repr(error)
            time.sleep(LOOK_SECONDS)
        return False

    def _crashed(self) -> dict[int, int]:
        return {
            status: load.statuses[status]
            for load in self.loads
            for status in load.statuses
            if status >= 500 and status != 503
        }

    def _write_down(self, verdict: Verdict) -> None:
        history = self.journal.history()
        self.results.mkdir(parents=True, exist_ok=True)
        result = {
            "case": self.name,
            "fault": self.fault,
            "seed": self.seed,
            "sent": len(history),
            "accepted": sum(1 for call in history.values() if call.ids),
            "refused": sum(1 for call in history.values() if call.refused),
            **{name: len(found) for name, found in vars(verdict).items()},
            "recovery": self.recovery,
            "shows": str(self.sign or ""),
            "memory": self.watch.memory,
        }
        (self.results / f"{self.name}.json").write_text(json.dumps(result, indent=2) + "\n")
