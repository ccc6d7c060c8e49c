"""The receipt of one submission, as long as nobody knows whether it will come."""

from collections.abc import Generator

from apps.intake.waiting import NotSettledError, Waiting
from formhub.core.stream.base import Message, Receipt, RefusedError, StreamError

RETRY_SECONDS = 2
# What the committer needs to tell how it ended. Where it is held up for longer in a call of the producer, nobody waits
# for it: there is a second door.
GRACE_SECONDS = 0.25


class NotCommittedError(Exception):
    """No receipt. `ambiguous`: the record may be in the log all the same; its id absorbs a repetition."""

    def __init__(self, reason: str, *, ambiguous: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.ambiguous = ambiguous


class RefusedByLogError(NotCommittedError):
    """The log can never hold it: no other door leads there."""


class OverloadedError(NotCommittedError):
    """Refused at once: as many submissions, or bytes of them, wait as this process may hold."""


Outcome = Receipt | NotCommittedError


class Ticket(Waiting[Outcome]):
    """Settled once, by its deadline at the latest. Times are those of the committer's monotonic clock."""

    __slots__ = ("deadline", "message", "since")

    def __init__(self, message: Message, since: float, deadline: float) -> None:
        super().__init__(deadline - since + GRACE_SECONDS)
        self.message = message
        self.since = since
        self.deadline = deadline

    @property
    def size(self) -> int:
        return len(self.message.value)

    def result(self, timeout: float) -> Receipt:
        """Raises NotCommittedError, also when `timeout` seconds have passed."""
        try:
            return _receipt(super().result(timeout))
        except NotSettledError:
            raise NotCommittedError("silent", ambiguous=True) from None

    def __await__(self) -> Generator[None, None, Receipt]:
        try:
            outcome = yield from super().__await__()
        except NotSettledError:
            raise NotCommittedError("silent", ambiguous=True) from None
        return _receipt(outcome)


def _receipt(outcome: Outcome) -> Receipt:
    if isinstance(outcome, NotCommittedError):
        # A new one: a group shares its error, and each raise would lengthen the shared traceback.
        raise type(outcome)(outcome.reason, ambiguous=outcome.ambiguous)
    return outcome


def not_committed(error: StreamError) -> NotCommittedError:
    if isinstance(error, RefusedError):
        return RefusedByLogError("refused")
    return NotCommittedError("broker", ambiguous=error.ambiguous)
