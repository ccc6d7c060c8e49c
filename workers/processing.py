"""A processor's own group: what it reads, what it makes of that, and the stream that it writes.

Results first, offsets last: a crash makes some results again, under the same ids, and loses none.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import transaction

from apps.archive import offsets
from apps.sinks.contract import Submission
from apps.streams import topics
from apps.streams.contract import Processor
from apps.streams.models import Processing
from formhub.core.clock import Clock, SystemClock
from formhub.core.envelope import Envelope, encode
from formhub.core.metrics import PROCESSED
from formhub.core.stream.base import Message, Outcome, Publisher, StreamError, partition_of
from formhub.core.stream.kafka import KafkaPublisher
from workers.consumer import Decoded, Lost, Taken

logger = logging.getLogger(__name__)
FRESH_SECONDS = 2.0
# Beyond the time in which the client tells what became of a record.
PATIENCE_SECONDS = 12.0
SETTINGS_KEPT = 256  # processors that are made and kept, one for all forms with the same settings
# With a second for each record at most, a batch ends long before the group gives its member up.
BATCH = 100


class Bound:
    """The forms that have the processor, looked up again every two seconds while records come in."""

    def __init__(self, kind: type[Processor], clock: Clock) -> None:
        self._kind = kind
        self._clock = clock
        self._configs: Mapping[UUID, bytes] = {}
        self._read_at = float("-inf")
        self._made = lru_cache(SETTINGS_KEPT)(lambda config: kind(orjson.loads(config)))

    def settings(self, form: UUID) -> bytes | None:
        """Those of the form as JSON; None where it does not have the processor."""
        if self._clock.monotonic() >= self._read_at + FRESH_SECONDS:
            rows = Processing.objects.filter(processor=self._kind.name, on=True).values_list("form_id", "config")
            self._configs = {form: orjson.dumps(config, option=orjson.OPT_SORT_KEYS) for form, config in rows}
            self._read_at = self._clock.monotonic()
        return self._configs.get(form)

    def make(self, config: bytes) -> Processor:
        """Raises whatever the processor raises at settings that it cannot take."""
        return self._made(config)


class ProcessHandler:
    def __init__(self, kind: type[Processor], bound: Bound, publisher: Publisher, partitions: int) -> None:
        self.group, _ = topics.groups(kind)
        self._kind = kind
        self._bound = bound
        self._publisher = publisher
        self._partitions = partitions

    def handle(self, taken: Taken) -> None:
        results = [result for decoded in taken.decoded if (result := self._result(decoded)) is not None]
        if results:
            self._publish(results)
        with transaction.atomic():
            offsets.advance(self.group, taken.topic_id, taken.moves)

    def missed(self, lost: Lost) -> None:
        """They have no result; the consumer says and counts which they were."""

    def blocked(self) -> bool:
        return False

    def _result(self, decoded: Decoded) -> Message | None:
        envelope = decoded.envelope
        config = self._bound.settings(envelope.form)
        if config is None:
            return None
        try:
            body = self._bound.make(config).process(_submission(decoded))
            if body is None:
                return None
            message = self._message(_derived(envelope, dict(body)))
        except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything at anything
            return self._failed(envelope, error)
        PROCESSED.labels(self._kind.name, "made").inc()
        return message

    def _failed(self, envelope: Envelope, error: Exception) -> Message:
        """Only the class of the error is told: its text may hold answers."""
        PROCESSED.labels(self._kind.name, "failed").inc()
        logger.warning("%s: submission %s failed (%s)", self.group, envelope.id, type(error).__name__)
        return self._message(_derived(envelope, {"error": type(error).__name__}))

    def _message(self, result: Envelope) -> Message:
        """Raises EnvelopeTooLargeError, and TypeError where JSON cannot hold the result."""
        value, headers = encode(result)
        return Message(result.key, value, headers, partition_of(result.key, self._partitions))

    def _publish(self, messages: list[Message]) -> None:
        """Raises StreamError unless the log has every one of them."""
        told: list[Outcome] = []
        done = threading.Event()

        def settle(outcomes: list[Outcome]) -> None:
            told.extend(outcomes)
            done.set()

        self._publisher.publish(messages, settle)
        if not done.wait(PATIENCE_SECONDS):
            raise StreamError("no receipts for results")
        for outcome in told:
            if isinstance(outcome, StreamError):
                raise outcome


def make_handler(kind: type[Processor]) -> ProcessHandler:
    """As a process runs it, from the settings."""
    topic = topics.of(kind)
    partitions = topic.wanted.partitions
    publisher = KafkaPublisher(settings.KAFKA_BOOTSTRAP_SERVERS, topic.name, partitions)
    return ProcessHandler(kind, Bound(kind, SystemClock()), publisher, partitions)


def _submission(decoded: Decoded) -> Submission:
    envelope = decoded.envelope
    return Submission(
        id=envelope.id,
        form=envelope.form,
        version=envelope.version,
        position=decoded.position,
        accepted_at=envelope.accepted_at,
        answers=envelope.answers,
        meta=envelope.meta,
        late=envelope.late,
    )


def _derived(envelope: Envelope, result: dict[str, Any]) -> Envelope:
    """Under the submission's own id, and without what its sender said about it."""
    return replace(envelope, answers=result, meta={})
