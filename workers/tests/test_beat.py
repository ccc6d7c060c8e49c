from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.beat import PersistentScheduler, SchedulingError
from prometheus_client import REGISTRY
from pytest_django import Settings

from workers import beat, observe
from workers.beat import Scheduler


@pytest.fixture
def scheduler(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    settings.HEARTBEAT_DIR = tmp_path / "beats"
    monkeypatch.setattr(observe.Role, "start", lambda self: None)
    monkeypatch.setattr(observe.Role, "stop", lambda self: None)
    app = Celery("test", broker="memory://", set_as_current=False)
    app.conf.beat_schedule = {"tick": {"task": "workers.tick", "schedule": 1.0}}
    made = Scheduler(app=app, schedule_filename=str(tmp_path / "schedule"))
    yield made
    made.close()


def sample(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0


def test_each_turn_is_a_sign_of_life(scheduler: Any, settings: Settings) -> None:
    assert not (settings.HEARTBEAT_DIR / "beat").exists()

    scheduler.tick()

    assert (settings.HEARTBEAT_DIR / "beat").exists()


def test_a_tick_that_was_queued_is_dated(scheduler: Any) -> None:
    before = sample("formhub_beat_last_tick_timestamp_seconds")

    scheduler.apply_async(scheduler.schedule[beat.TICK], advance=False)

    assert sample("formhub_beat_last_tick_timestamp_seconds") > before


def test_a_tick_that_could_not_be_queued_is_counted(scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise SchedulingError

    before = sample("formhub_beat_failures_total")
    monkeypatch.setattr(PersistentScheduler, "apply_async", refuse)

    with pytest.raises(SchedulingError):
        scheduler.apply_async(scheduler.schedule[beat.TICK], advance=False)

    assert sample("formhub_beat_failures_total") == before + 1


def test_a_clock_that_is_set_back_does_not_silence_it(scheduler: Any) -> None:
    scheduler.tick()
    entry = scheduler.schedule[beat.TICK]
    entry.last_run_at = entry.default_now() + timedelta(days=3)
    scheduler._heap = None

    wait = scheduler.tick()

    assert wait <= 1


def test_the_schedule_has_the_tick_that_is_dated(settings: Settings) -> None:
    assert beat.TICK in settings.CELERY_BEAT_SCHEDULE
