"""The parts of a role that others see; real processes are scraped in tests/test_roles.py."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, shared_task, signals
from celery.exceptions import ImproperlyConfigured
from prometheus_client import REGISTRY
from pytest_django import Settings

from formhub.core import exposition, logs
from workers import observe
from workers.observe import ObserveStep, Running


@pytest.fixture(autouse=True)
def _beats_here(settings: Settings, tmp_path: Path) -> None:
    settings.HEARTBEAT_DIR = tmp_path


@pytest.fixture
def installed() -> Iterator[None]:
    """The signals that a worker's process connects."""
    observe.install(Celery("test", set_as_current=False))
    yield
    for signal in (signals.task_prerun, signals.task_postrun, signals.task_failure, signals.setup_logging):
        for receiver in (observe._begin, observe._end, observe._failed, observe._keep_logging):
            signal.disconnect(receiver)


def a_worker(pool: str = "celery.concurrency.thread", *queues: str) -> Any:
    return SimpleNamespace(
        hostname="worker@test",
        pool_cls=SimpleNamespace(__module__=pool),
        app=SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=dict.fromkeys(queues)))),
    )


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@shared_task(name="test.observed")
def observed(fail: bool) -> int:
    if fail:
        raise ValueError("no")
    return int(sample("formhub_tasks_running"))


@pytest.mark.usefixtures("installed")
def test_a_task_is_timed_and_its_failure_counted() -> None:
    runs, failures = (
        sample(f"formhub_task_{name}", task="test.observed") for name in ("seconds_count", "failures_total")
    )

    assert observed.apply((False,)).get() == 1
    observed.apply((True,))

    assert sample("formhub_task_seconds_count", task="test.observed") == runs + 2
    assert sample("formhub_task_failures_total", task="test.observed") == failures + 1
    assert sample("formhub_tasks_running") == 0


@pytest.mark.usefixtures("installed")
def test_the_lines_of_a_task_carry_its_name_and_id() -> None:
    before = dict(logs.bound())
    seen: list[dict[str, Any]] = []

    @shared_task(name="test.speaks")
    def speaks() -> None:
        seen.append(dict(logs.bound()))

    speaks.apply(task_id="t-7")

    assert seen == [{**before, "task": "test.speaks", "task_id": "t-7"}]
    assert dict(logs.bound()) == before


def test_a_worker_whose_task_outlives_every_limit_gives_no_more_signs(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_TASK_TIME_LIMIT = 300
    running = Running()
    monkeypatch.setattr(observe, "running", running)
    well = observe._well("worker")
    assert well()
    assert (tmp_path / "worker").exists()

    running._since["stuck"] = -1e9

    assert not well()


def test_metrics_of_a_worker_with_child_processes_are_refused(settings: Settings) -> None:
    settings.METRICS_PORT = 1

    with pytest.raises(ImproperlyConfigured, match="--pool threads"):
        ObserveStep(a_worker("celery.concurrency.prefork")).start(a_worker("celery.concurrency.prefork"))


def test_a_folder_shared_by_processes_is_for_the_web_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "shared", lambda: True)

    with pytest.raises(ImproperlyConfigured, match="PROMETHEUS_MULTIPROC_DIR"):
        observe.Role([], {}).start()


@pytest.mark.parametrize(
    ("consume", "queues", "roles"),
    [
        pytest.param("archive,deliver", ("consumer",), ["consumer"], id="loops alone"),
        pytest.param(None, ("celery", "flush.google_sheets"), ["worker"], id="tasks alone"),
        pytest.param("archive", ("celery",), ["consumer", "worker"], id="both in one process"),
    ],
)
def test_what_a_worker_does_decides_what_it_exports(consume: str | None, queues: Any, roles: list[str]) -> None:
    worker = a_worker("celery.concurrency.thread", *queues)

    assert ObserveStep(worker, consume=consume)._roles(worker) == roles


def test_celerys_own_level_leaves_ours_alone() -> None:
    before = logging.getLogger("celery").level
    try:
        observe._keep_logging(loglevel=logging.DEBUG)
        assert logging.getLogger("celery").level == logging.DEBUG
        assert logging.getLogger().level == logging.WARNING
    finally:
        logging.getLogger("celery").setLevel(before)


def test_a_worker_that_ran_a_tick_lately_says_so() -> None:
    ticks = observe._Ticks()
    assert not ticks.alive()

    ticks.note()

    assert ticks.alive()
