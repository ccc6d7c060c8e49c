"""Runs the loops inside a Celery worker: `celery -A formhub worker --pool threads --consume archive,deliver`.

A step of the worker's blueprint, not of its consumer's: that one starts again whenever Celery's broker blinks, and the
groups would be thrown into a rebalance by a trouble that is none of theirs.
"""

import os
from typing import TYPE_CHECKING, Any

import click
from celery import Celery, bootsteps
from celery.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from workers.loops import Loops

POOLS = ("celery.concurrency.thread", "celery.concurrency.solo")
IDLE_QUEUE = "consumer"  # of a worker that is there for its loops alone: nobody puts a task into it
FAILED = 70  # "internal software error" of sysexits: the supervisor starts a fresh process


class ConsumeStep(bootsteps.StartStopStep):
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, consume: str | None = None, **options: Any) -> None:
        super().__init__(worker, **options)
        self.names = [name.strip() for name in (consume or "").split(",") if name.strip()]
        self.enabled = bool(self.names)
        self.loops: Loops | None = None

    def include_if(self, worker: Any) -> bool:
        if not self.enabled:
            return False
        from workers.loops import named  # the loops reach models, and Django is set up only now

        self.names = named(self.names)
        if worker.pool_cls.__module__ not in POOLS:
            # A client with threads, made before a fork, never sends again in the child.
            raise ImproperlyConfigured("A worker with --consume needs --pool threads or --pool solo.")
        return True

    def start(self, worker: Any) -> None:
        from workers.loops import Loops

        self.loops = Loops(self.names, failed=lambda: os._exit(FAILED))
        self.loops.start()

    def stop(self, worker: Any) -> None:
        if self.loops is not None:
            self.loops.stop()
            self.loops = None

    def terminate(self, worker: Any) -> None:
        self.stop(worker)


def install(app: Celery) -> None:
    app.user_options["worker"].add(
        click.Option(
            ["--consume"],
            default=None,
            help="Loops to run in this worker: archive, deliver, processors (by comma).",
        )
    )
    app.steps["worker"].add(ConsumeStep)
