"""How deliveries stand, in figures by kind of action: for scrapes, the status page and the doctor.

Every query is bounded, in rows and in time: they are asked while something is wrong, too.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import Error, close_old_connections, connection, transaction
from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet, Sum
from django.utils import timezone
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from apps.archive import queries as archive
from apps.archive.models import UnreadRecord
from apps.intake import outbox
from apps.intake.outbox import State
from apps.sinks.models import UNFINISHED, Batch, Binding, BindingState, Destination, Parked, Walk
from formhub.core import metrics
from formhub.core.exposition import gauge

STATEMENT_MS = 3_000
COUNTED_MAX = 100_000
ACTIONS_MAX = 10_000
CHUNK = 1_000
FRESH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Figures:
    """By kind; `actions` by kind and state. waiting: seconds since the oldest undelivered submission was archived.

    missing: submissions that the reconciler found and that are in no delivery yet. outbox: what is not in the log yet.
    """

    actions: Mapping[tuple[str, str], int]
    behind: Mapping[str, int]
    failing: Mapping[str, int]
    parked: Mapping[str, int]
    waiting: Mapping[str, float]
    unread: int
    missing: Mapping[str, int] = field(default_factory=dict)
    outbox: State = State(0, 0, None, 0)  # noqa: RUF009 - it is frozen

    def in_state(self, state: BindingState) -> int:
        return sum(count for (_, held), count in self.actions.items() if held == state)


def read() -> Figures:
    """Raises django.db.Error."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(STATEMENT_MS)])
        states = Binding.objects.order_by().values_list("kind", "state").annotate(count=Count("pk"))
        return Figures(
            actions={(kind, state): count for kind, state, count in states},
            behind=_by_kind(Binding.objects.filter(behind_at__isnull=False)),
            failing=_by_kind(Destination.objects.filter(failures__gt=0)),
            parked=_parked(),
            waiting=_waiting(timezone.now()),
            unread=UnreadRecord.objects.all()[:COUNTED_MAX].count(),
            missing=_missing(),
            outbox=outbox.state(),
        )


def _by_kind(rows: QuerySet[Any]) -> dict[str, int]:
    return dict(rows.order_by().values_list("kind").annotate(count=Count("pk")))


def _parked() -> dict[str, int]:
    found = Parked.objects.order_by().values_list("binding_id", flat=True)[:COUNTED_MAX]
    by_binding = Counter(found.iterator())
    kinds = dict(Binding.objects.filter(pk__in=by_binding).values_list("pk", "kind"))
    counts: Counter[str] = Counter()
    for binding, count in by_binding.items():
        counts[kinds.get(binding, "")] += count
    return dict(counts)


def _missing() -> dict[str, int]:
    fills = Walk.objects.filter(purpose=Walk.Purpose.FILL, missing__gt=0).exclude(state=Walk.State.DONE)
    return dict(fills.order_by().values_list("binding__kind").annotate(count=Sum("missing")))


def _waiting(now: datetime) -> dict[str, float]:
    """What is in no delivery yet, and what is in one that has not ended."""
    oldest: dict[str, datetime] = dict(_unfinished())
    for kind, at in _undecided():
        oldest[kind] = min(at, oldest.get(kind, at))
    return {kind: max(0.0, (now - at).total_seconds()) for kind, at in oldest.items()}


def _unfinished() -> Iterator[tuple[str, datetime]]:
    going = Binding.objects.filter(destination=OuterRef("destination")).exclude(state=BindingState.PAUSED)
    batches = Batch.objects.filter(Exists(going), state__in=UNFINISHED).order_by()
    yield from batches.values_list("destination__kind").annotate(at=Min("created_at"))


def _undecided() -> Iterator[tuple[str, datetime]]:
    open_ended = Q(owes_below__isnull=True) | Q(settled_to__lt=F("owes_below") - 1)
    owing = Binding.objects.filter(open_ended).exclude(state=BindingState.PAUSED).order_by("pk")
    rows = list(owing.values_list("kind", "form_id", "settled_to", "since")[:ACTIONS_MAX])
    for first in range(0, len(rows), CHUNK):
        chunk = rows[first : first + CHUNK]
        found = archive.oldest_after([(form, max(settled_to, since)) for _, form, settled_to, since in chunk])
        for (kind, *_), at in zip(chunk, found, strict=True):
            if at is not None:
                yield kind, at


def used(state: State) -> float:
    """The share of the outbox's bounds that is used, of rows or of bytes, whichever is more."""
    rows, size = state.rows / settings.OUTBOX_ROWS_MAX, state.bytes / settings.OUTBOX_BYTES_MAX
    return float(max(rows, size))


def age(state: State) -> float:
    """Since the oldest submission in the outbox was accepted, in seconds; 0 when none waits."""
    return max(0.0, (timezone.now() - state.oldest).total_seconds()) if state.oldest else 0.0


def _of_outbox(state: State) -> Iterator[Metric]:
    yield gauge(metrics.OUTBOX_ROWS, {(): state.rows})
    yield gauge(metrics.OUTBOX_BYTES, {(): state.bytes})
    yield gauge(metrics.OUTBOX_USED, {(): used(state)})
    yield gauge(metrics.OUTBOX_OLDEST, {(): age(state)})
    yield gauge(metrics.OUTBOX_REFUSED, {(): state.refused})


class Deliveries(Collector):
    """For scrapes. The database is asked at most every FRESH_SECONDS, however many ask."""

    def __init__(self, read: Callable[[], Figures] = read) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._figures: Figures | None = None
        self._read_at = float("-inf")

    def collect(self) -> Iterator[Metric]:
        figures = self._fresh()
        yield gauge(metrics.STATE_KNOWN, {("postgres",): figures is not None})
        if figures is None:
            return
        yield gauge(metrics.ACTIONS, figures.actions)
        yield gauge(metrics.UNREAD_NOW, {(): figures.unread})
        yield from _of_outbox(figures.outbox)
        for defined, values in (
            (metrics.ACTIONS_BEHIND, figures.behind),
            (metrics.FAILING, figures.failing),
            (metrics.PARKED_NOW, figures.parked),
            (metrics.OLDEST_WAITING, figures.waiting),
            (metrics.GAP, figures.missing),
        ):
            # A kind of which there are actions is told with 0 too, or an alert would miss its end.
            yield gauge(defined, {(kind,): values.get(kind, 0) for kind, _ in figures.actions})

    def _fresh(self) -> Figures | None:
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                close_old_connections()
                try:
                    self._figures = self._read()
                except Error:
                    self._figures = None
                    connection.close()
                self._read_at = time.monotonic()
            return self._figures
