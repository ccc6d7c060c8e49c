"""Who may read which form's submissions, and where one stands: what the pages and the API share."""

from dataclasses import replace

from apps.archive.queries import Stored
from apps.forms import published
from apps.forms.published import PublishedForm
from apps.orgs import access
from apps.orgs.access import Actor, Right
from apps.sinks import queries as deliveries
from apps.sinks.models import Binding, BindingState
from apps.sinks.queries import Standing, State


def readable_form(who: Actor, name: str) -> PublishedForm | None:
    """The form with this public id or organization~slug, if `who` may read what was sent to it."""
    # No name of ours holds NUL, and Postgres would refuse to look for one.
    form = published.by_name(name) if "\0" not in name else None
    if form is None or not access.form_allowed(who, form.id):
        return None
    return form if access.allowed(who, form.organization, Right.VIEW) else None


def standing(stored: Stored) -> list[State]:
    """A submission at each action of its form; one that waits because its action is paused says so."""
    states = deliveries.states(stored.form_id, stored.id, stored.position, stored.answers)
    waiting = [state.binding for state in states if state.standing == Standing.WAITING]
    paused = {binding.pk: binding for binding in Binding.objects.filter(pk__in=waiting, state=BindingState.PAUSED)}
    return [_paused(state, paused[state.binding]) if state.binding in paused else state for state in states]


def _paused(state: State, binding: Binding) -> State:
    why = " ".join(text for text in (binding.pause_reason, binding.pause_remedy) if text)
    return replace(state, code="paused", why=why)
