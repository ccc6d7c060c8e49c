"""Which kinds of action there are here."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.api import pages
from apps.orgs.api.base import ManageView
from apps.sinks.api import openapi
from apps.sinks.api.settings_schema import schema_of
from apps.sinks.contract import Sink
from apps.sinks.registry import registry


class SinksView(ManageView):
    for_bound_keys = True

    @openapi.list_sinks
    def get(self, request: Request) -> Response:
        return Response(pages.whole([described(kind) for kind in registry.kinds()]))


def described(kind: type[Sink]) -> dict[str, Any]:
    return {
        "name": kind.name,
        "label": str(kind.label),
        "description": str(kind.description),
        "ordered": kind.policy.ordered,
        "repeatable": kind.policy.repeatable,
        "max_items": kind.policy.max_items,
        "max_seconds": kind.policy.max_seconds,
        "settings_schema": schema_of(kind),
    }
