"""Celery's scheduler, which also shows that it turns and that what it sends is taken."""

from typing import Any

from celery.beat import PersistentScheduler
from django.conf import settings

from formhub.core.metrics import BEAT, BEAT_AT, BEAT_FAILURES
from workers import observe
from workers.heartbeat import Heartbeat

TICK = "tick"  # the entry of CELERY_BEAT_SCHEDULE


class Scheduler(PersistentScheduler):
    _role: observe.Role | None = None

    def setup_schedule(self) -> None:
        """Called once by the process that is beat, and not by those that only look at the schedule."""
        super().setup_schedule()
        self._heartbeat = Heartbeat(settings.HEARTBEAT_DIR, BEAT)
        self._role = observe.Role([BEAT], {BEAT: observe.beats(self._heartbeat)})
        self._role.start()

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        self._heartbeat.beat()
        self._forget_the_future()
        return super().tick(*args, **kwargs)

    def _forget_the_future(self) -> None:
        """Once a clock that was ahead is set right, what it did last lies in the future, in the stored schedule too:
        beat would wait until then. Such an entry counts as done now.
        """
        ahead = [
            entry for entry in self.schedule.values() if entry.last_run_at and entry.last_run_at > entry.default_now()
        ]
        for entry in ahead:
            entry.last_run_at = entry.default_now()
        if ahead:
            self._heap = None

    def apply_async(self, entry: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            sent = super().apply_async(entry, *args, **kwargs)
        except Exception:
            BEAT_FAILURES.inc()
            raise
        if entry.name == TICK:
            BEAT_AT.set_to_current_time()
        return sent

    def close(self) -> None:
        super().close()
        if self._role is not None:
            self._role.stop()
