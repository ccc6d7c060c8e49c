"""What makes a role visible: its metrics, its signs of life, and the ids on the log lines of its tasks."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from celery import Celery, bootsteps, signals
from celery.exceptions import ImproperlyConfigured
from django.conf import settings
from django.utils.module_loading import import_string

from formhub.core import exposition, logs
from formhub.core.metrics import CONSUMER, TASK_FAILURES, TASK_SECONDS, TASKS_RUNNING, TICK_AT, WORKER
from formhub.core.presence import SILENT_SECONDS, Pulse
from workers.heartbeat import Heartbeat
from workers.step import IDLE_QUEUE, POOLS

logger = logging.getLogger(__name__)
# A pool of threads cannot end a task that is over its limit: the process has to be started anew.
GRACE_SECONDS = 30.0
TICK, TICK_SECONDS = "tick", 10.0


class Running:
    """The tasks at work in this process."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self, id: str) -> None:
        with self._lock:
            self._since[id] = time.monotonic()
            TASKS_RUNNING.set(len(self._since))

    def end(self, id: str) -> float:
        """How long it took."""
        with self._lock:
            since = self._since.pop(id, time.monotonic())
            TASKS_RUNNING.set(len(self._since))
        return time.monotonic() - since

    def longest(self) -> float:
        with self._lock:
            return time.monotonic() - min(self._since.values(), default=time.monotonic())


running = Running()
# Set once this worker was told to stop: what could go on for a while ends after its next step.
stopping = threading.Event()


class Role:
    """A process of ours as others see it, from `start` to `stop`. `parts`: by name, whether each is alive."""

    def __init__(self, roles: Sequence[str], parts: dict[str, Callable[[], bool]]) -> None:
        self._roles = roles
        self._pulse = Pulse(parts)

    def start(self) -> None:
        """Raises exposition.PortTakenError."""
        check()
        for role in self._roles:
            exposition.process.be(role)
        exposition.serve()
        self._pulse.start()

    def stop(self) -> None:
        self._pulse.stop()


def check() -> None:
    """Raises ImproperlyConfigured."""
    if exposition.shared():
        raise ImproperlyConfigured(
            "PROMETHEUS_MULTIPROC_DIR is for the processes of a web server: unset it here, or its figures and this "
            "role's are added up."
        )


def loops(names: Sequence[str]) -> dict[str, Callable[[], bool]]:
    """The loops of a consumer as parts."""
    return {name: beats(Heartbeat(settings.HEARTBEAT_DIR, name)) for name in names}


def beats(heartbeat: Heartbeat) -> Callable[[], bool]:
    return lambda: heartbeat.age() <= SILENT_SECONDS


class ObserveStep(bootsteps.StartStopStep):
    """A step of the worker's blueprint, like that of the loops: it lasts as long as the process."""

    requires = ("celery.worker.components:Pool",)
    asked: ClassVar[Sequence[str]] = ()

    def __init__(self, worker: Any, consume: str | None = None, **options: Any) -> None:
        super().__init__(worker, **options)
        self.loops = [name.strip() for name in (consume or "").split(",") if name.strip()]
        self.role: Role | None = None

    def start(self, worker: Any) -> None:
        if settings.METRICS_PORT and worker.pool_cls.__module__ not in POOLS:
            # What children count, the process that is scraped does not know.
            raise ImproperlyConfigured("METRICS_PORT needs a worker with --pool threads or --pool solo.")
        name = str(worker.hostname).partition("@")[0]
        if self.loops:
            from workers.loops import named  # the loops reach models, and Django is set up only now

            self.loops = named(self.loops)
        roles = self._roles(worker)
        if WORKER in roles:
            for path in self.asked:
                exposition.process.ask(import_string(path)())
        self.role = Role(roles, loops(self.loops) | {name: _well(name), TICK: ticks.alive})
        self.role.start()

    def stop(self, worker: Any) -> None:
        if self.role is not None:
            self.role.stop()
            self.role = None

    def terminate(self, worker: Any) -> None:
        self.stop(worker)

    def _roles(self, worker: Any) -> list[str]:
        taken = set(worker.app.amqp.queues.consume_from) - {IDLE_QUEUE}
        return [*([CONSUMER] if self.loops else []), *([WORKER] if taken or not self.loops else [])]


def install(app: Celery, *asked: str) -> None:
    """`asked`: by dotted path, for they reach models, what the workers collect from when they are scraped."""
    ObserveStep.asked = asked
    app.steps["worker"].add(ObserveStep)
    signals.setup_logging.connect(_keep_logging, weak=False)
    signals.worker_shutting_down.connect(_told_to_stop, weak=False)
    signals.task_prerun.connect(_begin, weak=False)
    signals.task_postrun.connect(_end, weak=False)
    signals.task_failure.connect(_failed, weak=False)


class _Ticks:
    """When this process last ran beat's tick."""

    def __init__(self) -> None:
        self._at = float("-inf")

    def note(self) -> None:
        self._at = time.monotonic()
        TICK_AT.set_to_current_time()

    def alive(self) -> bool:
        return time.monotonic() - self._at <= TICK_SECONDS


ticks = _Ticks()


def _well(name: str) -> Callable[[], bool]:
    """Whether no task runs for longer than any may; if so the worker's heartbeat beats."""
    heartbeat = Heartbeat(settings.HEARTBEAT_DIR, name)

    def well() -> bool:
        if running.longest() > settings.CELERY_TASK_TIME_LIMIT + GRACE_SECONDS:
            logger.error("a task runs longer than any may; the worker counts as dead until it is restarted")
            return False
        heartbeat.beat()
        return True

    return well


def _keep_logging(loglevel: int | None = None, **options: Any) -> None:
    """Celery would set up handlers of its own. Its --loglevel is for its own loggers, LOG_LEVEL for ours."""
    if loglevel is not None:
        logging.getLogger("celery").setLevel(loglevel)


def _told_to_stop(**options: Any) -> None:
    stopping.set()


def _begin(task_id: str, task: Any, **options: Any) -> None:
    logs.bind(task=task.name, task_id=task_id)
    TASK_FAILURES.labels(task.name)  # told as 0 before the first, or nobody would see it rise
    running.begin(task_id)


def _end(task_id: str, task: Any, **options: Any) -> None:
    TASK_SECONDS.labels(task.name).observe(running.end(task_id))
    logs.unbind("task", "task_id")


def _failed(sender: Any, **options: Any) -> None:
    TASK_FAILURES.labels(sender.name).inc()
