"""The audit trail, newest first."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs import access
from apps.orgs.api import openapi_orgs as openapi
from apps.orgs.api import query
from apps.orgs.api.base import ManageView
from apps.orgs.api.pages import NEWEST, page
from apps.orgs.api.query import Filter
from apps.orgs.api.resources import AuditEntrySerializer
from apps.orgs.models import AuditEntry

_MOMENT = {"type": "string", "format": "date-time"}
FILTERS = {
    "organization": Filter("organization", query.uuid, "An organization's id.", {"type": "string", "format": "uuid"}),
    "action": Filter("action", description="What was done, as added, changed, deleted, published."),
    "object_type": Filter("object_type", description="The kind of object, as forms.form."),
    "object_id": Filter("object_id", description="The object's id."),
    "email": Filter("user__email__iexact", description="Who did it: a person's e-mail address."),
    "api_key": Filter("api_key", query.whole, "Who did it: an API key's id.", {"type": "integer", "minimum": 0}),
    "since": Filter("created_at__gte", query.moment, "At this time or later.", _MOMENT),
    "until": Filter("created_at__lt", query.moment, "Before this time.", _MOMENT),
}


class AuditView(ManageView):
    parameters = None

    @openapi.list_audit(FILTERS)
    def get(self, request: Request) -> Response:
        rows = access.scoped(AuditEntry.objects.select_related("user", "api_key"), self.who)
        return Response(page(request, rows, _rendered, NEWEST, FILTERS))


def _rendered(rows: list[AuditEntry]) -> Any:
    return AuditEntrySerializer(rows, many=True).data
