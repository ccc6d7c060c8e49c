"""What a process has one of: the committer, the keeper, the gate, the look-ups and the pages' threads."""

import atexit
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings

from apps.intake.commit import Bounds, Committer
from apps.intake.gate.gate import Gate
from apps.intake.gate.redis import RedisStore
from apps.intake.keep import Keeper
from apps.intake.look_ups import LookUps
from apps.intake.once import OncePerProcess
from apps.intake.outbox import PostgresStore
from formhub.core.stream.kafka import KafkaPublisher

CLOSE_SECONDS = 5.0
# They compute and wait for nothing: with more, a loop beside them would get its turn less often.
PAGE_THREADS = 2


def _make_committer() -> Committer:
    publisher = KafkaPublisher(
        settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, settings.SUBMISSIONS_PARTITIONS
    )
    return Committer(publisher, _bounds(settings.INTAKE_KAFKA_SECONDS))


def _make_keeper() -> Keeper:
    store = PostgresStore(settings.INTAKE_OUTBOX_SECONDS, settings.OUTBOX_ROWS_MAX, settings.OUTBOX_BYTES_MAX)
    return Keeper(store, _bounds(settings.INTAKE_OUTBOX_SECONDS))


def _bounds(seconds: float) -> Bounds:
    return Bounds(settings.INTAKE_PENDING_MAX, settings.INTAKE_PENDING_BYTES_MAX, seconds)


def _make_gate() -> Gate:
    keep = settings.IDEMPOTENCY_HOURS * 3600
    return Gate(RedisStore(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS, keep))


committer = OncePerProcess(_make_committer)
keeper = OncePerProcess(_make_keeper)
gate = OncePerProcess(_make_gate)
look_ups = OncePerProcess(LookUps)
pages = OncePerProcess(lambda: ThreadPoolExecutor(PAGE_THREADS, thread_name_prefix="page"))


def seconds_since_receipt() -> float | None:
    """Since the log last took a submission of this process; None if it never did."""
    return found.seconds_since_receipt if (found := committer.made) else None


def seconds_since_kept() -> float | None:
    """Since the outbox last took one; None if it never did."""
    return found.seconds_since_kept if (found := keeper.made) else None


def close(seconds: float = CLOSE_SECONDS) -> None:
    """Let what is pending reach the broker, or the outbox; what comes later is refused."""
    if asking := look_ups.install(None):
        asking.close()
    if making := pages.install(None):
        making.shutdown(wait=False)
    if committing := committer.install(None):
        committing.close(seconds)
    # The last: what the log did not take in time may be on its way here.
    if keeping := keeper.install(None):
        keeping.close(seconds)


atexit.register(close)
