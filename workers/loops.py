"""The loops that read the log, by name, and threads that run them.

`archive` and `deliver` read submissions. Each processor has two of its own: `process.<name>` makes its results, and
`archive.<name>` keeps them; `processors` stands for all of these.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.db import connections

from apps.streams import registry, topics
from formhub.core.stream.base import Source
from formhub.core.stream.kafka import KafkaSource
from workers import processing
from workers.archiving import ArchiveHandler, ResultsHandler
from workers.consumer import Consumer, ConsumerFailedError, Handler
from workers.heartbeat import Heartbeat
from workers.routing import make_handler

logger = logging.getLogger(__name__)
STOP_SECONDS = 20.0

PROCESSORS = "processors"


@dataclass(frozen=True, slots=True)
class Loop:
    """What a loop reads, how much at once, and who takes it."""

    topic: str
    handler: Callable[[], Handler]
    batch: int


def known() -> Mapping[str, Loop]:
    """Every loop by the name of its group."""
    topic, batch = settings.SUBMISSIONS_TOPIC, settings.CONSUMER_BATCH_MAX_ITEMS
    return {
        "archive": Loop(topic, ArchiveHandler, batch),
        "deliver": Loop(topic, make_handler, batch),
        **_of_processors(),
    }


def named(names: Sequence[str]) -> list[str]:
    """Each loop that is meant, once. Raises UnknownLoopError."""
    found = [each for name in names for each in (_of_processors() if name == PROCESSORS else [name])]
    check(found)
    return list(dict.fromkeys(found))


def _of_processors() -> dict[str, Loop]:
    found: dict[str, Loop] = {}
    for kind in registry.usable():
        make_it, keep = partial(processing.make_handler, kind), partial(ResultsHandler, kind)
        makes, keeps = topics.groups(kind)
        found[makes] = Loop(topics.source(kind), make_it, processing.BATCH)
        found[keeps] = Loop(topics.of(kind).name, keep, settings.CONSUMER_BATCH_MAX_ITEMS)
    return found


class UnknownLoopError(ValueError):
    """A name that no loop has."""


def check(names: Sequence[str]) -> None:
    """Raises UnknownLoopError, which names what there is."""
    there = known()
    for name in names:
        if name not in there:
            raise UnknownLoopError(f"There is no loop {name!r}; choose from {', '.join([*there, PROCESSORS])}.")


def make(name: str) -> Consumer:
    loop = known()[name]

    def open_source(listener: Consumer) -> Source:
        return KafkaSource(settings.KAFKA_BOOTSTRAP_SERVERS, loop.topic, name, listener)

    return Consumer(
        open_source,
        loop.handler(),
        loop.topic,
        heartbeat=Heartbeat(settings.HEARTBEAT_DIR, name),
        batch=loop.batch,
    )


class Loops:
    """Runs each loop in a thread of its own. When one fails for good, `failed` is called and all of them end."""

    def __init__(self, names: Sequence[str], failed: Callable[[], None]) -> None:
        self._names = named(names)
        self._failed = failed
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for name in self._names:
            thread = threading.Thread(target=self._run, args=(name,), name=f"loop-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Let each finish its turn, commit and leave its group, within STOP_SECONDS for all of them."""
        self._stop.set()
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():
                logger.error(
                    "%s did not end within %.0f s; what it had begun will be done again", thread.name, STOP_SECONDS
                )

    def _run(self, name: str) -> None:
        try:
            make(name).run(self._stop)
        except ConsumerFailedError:
            logger.exception("the loop %s failed for good", name)
            self._failed()
        finally:
            connections.close_all()
