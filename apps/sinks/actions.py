"""What people do with an action: make it, change it, pause, resume, switch it on and off.

Each is one transaction that locks destinations before actions, as a flush does, and wakes the destination.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from apps.sinks import config, walks
from apps.sinks.config import Settings
from apps.sinks.contract import Sink
from apps.sinks.models import UNFINISHED, Batch, Binding, BindingRevision, BindingState, Destination, Walk
from apps.sinks.registry import registry
from formhub.core import logic, secrets


class DestinationTakenError(Exception):
    """The destination belongs to another organization."""


@transaction.atomic
def create(
    *,
    organization_id: UUID,
    form_id: UUID,
    sink: type[Sink],
    name: str,
    settings: Settings,
    position: int,
    condition: Any = None,
    flush_seconds: float | None = None,
    selection: Any = None,
) -> Binding:
    """An action that owes what comes from `position` on. Raises core.logic.ConditionError, DestinationTakenError."""
    _check(condition)
    binding = Binding.objects.create(
        organization_id=organization_id,
        form_id=form_id,
        destination=_destination(organization_id, sink, settings),
        kind=sink.name,
        package=registry.package(sink.name),
        name=name,
        config=settings.config,
        secrets=secrets.encrypt(settings.secrets),
        condition=condition,
        since=position - 1,
        settled_to=position - 1,
        flush_seconds=flush_seconds,
        selection=selection,
    )
    BindingRevision.objects.create(binding=binding, from_position=position, on=True, condition=condition)
    return binding


@transaction.atomic
def configure(binding: Binding, sink: type[Sink], settings: Settings) -> None:
    """New settings. What is in flight to a former destination is brought to an end there, with the former ones.

    Raises DestinationTakenError.
    """
    target = _destination(binding.organization_id, sink, settings)
    current = _locked(binding, target.pk)
    if current.destination_id != target.pk:
        _keep_settings(current)
        _wake([current.destination_id])
    current.destination = target
    current.package = registry.package(sink.name)
    current.config = settings.config
    current.secrets = secrets.encrypt(settings.secrets)
    current.save(update_fields=["destination", "package", "config", "secrets", "updated_at"])
    _wake([target.pk])
    binding.refresh_from_db()


@transaction.atomic
def set_condition(binding: Binding, condition: Any, position: int) -> None:
    """Another condition from `position` on. Raises core.logic.ConditionError."""
    _check(condition)
    current = _locked(binding)
    current.condition = condition
    current.save(update_fields=["condition", "updated_at"])
    on = current.state != BindingState.OFF
    BindingRevision.objects.create(binding=current, from_position=position, on=on, condition=condition)
    binding.refresh_from_db()


@transaction.atomic
def pause(binding: Binding, reason: str = "", remedy: str = "") -> None:
    """It goes on owing; nothing is delivered until it is resumed. One that is off stays off."""
    current = _locked(binding)
    if current.state == BindingState.ON:
        _set_state(current, BindingState.PAUSED, reason, remedy)
    binding.refresh_from_db()


@transaction.atomic
def resume(binding: Binding) -> None:
    """Deliver what has gathered, in order, and what comes."""
    current = _locked(binding)
    if current.state == BindingState.PAUSED:
        _set_state(current, BindingState.ON)
    binding.refresh_from_db()


@transaction.atomic
def switch_off(binding: Binding, position: int) -> None:
    """Nothing from `position` on is owed. What came before is still delivered."""
    current = _locked(binding)
    if current.state != BindingState.OFF:
        current.owes_below = position
        _set_state(current, BindingState.OFF)
        _revise(current, position, on=False)
    binding.refresh_from_db()


@transaction.atomic
def switch_on(binding: Binding, position: int) -> None:
    """Owe again what comes from `position` on."""
    current = _locked(binding)
    if current.state == BindingState.OFF:
        current.owes_below = None
        _set_state(current, BindingState.ON)
        _revise(current, position, on=True)
    binding.refresh_from_db()


@transaction.atomic
def back_fill(binding: Binding, since: int) -> Walk:
    """Owe what came after `since` as well, in late deliveries that take turns with live ones.

    What is in the ledger already is left out when it is met again, so this may be repeated.
    """
    current = _locked(binding)
    current.since = min(current.since, since)
    current.save(update_fields=["since", "updated_at"])
    walk = walks.fill(current, after=since, until=current.settled_to)
    walks.put_off(current, paused=False)
    _wake([current.destination_id])
    binding.refresh_from_db()
    walk.refresh_from_db()
    return walk


@transaction.atomic
def pause_back_fill(binding: Binding, *, paused: bool) -> Walk | None:
    """Stop a back-fill where it stands, or let it go on; None if none is unfinished. Live deliveries do not mind."""
    current = _locked(binding)
    walk = walks.put_off(current, paused=paused)
    if walk is not None and not paused:
        _wake([current.destination_id])
    return walk


def _check(condition: Any) -> None:
    if condition is not None:
        logic.check(condition)


def check_destination(organization_id: UUID, sink: type[Sink], settings: Settings) -> None:
    """Raises DestinationTakenError."""
    others = Destination.objects.filter(kind=sink.name, key=config.destination_key(sink, settings))
    if sink.exclusive and others.filter(bindings__isnull=False).exclude(organization_id=organization_id).exists():
        raise DestinationTakenError("Another organization delivers there already. Choose another destination.")


def _destination(organization_id: UUID, sink: type[Sink], settings: Settings) -> Destination:
    key = config.destination_key(sink, settings)
    if sink.exclusive:
        with connection.cursor() as cursor:  # two organizations at once: the second sees what the first has written
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"destination:{sink.name}:{key}"])
    check_destination(organization_id, sink, settings)
    return Destination.objects.get_or_create(organization_id=organization_id, kind=sink.name, key=key)[0]


def _locked(binding: Binding, *destinations: int) -> Binding:
    """The action as it stands, its destination locked before it: the order in which a flush locks."""
    found = {*destinations, Binding.objects.values_list("destination_id", flat=True).get(pk=binding.pk)}
    list(Destination.objects.select_for_update().filter(pk__in=found).order_by("pk").values_list("pk"))
    return Binding.objects.select_for_update().get(pk=binding.pk)


def _set_state(binding: Binding, state: BindingState, reason: str = "", remedy: str = "") -> None:
    binding.state = state
    binding.pause_reason, binding.pause_remedy, binding.pause_code = reason, remedy, ""
    binding.paused_at = Now() if state == BindingState.PAUSED else None
    fields = ["state", "pause_reason", "pause_remedy", "pause_code", "paused_at", "owes_below", "updated_at"]
    binding.save(update_fields=fields)
    _wake([binding.destination_id])


def _revise(binding: Binding, position: int, *, on: bool) -> None:
    BindingRevision.objects.create(binding=binding, from_position=position, on=on, condition=binding.condition)


def _wake(destinations: Iterable[int]) -> None:
    Destination.objects.filter(pk__in=list(destinations)).update(next_attempt_at=Now())


def _keep_settings(binding: Binding) -> None:
    """Unfinished batches of the former destination must be resolved there."""
    former = {"config": binding.config, "secrets": binding.secrets}
    batches = Batch.objects.filter(
        destination_id=binding.destination_id, state__in=UNFINISHED, items__binding_id=binding.pk
    ).distinct()
    for batch in batches:
        batch.settings = {**batch.settings, str(binding.pk): former}
        batch.save(update_fields=["settings"])
