"""The Celery tasks of deliveries: short, with ids only. What has to wait, waits in the database.

Flushes of a kind have a queue of their own, `flush.<kind>`, so that a slow kind delays no other.
"""

from celery import shared_task
from django.conf import settings

from apps.archive import queries as archive
from apps.sinks import notices
from apps.sinks.registry import registry
from formhub.core.clock import SystemClock
from workers import due, erasing, observe, wiring
from workers import reconcile as reconciler

RELAY_SECONDS = 20.0
ANY = "celery"  # the queue that Celery itself calls so
OWNERS = "notices"  # by CELERY_TASK_ROUTES: mails to owners leave the house, so whoever may takes them


def queue(kind: str) -> str:
    """A kind that is not installed has no worker of its own: whoever takes anything says so on its actions."""
    return f"flush.{kind}" if kind in registry.names() else ANY


def queues() -> list[str]:
    """Every queue that a worker for deliveries takes from: those who talk to the outside."""
    return [*(f"flush.{name}" for name in registry.names()), OWNERS]


@shared_task(name="workers.flush")
def flush(destination_id: int) -> None:
    wiring.flusher().flush(destination_id)


@shared_task(name="workers.tick")
def tick() -> None:
    """Queue a flush for each destination that is due. One not begun by the time it is queued again is dropped."""
    for destination, kind in due.due(wiring.buffer(), SystemClock()).items():
        flush.apply_async((destination,), queue=queue(kind), expires=due.QUEUED_SECONDS)
    observe.ticks.note()


@shared_task(name="workers.sweep")
def sweep() -> None:
    due.resume_returned(registry.get)
    due.sweep(archive, wiring.buffer(), registry.get, SystemClock())


@shared_task(name="workers.relay")
def relay() -> None:
    """Bring the outbox into the log. While there is more it calls itself, without waiting for beat."""
    if wiring.relay().run(RELAY_SECONDS):
        relay.apply_async(expires=RELAY_SECONDS)


@shared_task(name="workers.notify")
def notify() -> None:
    notices.turn()


@shared_task(name="workers.reconcile")
def reconcile() -> None:
    reconciler.turn(archive, SystemClock())


@shared_task(name="workers.erase")
def erase() -> None:
    erasing.sweep(wiring.buffer(), wiring.journal(), SystemClock())


@shared_task(name="workers.erased_stays_erased")
def erased_stays_erased() -> None:
    erasing.nightly(wiring.journal(), SystemClock(), settings.TOMBSTONE_JOURNAL_DAYS)
