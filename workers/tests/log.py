"""A small cast for tests of the log's readers."""

from datetime import UTC, datetime
from uuid import UUID

from formhub.core.envelope import Envelope, encode
from formhub.core.ids import uuid7
from formhub.core.stream.base import Message, Receipt, partition_of
from formhub.core.stream.memory import MemoryTopic
from tests import canary

ORGANIZATION = UUID(int=1)
FORM = UUID(int=2)


def an_envelope(form: UUID = FORM, submission: UUID | None = None, **answers: object) -> Envelope:
    return Envelope(
        id=submission or uuid7(),
        organization=ORGANIZATION,
        form=form,
        version=1,
        accepted_at=datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC),
        answers=dict(answers) or {"name": f"Zoë {canary.ANSWER}"},
        meta={"source": "test"},
    )


def message(envelope: Envelope, partitions: int = 6) -> Message:
    value, headers = encode(envelope)
    return Message(envelope.key, value, headers, partition_of(envelope.key, partitions))


def publish(topic: MemoryTopic, envelope: Envelope) -> Receipt:
    return topic.append(message(envelope, topic.partitions))


def publish_raw(topic: MemoryTopic, value: bytes, version: bytes = b"1", partition: int = 0) -> Receipt:
    return topic.append(Message(b"key", value, (("v", version),), partition))
