"""An action's submissions gone through once more: begin, put off, go on.

The workers do the going; their cursor moves in the transaction that does the work, so a walk may be ended anywhere and
begun again. Whoever calls these holds the action's row, or makes the only transaction that touches its walks.
"""

from collections.abc import Iterable

from django.db.models.functions import Now

from apps.sinks.models import Binding, Walk


def fill(binding: Binding, *, after: int, until: int, missing: int = 0) -> Walk:
    """Deliver what is owed of (after, until] and written down nowhere; what is left of an unfinished fill is kept.

    `missing`: how many of them a comparison found.
    """
    walk = Walk.objects.select_for_update().filter(binding=binding, purpose=Walk.Purpose.FILL).first()
    if walk is None:
        walk = Walk(binding=binding, purpose=Walk.Purpose.FILL)
    if walk.state == Walk.State.DONE or walk.pk is None:
        walk.start = walk.cursor = after
        walk.until, walk.examined, walk.found, walk.missing = until, 0, 0, 0
        walk.state, walk.begun_at, walk.finished_at = Walk.State.RUNNING, Now(), None
    walk.start, walk.cursor = min(walk.start, after), min(walk.cursor, after)
    walk.until = max(walk.until, until)
    walk.missing += missing
    walk.save()
    walk.refresh_from_db()
    return walk


def filling(binding: Binding) -> Walk | None:
    """The fill of the action, also one that is done."""
    return Walk.objects.filter(binding=binding, purpose=Walk.Purpose.FILL).first()


def unfinished(bindings: Iterable[int]) -> dict[int, Walk]:
    """By action the fill that has something left to look at."""
    open_ones = Walk.objects.filter(binding__in=bindings, purpose=Walk.Purpose.FILL).exclude(state=Walk.State.DONE)
    return {walk.binding_id: walk for walk in open_ones}


def put_off(binding: Binding, *, paused: bool) -> Walk | None:
    """Stop an unfinished fill where it stands, or let it go on; None if there is none."""
    state = Walk.State.PAUSED if paused else Walk.State.RUNNING
    found = Walk.objects.filter(binding=binding, purpose=Walk.Purpose.FILL).exclude(state=Walk.State.DONE)
    return filling(binding) if found.update(state=state, updated_at=Now()) else None
