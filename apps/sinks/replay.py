"""Deliver submissions once more: those that failed, and where an action repeats anyway, those that were delivered.

Both are asked for by setting them aside "to be tried again"; the next flush makes late deliveries of them, from the
answers as they were accepted. What is in a delivery under way never moves, and what waits already is not asked for
twice, so all of this may be repeated. Each chunk is a transaction that locks the destination first, as a flush does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.sinks.models import BatchItem, BatchState, Binding, Destination, Parked
from apps.sinks.registry import registry

CHUNK = 1000
AT_ONCE = 10_000  # in one request; whoever asks again gets the rest
UNKNOWN = "outcome_unknown"  # the code of submissions that may have arrived
RECORDED = "replayed"  # what the trail says
Told = Callable[[int], None]


class OnceOnlyError(Exception):
    """The kind of action delivers each submission once, so that none of them is delivered again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ones; whatever is given narrows. code: of failed ones; since, until: when they failed or were delivered.

    delivery: that carried them last.
    """

    code: str = ""
    since: datetime | None = None
    until: datetime | None = None
    submissions: Sequence[UUID] = ()
    delivery: UUID | None = None

    def narrow(self, rows: QuerySet[Any], at: str) -> QuerySet[Any]:
        given = {
            f"{at}__gte": self.since,
            f"{at}__lt": self.until,
            "code": self.code or None,
            "batch_id": self.delivery,
        }
        found = rows.filter(**{name: value for name, value in given.items() if value is not None})
        return found.filter(submission_id__in=self.submissions) if self.submissions else found


ALL = Wanted()


@dataclass(frozen=True, slots=True)
class Asked:
    """How many will be tried again by this; more: others are left to be asked for."""

    count: int
    more: bool


def failed(rows: QuerySet[Parked], wanted: Wanted = ALL) -> QuerySet[Parked]:
    """Those of `rows` that would be tried again.

    Where nothing is delivered twice, what may have arrived is left out unless its code is asked for by name.
    """
    found = wanted.narrow(rows.filter(again=False), "parked_at")
    return found if wanted.code else found.exclude(~Q(binding__kind__in=_at_least_once()), code=UNKNOWN)


def of_delivery(bindings: Any, delivery: UUID) -> QuerySet[Parked]:
    """What these actions could not deliver by this delivery."""
    # By action first, as an index has it: by delivery alone there is none.
    return Parked.objects.filter(binding__in=bindings, batch_id=delivery).order_by("-parked_at", "-pk")


def unsure(rows: QuerySet[Parked]) -> QuerySet[Parked]:
    """Those that `failed` leaves out."""
    return rows.filter(~Q(binding__kind__in=_at_least_once()), again=False, code=UNKNOWN)


def delivered(binding: Binding, wanted: Wanted = ALL) -> QuerySet[BatchItem]:
    """What would be delivered again. Raises OnceOnlyError."""
    if not can_repeat(binding):
        raise OnceOnlyError(
            _("“%(action)s” delivers each submission once. What it has delivered is not delivered again.")
            % {"action": binding.name}
        )
    rows = BatchItem.objects.filter(binding=binding, batch__state=BatchState.DELIVERED)
    return wanted.narrow(rows, "batch__finished_at")


def can_repeat(binding: Binding) -> bool:
    """Whether it may deliver again what it has delivered; of a kind that is not installed nobody knows."""
    return binding.kind in _at_least_once()


def ask_failed(
    rows: QuerySet[Parked], wanted: Wanted = ALL, limit: int | None = AT_ONCE, told: Told | None = None
) -> Asked:
    """Have them tried again, as many as `limit`; `told` after each chunk how many that were so far."""
    count = 0
    for chunk in _chunks(failed(rows, wanted)):
        if limit is not None and count >= limit:
            return Asked(count, more=True)
        count += chunk(CHUNK if limit is None else min(CHUNK, limit - count))
        if told:
            told(count)
    return Asked(count, more=False)


def ask_delivered(
    binding: Binding, wanted: Wanted = ALL, limit: int | None = AT_ONCE, told: Told | None = None
) -> Asked:
    """Have them delivered again, the oldest first. Raises OnceOnlyError."""
    rows = delivered(binding, wanted).filter(batch__finished_at__lte=timezone.now())
    count, after = 0, -1
    while found := list(
        rows.filter(position__gt=after).order_by("position").values_list("position", "submission_id")[:CHUNK]
    ):
        if limit is not None and count >= limit:
            return Asked(count, more=True)
        chosen = found if limit is None else found[: limit - count]
        count += _set_aside(binding, [submission for _, submission in chosen])
        after = chosen[-1][0]
        if told:
            told(count)
    return Asked(count, more=False)


def ask_gone(binding: Binding, submissions: list[UUID]) -> int:
    """Have delivered ones delivered again of which it is known that they are gone from where they were delivered."""
    return _set_aside(binding, submissions)


def _at_least_once() -> list[str]:
    return [kind.name for kind in registry.kinds() if not kind.policy.repeatable]


def _chunks(rows: QuerySet[Parked]) -> Iterator[Callable[[int], int]]:
    """One go after the other at the rows, until there are none; what fails again meanwhile is not among them."""
    begun = timezone.now()
    bindings = Binding.objects.filter(Exists(rows.filter(binding=OuterRef("pk")).order_by()))
    for binding, destination in list(bindings.order_by("destination_id", "pk").values_list("pk", "destination_id")):
        left = rows.filter(binding=binding, parked_at__lte=begun).order_by("-parked_at")
        while (newest := left.values_list("parked_at", flat=True).first()) is not None:
            left = left.filter(parked_at__lte=newest)  # an index leads past those that were taken
            yield lambda size, left=left, destination=destination: _mark(left, destination, size)  # type: ignore[misc]


def _mark(rows: QuerySet[Parked], destination: int, size: int) -> int:
    with transaction.atomic():
        _hold(destination)
        chosen = list(rows.values_list("pk", flat=True)[:size])
        return Parked.objects.filter(pk__in=chosen, again=False).update(again=True)


def _set_aside(binding: Binding, submissions: list[UUID]) -> int:
    """Their items become former ones, and they wait as failed ones do that somebody asked for."""
    query = """
        WITH taken AS (
          DELETE FROM sinks_batchitem i USING sinks_batch b
          WHERE i.binding_id = %s AND i.submission_id = ANY(%s) AND b.id = i.batch_id AND b.state = 'delivered'
          RETURNING i.binding_id, i.submission_id, i.batch_id, i.position
        ), former AS (
          INSERT INTO sinks_formeritem (binding_id, submission_id, batch_id, position) SELECT * FROM taken
        )
        INSERT INTO sinks_parked (organization_id, binding_id, form_id, submission_id, position, batch_id, code,
                                  message, attempts, again, parked_at)
        SELECT %s, binding_id, %s, submission_id, position, batch_id, 'replayed', '', 0, true, now() FROM taken
    """
    with transaction.atomic(), connection.cursor() as cursor:
        _hold(Binding.objects.values_list("destination_id", flat=True).get(pk=binding.pk))
        cursor.execute(query, [binding.pk, submissions, binding.organization_id, binding.form_id])
        return int(cursor.rowcount)


def _hold(destination: int) -> None:
    """Nobody freezes or marks meanwhile; and it is due."""
    Destination.objects.filter(pk=destination).update(next_attempt_at=Now())
