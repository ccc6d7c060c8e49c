"""The loops that read the log, by name, and threads that run them."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from django.conf import settings
from django.db import connections

from formhub.core.stream.base import Source
from formhub.core.stream.kafka import KafkaSource
from workers.archiving import ArchiveHandler
from workers.consumer import Consumer, ConsumerFailedError, Handler
from workers.heartbeat import Heartbeat
from workers.routing import make_handler

logger = logging.getLogger(__name__)
STOP_SECONDS = 20.0

HANDLERS: Mapping[str, Callable[[], Handler]] = {"archive": ArchiveHandler, "deliver": make_handler}


class UnknownLoopError(ValueError):
    """A name that is not in HANDLERS."""


def check(names: Sequence[str]) -> None:
    """Raises UnknownLoopError, which names what there is."""
    for name in names:
        if name not in HANDLERS:
            raise UnknownLoopError(f"There is no loop {name!r}; choose from {', '.join(HANDLERS)}.")


def make(name: str) -> Consumer:
    def open_source(listener: Consumer) -> Source:
        return KafkaSource(settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, name, listener)

    return Consumer(
        open_source,
        HANDLERS[name](),
        settings.SUBMISSIONS_TOPIC,
        heartbeat=Heartbeat(settings.HEARTBEAT_DIR, name),
        batch=settings.CONSUMER_BATCH_MAX_ITEMS,
    )


class Loops:
    """Runs each loop in a thread of its own. When one fails for good, `failed` is called and all of them end."""

    def __init__(self, names: Sequence[str], failed: Callable[[], None]) -> None:
        check(names)
        self._names = names
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
