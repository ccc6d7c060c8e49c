"""The deliveries and failed submissions of a form, newest first, a page at a time, however many there are.

Each of the form's destinations and actions gives its newest by an index of its own, and the newest of these are shown:
so a page costs the same with ten deliveries and with ten million, and with any filter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from apps.sinks.models import Batch, BatchState, Binding, Parked
from apps.sinks.queries import carried_by, carries

Row = TypeVar("Row", bound=Model)
PAGE = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for; whatever is given narrows. since, until: when it was made, or failed."""

    state: str = ""
    code: str = ""
    since: datetime | None = None
    until: datetime | None = None
    submission: UUID | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """after: where the next page begins; empty at the end."""

    rows: list[Any]
    after: str = ""


def deliveries(bindings: Sequence[Binding], asked: Asked, after: str = "", limit: int = PAGE) -> Page:
    """Those that carried something for these actions. Their ids grow with time, so they are in order of them."""
    keys = [binding.pk for binding in bindings]
    start = _uuid(after)
    if asked.submission is not None:
        parts = [Batch.objects.filter(carried_by([asked.submission], keys))]
    else:
        places = sorted({binding.destination_id for binding in bindings})
        parts = [Batch.objects.filter(carries(keys), destination=place) for place in places]
    wanted = _given(
        state=asked.state,
        code=asked.code,
        pk__gte=_first_of(asked.since),
        pk__lt=min((bound for bound in (start, _first_of(asked.until)) if bound), default=None),
    )
    found = _newest(Batch, [part.filter(**wanted) for part in parts], ["-pk"], limit)
    shown = list(Batch.objects.filter(pk__in=found[:limit]).select_related("destination").defer("body").order_by("-pk"))
    return Page(shown, str(shown[-1].pk) if len(found) > limit else "")


def failures(bindings: Sequence[Binding], asked: Asked, after: str = "", limit: int = PAGE) -> Page:
    """Submissions that could not be delivered and that nobody has asked to try again."""
    wanted = _given(code=asked.code, parked_at__gte=asked.since, parked_at__lt=asked.until)
    wanted |= _given(submission_id=asked.submission)
    parts = [_beyond(Parked.objects.filter(binding=one, again=False, **wanted), after) for one in bindings]
    found = _newest(Parked, parts, ["-parked_at", "-pk"], limit)
    rows = Parked.objects.filter(pk__in=found[:limit]).select_related("binding").order_by("-parked_at", "-pk")
    shown = list(rows)
    return Page(shown, f"{shown[-1].parked_at.isoformat()}~{shown[-1].pk}" if len(found) > limit else "")


def troubles(bindings: Sequence[Binding], newest: int = 1000) -> list[str]:
    """The codes of the newest failed ones: a list of all codes would read every row there is."""
    found: set[str] = set()
    for binding in bindings:
        rows = Parked.objects.filter(binding=binding, again=False).order_by("-parked_at")
        found |= set(rows.values_list("code", flat=True)[:newest])
    return sorted(found)


STATES = BatchState.choices


def _newest(model: type[Row], parts: Sequence[QuerySet[Row]], order: list[str], limit: int) -> list[Any]:
    """The keys of the first rows of all parts, one more than `limit` if there are."""
    columns = [name.lstrip("-") for name in order]
    limited = [part.order_by(*order).values_list(*columns)[: limit + 1] for part in parts]
    if not limited:
        return []
    rows: Any = limited[0] if len(limited) == 1 else limited[0].union(*limited[1:], all=True)
    found = sorted(rows, reverse=True) if len(limited) > 1 else list(rows)
    return [row[-1] for row in found[: limit + 1]]


def _beyond(rows: QuerySet[Parked], after: str) -> QuerySet[Parked]:
    moment, _, key = after.partition("~")
    try:
        at, least = datetime.fromisoformat(moment), int(key)
    except ValueError:
        return rows  # no place of ours: the list begins anew
    # So that an index on the time gives the range; the rest only decides among equals.
    return rows.filter(parked_at__lte=at).exclude(parked_at=at, pk__gte=least)


def _given(**wanted: Any) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value not in ("", None)}


def _first_of(moment: datetime | None) -> UUID | None:
    """The least id that a delivery made at this moment can have."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80) if moment else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
