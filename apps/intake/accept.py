"""A submission's way into the log: id and time first, then the broker's receipt.

Both are fixed before the first try and travel in the envelope, so that the answer, the archive and every action show
the same. Whoever repeats a try under its key makes the same id, and readers of the log keep the first of an id.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings

from apps.forms.published import PublishedForm
from apps.intake import process
from apps.intake.ticket import Ticket
from formhub.core.envelope import MAX_ENVELOPE_BYTES, Envelope, EnvelopeTooLargeError, encode
from formhub.core.ids import canonical, derived_id, uuid7
from formhub.core.problem import Problem
from formhub.core.stream.base import Message, Receipt, partition_of

# A wait beyond the budget for Kafka, in which the committer may be held up in one call of the producer.
_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker has it: from here on it will be delivered."""

    id: UUID
    version: int
    accepted_at: datetime
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Pending:
    """On its way. Nothing is accepted before `result`, or an await, has returned."""

    envelope: Envelope
    ticket: Ticket

    @property
    def id(self) -> UUID:
        return self.envelope.id

    @property
    def accepted_at(self) -> datetime:
        return self.envelope.accepted_at

    def result(self, timeout: float | None = None) -> Accepted:
        """Raises NotCommittedError, within INTAKE_KAFKA_SECONDS and two seconds if no timeout is given."""
        return self._accepted(self.ticket.result(wait_seconds() if timeout is None else timeout))

    def __await__(self) -> Generator[None, None, Accepted]:
        receipt = yield from self.ticket.__await__()
        return self._accepted(receipt)

    def _accepted(self, receipt: Receipt) -> Accepted:
        return Accepted(self.id, self.envelope.version, self.accepted_at, receipt)


def wait_seconds() -> float:
    """How long a receipt is waited for at most."""
    seconds: float = settings.INTAKE_KAFKA_SECONDS + _GRACE_SECONDS
    return seconds


def accept(
    form: PublishedForm,
    answers: dict[str, Any],
    *,
    key: str | None = None,
    parsed: bytes | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Pending:
    """Send clean answers on their way; returns at once.

    With an idempotency `key` the id is derived from it and from `parsed`, the canonical answers before cleaning: the
    same key and answers are the same submission under every version of the form. Raises Problem 413 for what the log
    cannot hold, NotCommittedError when nothing can be taken now.
    """
    envelope = Envelope(
        id=derived_id(form.salt, key, parsed or canonical(answers)) if key else uuid7(),
        organization=form.organization,
        form=form.id,
        version=form.version,
        accepted_at=datetime.now(UTC),
        answers=answers,
        meta=dict(meta or {}),
    )
    return Pending(envelope, process.committer().submit(_message(envelope)))


def _message(envelope: Envelope) -> Message:
    try:
        value, headers = encode(envelope)
    except EnvelopeTooLargeError:
        raise Problem(
            413, "submission_too_large", f"A submission may have {MAX_ENVELOPE_BYTES} bytes when stored."
        ) from None
    key = envelope.key
    return Message(key, value, headers, _partition(key, settings.SUBMISSIONS_PARTITIONS))


# The placement is pure Python over 36 bytes: dear enough to be remembered for the forms in use.
_partition = lru_cache(maxsize=10_000)(partition_of)
