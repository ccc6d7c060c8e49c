"""How each action of a form stands: for the delivery console and the API.

Nothing here counts to the end what may be long: a count stops at COUNTED and says that there are more.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import redis
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from apps.sinks import config, rates, walks
from apps.sinks.backlog import Backlog, backlog
from apps.sinks.contract import ConfigurationError
from apps.sinks.models import Binding, BindingState, Parked, Walk
from apps.sinks.registry import UnknownKindError, label_of, registry
from formhub.core.redis import connect
from formhub.core.secrets import SecretUnreadableError

logger = logging.getLogger(__name__)
COUNTED = 10_000
ASK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Count:
    """more: there are others, which were not counted."""

    count: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a back-fill is. speed: submissions looked at per second; left: seconds to the end, if that is known."""

    walk: Walk
    percent: int
    speed: float
    left: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """An action. quota: how much of its service's quota is used, from 0 to 1; None where there is none, or nobody
    knows. next_try: where one is waited for.
    """

    binding: Binding
    label: str
    waiting: Backlog
    failed: Count
    again: Count
    next_try: datetime | None
    quota: float | None
    fill: Progress | None

    @property
    def lag(self) -> float:
        """Seconds for which the oldest has waited."""
        since = self.waiting.since
        return max(0.0, (timezone.now() - since).total_seconds()) if since else 0.0

    @property
    def troubled(self) -> bool:
        """Its service did not take the last call."""
        return self.binding.destination.failures > 0

    @property
    def state(self) -> str:
        """In one word, for whoever looks for what needs them first."""
        if self.binding.state != BindingState.ON:
            return str(self.binding.state)
        if self.troubled:
            return "trying"
        return "failed" if self.failed.count else "on"


def of(form_id: UUID) -> list[Summary]:
    """In the order in which the actions were made."""
    rows = Binding.objects.filter(form=form_id).select_related("destination", "form").order_by("pk")
    found = [_summary(binding) for binding in rows]
    quotas = _quotas(rows)
    return [replace(one, quota=quotas.get(one.binding.pk)) for one in found]


def counted(rows: QuerySet[Any]) -> Count:
    count = len(rows.order_by().values_list("pk")[: COUNTED + 1])
    return Count(min(count, COUNTED), count > COUNTED)


def progress(walk: Walk) -> Progress:
    """The speed is that of the whole way, its pauses included."""
    until = walk.finished_at or (timezone.now() if walk.state == Walk.State.RUNNING else walk.updated_at)
    seconds = max((until - walk.begun_at).total_seconds(), 1.0)
    done = walk.state == Walk.State.DONE
    share = 1.0 if done or walk.length <= 0 else walk.passed / walk.length
    left = seconds / share - seconds if share and walk.state == Walk.State.RUNNING else None
    return Progress(walk, int(100 * share), walk.examined / seconds, left)


def _summary(binding: Binding) -> Summary:
    failed = Parked.objects.filter(binding=binding)
    fill, due = walks.filling(binding), binding.destination.next_attempt_at
    waiting = backlog(binding)
    awaited = waiting.count and binding.state != BindingState.PAUSED and due is not None and due > timezone.now()
    return Summary(
        binding=binding,
        label=label_of(binding.kind),
        waiting=waiting,
        failed=counted(failed.filter(again=False)),
        again=counted(failed.filter(again=True)),
        next_try=due if awaited else None,
        quota=None,
        fill=progress(fill) if fill else None,
    )


def _quotas(bindings: Iterable[Binding]) -> dict[int, float]:
    """By action; those of which nobody knows are left out."""
    found: dict[int, float] = {}
    try:
        with connect(settings.REDIS_URL, ASK_SECONDS) as client:
            for binding in bindings:
                used = _quota(client, binding)
                if used is not None:
                    found[binding.pk] = used
    except (redis.RedisError, OSError) as error:
        logger.info("quotas are not known (%s)", type(error).__name__)
    return found


def _quota(client: Any, binding: Binding) -> float | None:
    try:
        kind = registry.get(binding.kind)
        if not kind.policy.rates:
            return None
        opened = config.stored(binding.config, binding.secrets).opened
        accounts = kind.accounts(opened, binding.destination.state)
    except (UnknownKindError, SecretUnreadableError, ConfigurationError):
        return None  # a delivery meets the same, and pauses the action
    return rates.used_by(client, kind, accounts)
