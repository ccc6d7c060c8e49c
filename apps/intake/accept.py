"""A submission's way into the log, or into the outbox where the log does not take it: id and time first.

Both are fixed before the first try and travel in the envelope, so that the answer, the archive and every action show
the same. Whoever repeats a try under its key makes the same id, and readers of the log keep the first of an id: so what
the log may have taken all the same goes into the outbox too.
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
from apps.intake.keep import Keeping
from apps.intake.outbox import Row
from apps.intake.ticket import GRACE_SECONDS, NotCommittedError, OverloadedError, RefusedByLogError, Ticket
from formhub.core.envelope import MAX_ENVELOPE_BYTES, Envelope, EnvelopeTooLargeError, encode
from formhub.core.ids import canonical, derived_id, uuid7
from formhub.core.lanes import drive
from formhub.core.problem import Problem
from formhub.core.stream.base import Message, Receipt, partition_of

DOORS = LOG, OUTBOX = "kafka", "outbox"


@dataclass(frozen=True, slots=True)
class Accepted:
    """It is on durable storage, and from here on it will be delivered. Without a receipt it is in the outbox."""

    id: UUID
    version: int
    accepted_at: datetime
    receipt: Receipt | None

    @property
    def door(self) -> str:
        return LOG if self.receipt else OUTBOX


class Pending:
    """On its way. Nothing is accepted before `result`, or an await, has returned."""

    __slots__ = ("_ambiguous", "_door", "_partition", "envelope")

    def __init__(self, envelope: Envelope, message: Message) -> None:
        """Raises OverloadedError: that this process is full says nothing against the log."""
        self.envelope = envelope
        self._partition = message.partition
        self._ambiguous = False
        self._door: Ticket | Keeping | NotCommittedError
        try:
            self._door = process.committer().submit(message)
        except OverloadedError:
            raise
        except NotCommittedError as error:
            self._turn_to_outbox(error)

    @property
    def id(self) -> UUID:
        return self.envelope.id

    @property
    def accepted_at(self) -> datetime:
        return self.envelope.accepted_at

    def ask_log(self, seconds: float) -> None:
        """Wait for the log's word, and hand to the outbox what it has not taken by then."""
        if isinstance(self._door, Ticket):
            try:
                self._door.result(seconds)
            except NotCommittedError as error:
                self._turn_to_outbox(error)

    def result(self, timeout: float | None = None) -> Accepted:
        """Waits `timeout` seconds for the log, or INTAKE_KAFKA_SECONDS. Raises NotCommittedError."""
        self.ask_log(wait_seconds() if timeout is None else timeout)
        return drive(self._awaited())

    def __await__(self) -> Generator[None, None, Accepted]:
        if isinstance(self._door, Ticket):
            try:
                receipt = yield from self._door.__await__()
            except NotCommittedError as error:
                self._turn_to_outbox(error)
            else:
                return self._accepted(receipt)
        yield from self._kept()
        return self._accepted(None)

    async def _awaited(self) -> Accepted:
        return await self

    def _turn_to_outbox(self, error: NotCommittedError) -> None:
        if isinstance(error, RefusedByLogError):
            self._door = error
            return
        self._ambiguous = error.ambiguous
        try:
            self._door = process.keeper().keep(Row.of(self.envelope, self._partition))
        except NotCommittedError as refused:
            self._door = refused

    def _kept(self) -> Generator[None, None, None]:
        try:
            if isinstance(self._door, Keeping):
                yield from self._door.__await__()
            elif isinstance(self._door, NotCommittedError):
                raise self._door
        except NotCommittedError as error:
            raise NotCommittedError(error.reason, ambiguous=self._ambiguous or error.ambiguous) from None

    def _accepted(self, receipt: Receipt | None) -> Accepted:
        return Accepted(self.id, self.envelope.version, self.accepted_at, receipt)


def wait_seconds() -> float:
    """How long a receipt is waited for at most, before the outbox gets its turn."""
    seconds: float = settings.INTAKE_KAFKA_SECONDS + GRACE_SECONDS
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
    cannot hold, OverloadedError when as much is on its way as this process may hold.
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
    return Pending(envelope, _message(envelope))


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
