"""What a process has one of: the committer and the gate."""

import atexit

from django.conf import settings

from apps.intake.commit import Bounds, Committer
from apps.intake.gate.gate import Gate
from apps.intake.gate.redis import RedisStore
from apps.intake.once import OncePerProcess
from formhub.core.stream.kafka import KafkaPublisher

CLOSE_SECONDS = 5.0


def _make_committer() -> Committer:
    publisher = KafkaPublisher(
        settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, settings.SUBMISSIONS_PARTITIONS
    )
    bounds = Bounds(settings.INTAKE_PENDING_MAX, settings.INTAKE_PENDING_BYTES_MAX, settings.INTAKE_KAFKA_SECONDS)
    return Committer(publisher, bounds)


def _make_gate() -> Gate:
    keep = settings.IDEMPOTENCY_HOURS * 3600
    return Gate(RedisStore(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS, keep))


committer = OncePerProcess(_make_committer)
gate = OncePerProcess(_make_gate)


def seconds_since_receipt() -> float | None:
    """Since the log last took a submission of this process; None if it never did."""
    return found.seconds_since_receipt if (found := committer.made) else None


def close(seconds: float = CLOSE_SECONDS) -> None:
    """Let what is pending reach the broker; what comes later is refused."""
    if found := committer.install(None):
        found.close(seconds)


atexit.register(close)
