"""Delivered and failed by action and hour, kept as it happens: counting the ledger would take too long.

Written in the transaction that settles a delivery, so that what is counted is what stands there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

from apps.sinks.models import Tally

KEPT_DAYS = 31
HOUR = timedelta(hours=1)

# In order of action, as all who settle deliveries lock their rows.
_ADD = """
    INSERT INTO sinks_tally (binding_id, hour, delivered, failed)
    SELECT binding, date_trunc('hour', now(), 'UTC'), delivered, failed
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS more (binding, delivered, failed) ORDER BY binding
    ON CONFLICT (binding_id, hour) DO UPDATE
    SET delivered = sinks_tally.delivered + excluded.delivered, failed = sinks_tally.failed + excluded.failed
    RETURNING binding_id, xmax = 0
"""


@dataclass(frozen=True, slots=True)
class Hour:
    at: datetime
    delivered: int
    failed: int


def delivered(counts: Mapping[int, int]) -> None:
    """By action how many more. In the caller's transaction."""
    _add([(binding, count, 0) for binding, count in counts.items()])


def failed(counts: Mapping[int, int]) -> None:
    _add([(binding, 0, count) for binding, count in counts.items()])


def last_hours(bindings: Iterable[int], now: datetime, hours: int = 24) -> list[Hour]:
    """Of these actions together, the oldest first; the last one is the hour that runs."""
    last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    shown = [last - HOUR * back for back in reversed(range(hours))]
    found = {moment: [0, 0] for moment in shown}
    rows = Tally.objects.filter(binding__in=list(bindings), hour__gte=shown[0], hour__lte=last)
    for moment, good, bad in rows.values_list("hour", "delivered", "failed"):
        counted = found[moment.astimezone(UTC)]
        counted[0] += good
        counted[1] += bad
    return [Hour(moment, *counted) for moment, counted in found.items()]


def _add(more: list[tuple[int, int, int]]) -> None:
    if not more:
        return
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [list(column) for column in zip(*more, strict=True)])
        begun = [binding for binding, new in cursor.fetchall() if new]
        if begun:  # once an hour: what is older than anybody is shown goes
            old = "DELETE FROM sinks_tally WHERE binding_id = ANY(%s) AND hour < now() - make_interval(days => %s)"
            cursor.execute(old, [begun, KEPT_DAYS])
