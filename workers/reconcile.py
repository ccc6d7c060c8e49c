"""Compare what actions owe with what is written down, and have delivered late whatever is missing.

What lies above an action's `settled_to` is taken by the next flush, so only what lies below can be missing: rows that
came into the archive late, items that a restored ledger no longer knows. Every minute that is looked after where
something was delivered lately, and once a day for every action from its beginning; the place where such a comparison
stands is kept, so that it may be ended anywhere.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from apps.sinks import walks
from apps.sinks.models import Binding, Destination, Walk
from apps.sinks.queries import revisions_of
from formhub.core import metrics
from formhub.core.clock import Clock
from workers.backfill import LOOK, unwritten
from workers.rooms import Archive

logger = logging.getLogger(__name__)
BUDGET_SECONDS = 20.0  # of each minute, all in all
RECENT = 10_000  # positions below `settled_to`
LATELY = timedelta(minutes=5)
AGAIN = timedelta(hours=24)
ACTIONS = 5000  # that one turn begins to compare, or looks after

_BEGIN = """
    INSERT INTO sinks_walk (binding_id, purpose, state, start, cursor, until, examined, found, missing, begun_at,
                            updated_at)
    SELECT id, 'check', 'running', since, since, settled_to, 0, 0, 0, now(), now()
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS action (id, since, settled_to)
    ON CONFLICT (binding_id, purpose) DO UPDATE
    SET state = 'running', start = excluded.start, cursor = excluded.cursor, until = excluded.until, examined = 0,
        found = 0, begun_at = now(), updated_at = now(), finished_at = NULL
    WHERE sinks_walk.state = 'done'
"""


@dataclass(frozen=True, slots=True)
class Compared:
    """missing: owed, and written down nowhere."""

    examined: int
    missing: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of an action's submissions, up to `cursor`. missing: positions."""

    cursor: int
    examined: int
    missing: tuple[int, ...]


def turn(archive: Archive, clock: Clock) -> None:
    """A minute's share of the work."""
    end = clock.monotonic() + BUDGET_SECONDS
    recent(archive, lambda: clock.monotonic() < end)
    begin(older_than=AGAIN)
    while clock.monotonic() < end and step(archive) is not None:
        pass


def recent(archive: Archive, go_on: Callable[[], bool] = lambda: True) -> Compared:
    """Compare the last RECENT positions of actions that delivered something lately."""
    lately = Binding.objects.filter(delivered_at__gt=Now() - LATELY).order_by("-delivered_at")
    examined = missing = 0
    for binding in lately[:ACTIONS]:
        cursor = max(binding.since, binding.settled_to - RECENT)
        while cursor < binding.settled_to and go_on():
            with transaction.atomic():
                found = _compare(binding, cursor, binding.settled_to, archive)
                _have_delivered(binding, found.missing)
            examined, missing = examined + found.examined, missing + len(found.missing)
            cursor = found.cursor
    return Compared(examined, missing)


def begin(*, older_than: timedelta = timedelta(0), actions: Sequence[int] | None = None) -> int:
    """Begin comparing actions from their beginning, save where one is under way or younger; how many were begun."""
    young = _checks().filter(Q(begun_at__gt=Now() - older_than) | Q(state=Walk.State.RUNNING))
    due = Binding.objects.filter(~Exists(young.filter(binding=OuterRef("pk"))), settled_to__gt=F("since"))
    if actions is not None:
        due = due.filter(pk__in=actions)
    rows = list(due.order_by("pk").values_list("pk", "since", "settled_to")[:ACTIONS])
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, [list(column) for column in zip(*rows, strict=True)] or [[], [], []])
        return int(cursor.rowcount)


def step(archive: Archive) -> Walk | None:
    """Go on with the comparison that waited longest; None if there is none that nobody else is at."""
    with transaction.atomic():
        running = _checks().filter(state=Walk.State.RUNNING).select_related("binding").order_by("updated_at", "pk")
        walk = running.select_for_update(skip_locked=True, of=("self",)).first()
        if walk is None:
            return None
        # What was settled when it began, or less: parts of it may have been taken out since.
        until = min(walk.until, walk.binding.settled_to)
        found = _compare(walk.binding, walk.cursor, until, archive)
        _have_delivered(walk.binding, found.missing)
        walk.cursor, walk.examined = found.cursor, walk.examined + found.examined
        walk.found += len(found.missing)
        if walk.cursor >= until:
            walk.state, walk.finished_at = Walk.State.DONE, Now()
        walk.save()
        return walk


def _checks() -> QuerySet[Walk]:
    return Walk.objects.filter(purpose=Walk.Purpose.CHECK)


def _compare(binding: Binding, after: int, until: int, archive: Archive) -> _Stretch:
    places = archive.places(binding.form_id, after, until + 1, LOOK)
    revisions = revisions_of([binding.pk])[binding.pk]
    fill = walks.unfinished([binding.pk]).get(binding.pk)
    left = [place for place in places if fill is None or not fill.cursor < place[0] <= fill.until]
    rows = unwritten(binding, left, archive)
    missing = tuple(row.position for row in rows if revisions.at(row.position).owes(row.answers) is not False)
    return _Stretch(places[-1][0] if len(places) == LOOK else until, len(places), missing)


def _have_delivered(binding: Binding, missing: Sequence[int]) -> None:
    if not missing:
        return
    logger.error("action %s: %d submissions were missing, from position %d on", binding.pk, len(missing), missing[0])
    # Locked in the order in which a flush locks them.
    Destination.objects.select_for_update().get(pk=binding.destination_id)
    current = Binding.objects.select_for_update(no_key=True).get(pk=binding.pk)
    walks.fill(current, after=missing[0] - 1, until=missing[-1], missing=len(missing))
    idle = Destination.objects.filter(pk=binding.destination_id, next_attempt_at__isnull=True)
    idle.update(next_attempt_at=Now())
    metrics.MISSED.labels(binding.kind).inc(len(missing))
