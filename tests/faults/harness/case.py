"""One case: load, a fault in the middle, and the verdict, written down for the table in the docs."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from deploy.local.process import ServiceError
from formhub.core.stream.base import StreamError
from tests.faults.harness.checker import Verdict, check
from tests.faults.harness.clients import Load
from tests.faults.harness.journal import Journal
from tests.faults.harness.world import World

DRAIN_SECONDS = 150.0
LOOK_SECONDS = 0.3


@dataclass
class Case:
    """`fault`: in words for the table. `results`: the folder that takes what came of it. `forgotten`: accepted ids that
    the case itself took out of the log before anybody read them; nothing else may be missing.
    """

    name: str
    fault: str
    seed: int
    world: World
    folder: Path
    results: Path
    targets: list[dict[str, str]] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    recovery: float | None = None
    _missing: str = ""
    _watch: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / f"{self.name}.journal")
        self.targets = self.world.forms(3)

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
        accepted = self.accepted()
        self._watch = threading.Thread(target=self._recover, args=(accepted,), daemon=True)
        self._watch.start()

    def accepted(self) -> set[str]:
        """The ids that clients were told, and that are still to be found somewhere."""
        told = {submission for call in self.journal.history().values() for submission in call.ids}
        return told - self.forgotten

    def judge(self) -> Verdict:
        """Let everything travel, compare, write down; fails the test where the promise is broken."""
        drained = self._until(self._still, DRAIN_SECONDS)
        if self._watch:
            self._watch.join(LOOK_SECONDS * 10)
        history = {key: call for key, call in self.journal.history().items() if not call.ids & self.forgotten}
        verdict = check(history, self.world.places(self.targets))
        self._write_down(verdict)
        assert verdict.good, f"{self.name}, seed {self.seed}: {verdict}"
        assert drained, f"{self.name}, seed {self.seed}: not at rest within {DRAIN_SECONDS:.0f} s ({self._missing})"
        assert not self._crashed(), f"{self.name}, seed {self.seed}: the web server answered {self._crashed()}"
        return verdict

    # Parts

    def _recover(self, accepted: set[str]) -> None:
        begun = time.monotonic()
        if self._until(lambda: accepted <= self._everywhere(), DRAIN_SECONDS):
            self.recovery = time.monotonic() - begun

    def _still(self) -> bool:
        """The archive has read all there is and the Sheets hold what it has."""
        self.world.revive()
        behind, archived, everywhere = self.world.behind(), self._archived(), self._everywhere()
        missing = self.accepted() - archived
        self._missing = f"{behind} not read, {len(missing)} not archived, {len(archived - everywhere)} not in Sheets"
        return not behind and not missing and everywhere == archived

    def _accepted(self) -> set[str]:
        return {submission for call in self.journal.history().values() for submission in call.ids}

    def _archived(self) -> set[str]:
        return {row.id for target in self.targets for row in self.world.archive(target["form"])}

    def _everywhere(self) -> set[str]:
        in_sheets = {submission for target in self.targets for submission in self.world.sheet(target)}
        return in_sheets & self._archived()

    def _until(self, done: Callable[[], bool], seconds: float) -> bool:
        """What cannot be asked is not done."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if done():
                    return True
            except (psycopg.Error, OSError, ServiceError, StreamError) as error:
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
        }
        (self.results / f"{self.name}.json").write_text(json.dumps(result, indent=2) + "\n")
