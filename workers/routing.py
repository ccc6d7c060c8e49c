"""From the log to the buffers: which actions a submission concerns, and who is due by it.

Routing only hints. What it fails to list, because an action is over its cap or the buffer is away, the flush takes
from the archive all the same, so offsets always move on.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Max
from django.db.models.functions import Now

from apps.archive import offsets
from apps.sinks.contract import Sink
from apps.sinks.models import Binding, BindingState, Destination
from apps.sinks.registry import registry
from formhub.core import logic, metrics
from formhub.core.clock import Clock, SystemClock
from formhub.core.envelope import Envelope
from workers import wiring
from workers.buffer.base import Appended, Buffer, BufferUnavailableError, Group
from workers.consumer import Lost, Taken
from workers.due import policy_of

logger = logging.getLogger(__name__)
FRESH_SECONDS = 2.0
REREAD_SECONDS = 30.0  # a change that was committed after a later one leaves no trace in the latest time


@dataclass(frozen=True, slots=True)
class Route:
    """An action as routing sees it. listed: whether its buffer takes entries now."""

    binding: int
    destination: int
    wait: float
    full: int
    condition: Any
    listed: bool


Routes = Mapping[UUID, Sequence[Route]]


class RouteTable:
    """The actions of each form, read again when one of them changed, looked after every two seconds."""

    def __init__(self, kinds: Callable[[str], type[Sink]], clock: Clock) -> None:
        self._kinds = kinds
        self._clock = clock
        self._stamp: object = None
        self._routes: Routes = {}
        self._checked_at = float("-inf")

    def of(self, form: UUID) -> Sequence[Route]:
        if self._clock.monotonic() >= self._checked_at + FRESH_SECONDS:
            self._refresh()
        return self._routes.get(form, ())

    def expire(self) -> None:
        self._checked_at = float("-inf")

    def _refresh(self) -> None:
        period = self._clock.monotonic() // REREAD_SECONDS
        stamp = (period, Binding.objects.aggregate(count=Count("pk"), latest=Max("updated_at")))
        if stamp != self._stamp:
            self._routes = self._read()
            self._stamp = stamp
        self._checked_at = self._clock.monotonic()

    def _read(self) -> Routes:
        routes: dict[UUID, list[Route]] = {}
        for binding in Binding.objects.exclude(state=BindingState.OFF).order_by("pk"):
            routes.setdefault(binding.form_id, []).append(self._route(binding))
        return routes

    def _route(self, binding: Binding) -> Route:
        policy = policy_of(self._kinds, binding.kind)
        return Route(
            binding=binding.pk,
            destination=binding.destination_id,
            wait=binding.flush_seconds or policy.max_seconds,
            full=policy.max_items,
            condition=binding.condition,
            listed=binding.state == BindingState.ON and binding.behind_at is None,
        )


class Router:
    def __init__(self, routes: RouteTable, buffer: Buffer, clock: Clock) -> None:
        self._routes = routes
        self._buffer = buffer
        self._clock = clock

    def route(self, submissions: Iterable[tuple[int, Envelope]]) -> None:
        """List each (position, submission), ascending within a form, at the actions that it concerns."""
        entries: dict[int, list[tuple[int, UUID]]] = {}
        routes: dict[int, Route] = {}
        behind: dict[int, int] = {}
        for position, envelope in submissions:
            for route in self._routes.of(envelope.form):
                if not route.listed:
                    behind.setdefault(route.binding, position)
                elif _concerns(route, envelope):
                    entries.setdefault(route.binding, []).append((position, envelope.id))
                    routes[route.binding] = route
        groups = [_group(route, entries[binding]) for binding, route in routes.items()]
        behind.update(self._append(groups))
        self._mark_behind(behind)

    def _append(self, groups: Sequence[Group]) -> Mapping[int, int]:
        """By action the first position that its buffer did not take."""
        try:
            appended: Appended = self._buffer.append(groups, self._clock.now().timestamp())
        except BufferUnavailableError as error:
            logger.warning("%s", error)
            _wake(groups)
            return {group.binding: group.entries[0][0] for group in groups}
        metrics.BUFFERED.inc(appended.added)
        return appended.over

    def _mark_behind(self, behind: Mapping[int, int]) -> None:
        """Those marked already keep their position."""
        fresh = Binding.objects.filter(pk__in=behind, behind_at__isnull=True)
        for binding in fresh.values_list("pk", flat=True) if behind else ():
            marked = Binding.objects.filter(pk=binding, behind_at__isnull=True)
            marked.update(behind_at=behind[binding], updated_at=Now())
            self._routes.expire()


class DeliverHandler:
    """The `deliver` group's part of a consumer: buffers first, offsets last, so that a crash repeats and loses none.

    `advance` stores where the group stands (group, topic id, partition -> offsets before and after).
    """

    group = "deliver"

    def __init__(self, router: Router, advance: Callable[[str, str, Mapping[int, tuple[int, int]]], None]) -> None:
        self._router = router
        self._advance = advance

    def handle(self, taken: Taken) -> None:
        self._router.route((decoded.position, decoded.envelope) for decoded in taken.decoded)
        with transaction.atomic():
            self._advance(self.group, taken.topic_id, taken.moves)

    def missed(self, lost: Lost) -> None:
        """What the archive has of it comes from there."""

    def blocked(self) -> bool:
        """Never: what the buffer does not take comes from the archive."""
        return False


def make_handler() -> DeliverHandler:
    """As a process runs it, from the settings."""
    clock = SystemClock()
    router = Router(RouteTable(registry.get, clock), wiring.buffer(), clock)
    return DeliverHandler(router, offsets.advance)


def _group(route: Route, entries: Sequence[tuple[int, UUID]]) -> Group:
    return Group(route.binding, route.destination, route.wait, route.full, entries)


def _concerns(route: Route, envelope: Envelope) -> bool:
    try:
        return logic.holds(route.condition, envelope.answers)
    except logic.ConditionError:
        return True  # the flush parks it with the reason


def _wake(groups: Sequence[Group]) -> None:
    """Without the buffer nobody else remembers that they will be due."""
    wait = {group.destination: group.wait for group in groups}
    for destination in Destination.objects.filter(pk__in=wait, next_attempt_at__isnull=True):
        at = Now() + timedelta(seconds=wait[destination.pk])
        Destination.objects.filter(pk=destination.pk, next_attempt_at__isnull=True).update(next_attempt_at=at)
