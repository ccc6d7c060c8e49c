"""One call of a sink, and what the class of its error leads to."""

import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from apps.sinks import actions, config, contract
from apps.sinks.contract import (
    BackpressureError,
    ConfigurationError,
    Confirmation,
    Context,
    DeliveryError,
    PermanentError,
    RelocatedError,
    RetryableError,
    Sink,
)
from apps.sinks.models import Batch, Binding
from formhub.core import logs, metrics
from formhub.core.clock import Clock
from workers import outcomes, retry
from workers.compose import Rows, compose
from workers.lease import Lease, LeaseLostError, kept
from workers.limits import Charge, Limiter, RateLimitedError
from workers.outcomes import Trouble
from workers.rooms import Forms

logger = logging.getLogger(__name__)


class Result(Enum):
    """DELIVERED; CHANGED: the ledger looks otherwise now, look again; WAITING: nothing to do before some time."""

    DELIVERED = "delivered"
    CHANGED = "changed"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Speaker:
    """The account that makes a call, and what it pays for it."""

    account: str
    charges: Sequence[Charge]


@dataclass(frozen=True, slots=True)
class Offer:
    """A batch about to be called out, by the holder of its destination's lease."""

    lease: Lease
    batch: Batch
    kind: type[Sink]
    speaker: Speaker
    limiter: Limiter
    forms: Forms
    clock: Clock

    def make(self, rows: Rows) -> Result:
        if not any(rows.values()):
            outcomes.delivered(self.lease, self.batch, self.batch.destination.state)  # all were erased
            return Result.DELIVERED
        try:
            content = compose(self.batch, rows, self.forms, self._keep)
        except ConfigurationError as error:
            return self._misconfigured(error, Confirmation.UNKNOWN)
        metrics.BATCH_SIZE.labels(self.kind.name).observe(len(content.ids))
        for charge in self.speaker.charges:
            metrics.QUOTA_CALLS.labels(self.kind.name, charge.rate.name).inc()
        with logs.context(batch=self.batch.pk), metrics.FLUSH_SECONDS.labels(self.kind.name).time():
            return self._call(content)

    def _call(self, content: contract.Batch) -> Result:
        context, sink = self._context(), None
        try:
            sink = self.kind(content.parts[0].config, context)
            if content.ambiguous and not self.kind.policy.repeatable and self._settled(sink.confirm(content)):
                self._count(content, "delivered")
                return Result.DELIVERED
            content = replace(content, account=self._account(content))
            outcomes.sending(self.lease, self.batch, content.account)
            with kept(self.lease, longest=3 * self.kind.policy.timeout):
                sink.deliver(content)
        except LeaseLostError:
            self._count(content, "lease_lost")
            raise
        except DeliveryError as error:
            self._count(content, _outcome(error))
            outcomes.remember(self.lease, context.state)
            return self._react(sink, content, error)
        except Exception as error:  # noqa: BLE001 - whatever a plug-in raises must not stop the destination
            self._count(content, "unexpected")
            outcomes.remember(self.lease, context.state)
            return self._unexpected(sink, content, error)
        outcomes.delivered(self.lease, self.batch, context.state)
        self._count(content, "delivered")
        return Result.DELIVERED

    def _account(self, content: contract.Batch) -> str:
        """What may have landed under an account is repeated, and found again, under the same one."""
        return content.account if content.ambiguous and content.account else self.speaker.account

    def _count(self, content: contract.Batch, outcome: str) -> None:
        kind = self.kind.name
        metrics.FLUSHED.labels(kind, outcome).inc(len(content.ids))
        if outcome == "delivered" and not self.batch.late:
            now = self.clock.now()
            for submission in (submission for part in content.parts for submission in part.submissions):
                metrics.DELIVERY_SECONDS.labels(kind).observe((now - submission.accepted_at).total_seconds())

    def _react(self, sink: Sink | None, content: contract.Batch, error: DeliveryError) -> Result:
        match error:
            case BackpressureError():
                return self._held(error)
            case RetryableError():
                return self._later(Trouble("retryable", str(error), error.part), error.after)
            case ConfigurationError():
                return self._misconfigured(error, self._confirmation(sink, content))
            case RelocatedError():
                return self._relocated(sink, content, error)
            case PermanentError():
                outcomes.refuse(self.lease, self.batch, Trouble(error.code, str(error), error.part), error.ids)
                return Result.CHANGED
            case _:
                return self._later(Trouble("ambiguous", str(error), error.part), None, ambiguous=True)

    def _held(self, error: BackpressureError) -> Result:
        if isinstance(error, RateLimitedError):
            metrics.QUOTA_HELD.labels(self.kind.name).inc()
        else:
            metrics.QUOTA_REFUSED.labels(self.kind.name).inc()
            named = [charge for charge in self.speaker.charges if charge.rate.name in error.rates]
            self.limiter.drain(named or self.speaker.charges, error.after)
        outcomes.hold(self.lease, self.batch, str(error), error.after)
        return Result.WAITING

    def _later(self, trouble: Trouble, after: float | None, *, ambiguous: bool = False) -> Result:
        policy, tries = self.kind.policy, self.batch.attempts
        unsure = ambiguous or self.batch.ambiguous_at is not None
        seconds = retry.delay(policy, tries, after)
        if seconds is None or (unsure and not policy.repeatable and tries >= retry.UNSURE_TRIES):
            code = "outcome_unknown" if unsure else "gave_up"
            outcomes.give_up(self.lease, self.batch, Trouble(code, trouble.message))
            return Result.CHANGED
        outcomes.wait(self.lease, self.batch, trouble, seconds, ambiguous=ambiguous)
        return Result.WAITING

    def _misconfigured(self, error: ConfigurationError, found: Confirmation) -> Result:
        """Pause; but a batch of which an earlier attempt may have landed is taken apart only if it is sure not to."""
        trouble = Trouble("configuration", str(error), error.part)
        if self.batch.ambiguous_at is not None:
            if self._settled(found):
                return Result.DELIVERED
            if self.batch.ambiguous_at is not None and self.batch.attempts >= retry.UNSURE_TRIES:
                outcomes.give_up(self.lease, self.batch, Trouble("outcome_unknown", trouble.message))
                return Result.CHANGED
        outcomes.pause(self.lease, self.batch, trouble, error.remedy)
        return Result.WAITING if self.batch.ambiguous_at else Result.CHANGED

    def _relocated(self, sink: Sink | None, content: contract.Batch, error: RelocatedError) -> Result:
        """The action goes on elsewhere, and what it has in batches that are certainly not applied goes with it."""
        if self.batch.ambiguous_at is not None:
            if self._settled(self._confirmation(sink, content)):
                return Result.DELIVERED
            if self.batch.ambiguous_at is not None:
                return self._later(Trouble("relocated", str(error), error.part), None, ambiguous=False)
        outcomes.hold(self.lease, self.batch, str(error), 0)
        binding = Binding.objects.get(pk=error.part)
        if binding.destination_id == self.batch.destination_id:
            former = config.stored(binding.config, binding.secrets)
            changed = config.Settings({**former.config, **error.changes}, former.secrets)
            try:
                actions.configure(binding, self.kind, changed)
            except actions.DestinationTakenError as taken:
                outcomes.pause(self.lease, self.batch, Trouble("taken", str(taken), error.part), "")
        return Result.CHANGED

    def _unexpected(self, sink: Sink | None, content: contract.Batch, error: Exception) -> Result:
        place = traceback.extract_tb(error.__traceback__)[-1]
        # Not the message: it may hold answers.
        kind = type(error).__name__
        logger.error("batch %s: %s at %s:%s", self.batch.pk, kind, place.filename, place.lineno)
        trouble = Trouble("unexpected", f"The action failed unexpectedly ({kind}).")
        tries = 1 + sum(attempt["code"] == trouble.code for attempt in self.batch.tries)
        if tries < retry.UNEXPECTED_TRIES:
            return self._later(trouble, None, ambiguous=True)
        found = self._confirmation(sink, content)
        if found is Confirmation.ABSENT:
            outcomes.refuse(self.lease, self.batch, trouble, None)
        elif not self._settled(found):
            # Where a submission is to land once, nobody may send it again without knowing that it may stand there.
            code = "outcome_unknown" if self.kind.policy.repeatable else trouble.code
            outcomes.give_up(self.lease, self.batch, Trouble(code, trouble.message))
        return Result.CHANGED

    def _confirmation(self, sink: Sink | None, content: contract.Batch) -> Confirmation:
        try:
            return sink.confirm(content) if sink else Confirmation.UNKNOWN
        except Exception as error:  # noqa: BLE001 - it could not find out, whatever the reason
            logger.info("batch %s: not confirmed (%s)", self.batch.pk, type(error).__name__)
            return Confirmation.UNKNOWN

    def _settled(self, found: Confirmation) -> bool:
        """Write down what was found out; whether the batch is through."""
        if found is Confirmation.LANDED:
            outcomes.delivered(self.lease, self.batch, self.batch.destination.state)
        elif found is Confirmation.ABSENT:
            outcomes.absent(self.lease, self.batch)
        return found is Confirmation.LANDED

    def _keep(self, body: bytes) -> None:
        outcomes.keep(self.lease, self.batch, body)

    def _context(self) -> Context:
        destination = self.batch.destination
        return Context(destination.organization_id, dict(destination.state), self._spend, self.clock)

    def _spend(self, name: str) -> None:
        self.limiter.spend([charge for charge in self.speaker.charges if charge.rate.name == name])
        metrics.QUOTA_CALLS.labels(self.kind.name, name).inc()


def _outcome(error: DeliveryError) -> str:
    match error:
        case RateLimitedError():
            return "held"
        case BackpressureError():
            return "backpressure"
        case RetryableError():
            return "retryable"
        case ConfigurationError():
            return "configuration"
        case RelocatedError():
            return "relocated"
        case PermanentError():
            return "permanent"
        case _:
            return "ambiguous"
