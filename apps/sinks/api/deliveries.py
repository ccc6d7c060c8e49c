"""What was delivered and what failed, newest first."""

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs import access
from apps.orgs.access import Actor
from apps.orgs.api import query
from apps.orgs.api.base import ManageView, not_found
from apps.orgs.api.pages import NEWEST, Order, page
from apps.orgs.api.query import Filter, one_of
from apps.sinks.api import openapi
from apps.sinks.api.serializers import DeliveryDetailSerializer, DeliverySerializer, FailedSubmissionSerializer
from apps.sinks.models import Batch, BatchItem, BatchState, Binding, Parked

ITEMS_SHOWN = 1000
Row = TypeVar("Row", Batch, Parked)
_ID = {"type": "integer", "minimum": 0}
_MOMENT = {"type": "string", "format": "date-time"}


def filters(who: Actor) -> dict[str, Filter]:
    """Those of the list of deliveries, as they hold for the caller."""
    return {
        "action": Filter(
            lambda id: Exists(BatchItem.objects.filter(batch=OuterRef("pk"), binding=id)),
            query.whole,
            "An action's id.",
            _ID,
        ),
        "state": Filter(
            "state", one_of(*BatchState.values), "How they stand.", {"type": "string", "enum": list(BatchState.values)}
        ),
        "submission": Filter(
            # By action and submission, as the ledger's key has it: by submission alone there is no index.
            lambda id: Q(pk__in=BatchItem.objects.filter(binding__in=_bindings(who), submission_id=id).values("batch")),
            query.uuid,
            "A submission's id: the deliveries that carried it.",
            {"type": "string", "format": "uuid"},
        ),
        "since": Filter("created_at__gte", query.moment, "Made at this time or later.", _MOMENT),
        "until": Filter("created_at__lt", query.moment, "Made before this time.", _MOMENT),
    }


FAILED = {
    "action": Filter("binding", query.whole, "An action's id.", _ID),
    "code": Filter("code", description="The code of the trouble."),
    "submission": Filter("submission_id", query.uuid, "A submission's id.", {"type": "string", "format": "uuid"}),
    "since": Filter("parked_at__gte", query.moment, "Failed at this time or later.", _MOMENT),
    "until": Filter("parked_at__lt", query.moment, "Failed before this time.", _MOMENT),
}


class DeliveriesView(ManageView):
    for_bound_keys = True
    parameters = None

    @openapi.list_deliveries(filters(Actor()))
    def get(self, request: Request) -> Response:
        return Response(page(request, _mine(self.who), _deliveries, NEWEST, filters(self.who)))


class DeliveryView(ManageView):
    for_bound_keys = True

    @openapi.read_delivery
    def get(self, request: Request, id: UUID) -> Response:
        batch: Any = _mine(self.who).filter(pk=id).first()
        if batch is None:
            raise not_found("There is no such delivery, or it is not yours.")
        items = batch.items.filter(binding__in=_bindings(self.who)).order_by("binding_id", "position")
        batch.shown = list(items[:ITEMS_SHOWN])
        return Response(DeliveryDetailSerializer(batch).data)


class FailedView(ManageView):
    for_bound_keys = True
    parameters = None

    @openapi.list_failed(FAILED)
    def get(self, request: Request) -> Response:
        rows = _scoped(Parked.objects.select_related("binding__form"), self.who)
        if self.who.only_form is not None:
            rows = rows.filter(form_id=self.who.only_form)
        return Response(page(request, rows, _failed, Order(("parked_at", "pk")), FAILED))


def _mine(who: Actor) -> QuerySet[Batch]:
    rows = _scoped(Batch.objects.select_related("destination").defer("body"), who)
    if who.only_form is not None:
        return rows.filter(Exists(BatchItem.objects.filter(batch=OuterRef("pk"), binding__in=_bindings(who))))
    return rows


def _scoped(rows: QuerySet[Row], who: Actor) -> QuerySet[Row]:
    found = list(access.organizations(who).values_list("pk", flat=True)[:2])
    # Said as a plain value, the one organization lets an index give the newest first, without sorting them all.
    if len(found) == 1:
        return rows.filter(organization_id=found[0])
    return access.scoped(rows, who, path="organization_id")


def _bindings(who: Actor) -> QuerySet[Binding]:
    rows = access.scoped(Binding.objects.all(), who).order_by()
    if who.only_form is not None:
        rows = rows.filter(form=who.only_form)
    return rows.values("pk")  # type: ignore[return-value]


def _deliveries(rows: list[Batch]) -> Any:
    return DeliverySerializer(rows, many=True).data


def _failed(rows: list[Parked]) -> Any:
    return FailedSubmissionSerializer(rows, many=True).data
