"""What was delivered and what failed, newest first; and failed submissions tried again."""

from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs import access
from apps.orgs.access import Actor, Right
from apps.orgs.api import query
from apps.orgs.api.base import ManageView, not_found
from apps.orgs.api.once import creating
from apps.orgs.api.pages import NEWEST, Order, page
from apps.orgs.api.query import Filter, one_of
from apps.sinks import replay
from apps.sinks.api import openapi
from apps.sinks.api.serializers import (
    DeliveryDetailSerializer,
    DeliverySerializer,
    FailedSubmissionSerializer,
    ReplayFailedSerializer,
    ReplaySerializer,
)
from apps.sinks.models import Batch, BatchState, Binding, Parked
from apps.sinks.queries import carried_by, carries, contents
from apps.sinks.replay import Asked, Wanted

ITEMS_SHOWN = 1000
Row = TypeVar("Row", Batch, Parked)
_ID = {"type": "integer", "minimum": 0}
_MOMENT = {"type": "string", "format": "date-time"}


def filters(who: Actor) -> dict[str, Filter]:
    """Those of the list of deliveries, as they hold for the caller."""
    return {
        "action": Filter(
            lambda id: carries([id]),
            query.whole,
            "An action's id.",
            _ID,
        ),
        "state": Filter(
            "state", one_of(*BatchState.values), "How they stand.", {"type": "string", "enum": list(BatchState.values)}
        ),
        "code": Filter("code", description="The code of the trouble."),
        "submission": Filter(
            lambda id: carried_by([id], _bindings(who)),
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
        batch.shown = contents(batch, ITEMS_SHOWN, _bindings(self.who))
        return Response(DeliveryDetailSerializer(batch).data)


class FailedView(ManageView):
    for_bound_keys = True
    parameters = None

    @openapi.list_failed(FAILED)
    def get(self, request: Request) -> Response:
        rows = _failures(self.who).select_related("binding__form")
        return Response(page(request, rows, _failed, Order(("parked_at", "pk")), FAILED))


class ReplayFailedView(ManageView):
    """All failed submissions that the caller may have tried again, or those that a body names."""

    for_bound_keys = True

    @openapi.replay_failed
    @creating
    def post(self, request: Request) -> Response:
        sent = self.taken(ReplayFailedSerializer)
        rows = self._narrowed(sent.pop("form", None), sent.pop("action", None))
        return Response(ReplaySerializer(_asked(self, rows, Wanted(**sent))).data)

    def _narrowed(self, form: str | None, action: int | None) -> QuerySet[Parked]:
        """Raises Problem 404 and 403."""
        rows = _failures(self.who, Right.EDIT)
        if form is not None:
            rows = rows.filter(form_id=self.form(form).pk)
        if action is not None:
            binding = Binding.objects.filter(pk=action, pk__in=_bindings(self.who)).first()
            if binding is None:
                raise not_found("There is no such action, or it is not yours.")
            self.demand(binding.organization_id)
            rows = rows.filter(binding=binding)
        if not access.organizations(self.who, Right.EDIT).exists():
            self.permission_denied(self.request)
        return rows


class ReplayOneView(ManageView):
    for_bound_keys = True

    @openapi.replay_one
    @creating
    def post(self, request: Request, id: int) -> Response:
        """Named, so that it is tried again also where it may have arrived: the code says so."""
        self.nothing_sent()
        row = _failures(self.who).filter(pk=id).first()
        if row is None:
            raise not_found("There is no such failed submission, or it is not yours.")
        self.demand(row.organization_id)
        return Response(ReplaySerializer(_asked(self, Parked.objects.filter(pk=id), Wanted(code=row.code))).data)


def _asked(view: ManageView, rows: QuerySet[Parked], wanted: Wanted) -> Asked:
    chosen = replay.failed(rows, wanted).order_by()
    bindings = list(Binding.objects.filter(Exists(chosen.filter(binding=OuterRef("pk")))).order_by("pk"))
    done = replay.ask_failed(rows, wanted)
    for binding in bindings:
        view.audit(binding.organization_id, replay.RECORDED, binding)
    return done


def _failures(who: Actor, right: Right = Right.VIEW) -> QuerySet[Parked]:
    rows = _scoped(Parked.objects.all(), who, right)
    return rows if who.only_form is None else rows.filter(form_id=who.only_form)


def _mine(who: Actor) -> QuerySet[Batch]:
    rows = _scoped(Batch.objects.select_related("destination").defer("body"), who)
    if who.only_form is not None:
        return rows.filter(carries(_bindings(who)))
    return rows


def _scoped(rows: QuerySet[Row], who: Actor, right: Right = Right.VIEW) -> QuerySet[Row]:
    found = list(access.organizations(who, right).values_list("pk", flat=True)[:2])
    # Said as a plain value, the one organization lets an index give the newest first, without sorting them all.
    if len(found) == 1:
        return rows.filter(organization_id=found[0])
    return access.scoped(rows, who, right, path="organization_id")


def _bindings(who: Actor) -> QuerySet[Binding]:
    rows = access.scoped(Binding.objects.all(), who).order_by()
    if who.only_form is not None:
        rows = rows.filter(form=who.only_form)
    return rows.values("pk")  # type: ignore[return-value]


def _deliveries(rows: list[Batch]) -> Any:
    return DeliverySerializer(rows, many=True).data


def _failed(rows: list[Parked]) -> Any:
    return FailedSubmissionSerializer(rows, many=True).data
