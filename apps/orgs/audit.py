"""The trail of changes. Callers say what changed; secrets and answers are never among it."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import Model

from apps.orgs.access import Actor
from apps.orgs.models import AuditEntry

# Fields whose values never leave their row. That they changed is recorded, not from what to what.
HIDDEN = {"password", "secrets", "hash", "salt"}


def record(
    who: Actor,
    organization_id: UUID | None,
    action: str,
    obj: Model,
    changes: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """`changes` maps a field to [before, after]."""
    return AuditEntry.objects.create(
        organization_id=organization_id,
        user=who.user,
        api_key_id=who.key.id if who.key else None,
        action=action,
        object_type=obj._meta.label_lower,
        object_id=str(obj.pk),
        object_label=str(obj)[:300],
        changes={name: ["hidden", "hidden"] if name in HIDDEN else change for name, change in (changes or {}).items()},
    )


def snapshot(obj: Model | None, names: Iterable[str]) -> dict[str, Any]:
    """The present values of the row's own columns among `names`, as the trail keeps them; nothing of no row."""
    if obj is None:
        return {}
    columns = {field.name: field.attname for field in obj._meta.concrete_fields}
    return {name: _plain(getattr(obj, columns[name])) for name in names if name in columns}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: [before.get(name), value] for name, value in after.items() if before.get(name) != value}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool | list | dict) else str(value)
