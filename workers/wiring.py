"""Builds what tasks, loops and commands hand to the parts, from the settings; once per process."""

import os
import socket
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings

from apps.archive import queries as archive
from apps.forms import published
from apps.sinks.registry import registry
from formhub.core.clock import SystemClock
from formhub.core.journal import Journal
from formhub.core.layout import Layout
from formhub.core.redis import connect
from formhub.core.stream.kafka import KafkaPublisher
from workers import observe
from workers.buffer.base import Buffer, Limits
from workers.buffer.redis import ENTRY_BYTES, RedisBuffer
from workers.flush import Flusher
from workers.limits import LOCAL_SHARE, Limiter, LocalLimiter, RedisLimiter
from workers.relay import Relay

BUFFER_SECONDS = 2.0  # an append of thousands takes longer than a look into the cache


class PublishedForms:
    """The forms as their latest versions; one that was deleted has neither columns nor a title."""

    def layout(self, form_id: UUID) -> Layout:
        return published.layout(form_id) or Layout(())

    def title(self, form_id: UUID) -> str:
        form = published.by_id(form_id)
        return form.title if form else ""

    def pages(self, form_id: UUID) -> str:
        form = published.by_id(form_id) if settings.PUBLIC_URL else None
        return f"{settings.PUBLIC_URL}/submissions/{form.public_id}/" if form else ""


def client(url: str, seconds: float) -> Any:
    """One retry, for a connection that went stale; longer waits are the caller's to plan."""
    return connect(url, seconds, retries=1)


@cache
def buffer() -> Buffer:
    limits = Limits(settings.BUFFER_BINDING_MAX_ITEMS, settings.BUFFER_MAX_BYTES // ENTRY_BYTES)
    return RedisBuffer(client(settings.REDIS_BUFFER_URL, BUFFER_SECONDS), limits)


@cache
def limiter() -> Limiter:
    shared = client(settings.REDIS_URL, settings.REDIS_TIMEOUT_SECONDS)
    return RedisLimiter(shared, LocalLimiter(SystemClock(), LOCAL_SHARE))


@cache
def journal() -> Journal:
    return Journal(settings.TOMBSTONE_JOURNAL)


@cache
def flusher() -> Flusher:
    return Flusher(
        kinds=registry.get,
        archive=archive,
        forms=PublishedForms(),
        buffer=buffer(),
        limiter=limiter(),
        clock=SystemClock(),
        holder=f"{socket.gethostname()}/{os.getpid()}",
        failing_max=settings.FLUSH_FAILING_MAX,
        stopping=observe.stopping.is_set,
    )


@cache
def relay() -> Relay:
    topic, partitions = settings.SUBMISSIONS_TOPIC, settings.SUBMISSIONS_PARTITIONS
    return Relay(KafkaPublisher(settings.KAFKA_BOOTSTRAP_SERVERS, topic, partitions), partitions, SystemClock())
