"""What the two long lists share: they are looked at and searched by id, and never counted to the end."""

from functools import cached_property
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.orgs import access
from apps.orgs.admin_base import OrgScopedAdmin

COUNTED = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts so far and no further: counting ten million rows takes longer than anybody reads."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows.order_by().values_list("pk")[:COUNTED])


class LongListAdmin(OrgScopedAdmin):
    """Rows that the engine writes: nobody adds, changes or deletes one."""

    organization_path = "organization_id"
    add_right = None
    change_right = None
    delete_right = None
    paginator = BoundedPaginator

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        found = list(access.organizations(self.actor(request)).values_list("pk", flat=True)[:2])
        # Said as a plain value, the one organization lets an index give the newest first, without sorting them all.
        return rows.filter(organization_id=found[0]) if len(found) == 1 else rows


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
