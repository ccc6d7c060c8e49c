"""Careful clients, and some careless ones: seeded, so that a run can be had again."""

import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from uuid import UUID

import requests

from bench.load import students
from tests.canary import ANSWER
from tests.faults.harness.journal import Journal, digest
from tests.stack import wait_until

REQUEST_SECONDS = 12.0  # an answer is promised within 7, a gateway waits for 10
PATIENCE_SECONDS = 90.0
PROGRESS_SECONDS = 120.0
# Of what is sent: refused for its answers, repeated after the answer, and given up after one try without an answer.
REFUSED, REPEATED, CARELESS = 0.08, 0.1, 0.15


@dataclass
class Load:
    """A number of clients that submit to `targets`, each `pause` seconds after its last answer, until the block ends.

    Who gets no answer that settles it (none at all, 409, 429, 5xx) tries again with the same key, as the docs say.
    """

    targets: Sequence[Mapping[str, str]]
    journal: Journal
    seed: int
    clients: int = 8
    pause: float = 0.12
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: int = 0
    sent: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _jobs: list[Future[None]] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._pool = ThreadPoolExecutor(self.clients, "client")
        self._jobs = [self._pool.submit(self._work, number) for number in range(self.clients)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown()  # each ends within PATIENCE_SECONDS
        if error is None:
            for job in self._jobs:
                job.result()

    def more(self, count: int, seconds: float = PROGRESS_SECONDS) -> None:
        """Until so many more were accepted."""
        goal = self.accepted + count
        wait_until(lambda: self.accepted >= goal or self._failed(), seconds, f"{count} more are accepted")
        assert not self._failed(), [job.exception() for job in self._jobs if job.done()]

    def _failed(self) -> bool:
        return any(job.done() for job in self._jobs) and not self._stop.is_set()

    def _work(self, number: int) -> None:
        chance = random.Random(f"{self.seed}/{number}")
        people = students(chance.randrange(2**31))
        count = 0
        with requests.Session() as session:
            while not self._stop.wait(self.pause * chance.uniform(0.5, 1.5)):
                count += 1
                self._submit(session, chance, next(people), f"s{self.seed}-{number}-{count}")

    def _submit(self, session: requests.Session, chance: random.Random, person: dict[str, str], key: str) -> None:
        target = self.targets[chance.randrange(len(self.targets))]
        body = {**person, "roll": key, "university": ANSWER}
        if chance.random() < REFUSED:
            body["cgpa"] = "11"
        careless = chance.random() < CARELESS
        for _ in range(2 if chance.random() < REPEATED else 1):
            self._until_settled(session, target, key, body, careless=careless)

    def _until_settled(
        self, session: requests.Session, target: Mapping[str, str], key: str, body: dict[str, str], *, careless: bool
    ) -> None:
        with self._lock:
            self.sent += 1
        give_up = threading.Event()
        timer = threading.Timer(PATIENCE_SECONDS, give_up.set)
        timer.daemon = True
        timer.start()
        try:
            while not self._attempt(session, target, key, body) and not careless and not give_up.wait(0.4):
                pass
        finally:
            timer.cancel()

    def _attempt(self, session: requests.Session, target: Mapping[str, str], key: str, body: Mapping[str, Any]) -> bool:
        """Whether it is settled."""
        self.journal.sent(key, target["form"], digest(body))
        try:
            answer = session.post(
                target["submit_url"], json=body, headers={"Idempotency-Key": key}, timeout=REQUEST_SECONDS
            )
            status, submission = answer.status_code, answer.json().get("id", "")
        except (requests.RequestException, ValueError) as error:
            self.journal.unknown(key, type(error).__name__)
            return False
        with self._lock:
            self.statuses[status] += 1
        if status == 202:
            self.journal.ok(key, str(UUID(submission)))
            with self._lock:
                self.accepted += 1
            return True
        if status in {409, 429} or status >= 500:
            self.journal.unknown(key, str(status))
            return False
        self.journal.refused(key, status)
        return True
