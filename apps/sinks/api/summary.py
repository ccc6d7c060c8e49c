"""How the deliveries of a form stand: each action at a glance, and what the last day brought."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.api.base import ManageView
from apps.orgs.api.openapi import operation
from apps.orgs.api.serializers import Strict
from apps.sinks import summary, tally
from apps.sinks.api.backfill import EXAMPLE as WALK
from apps.sinks.api.backfill import BackFillSerializer
from apps.sinks.api.openapi import DELIVERIES, FORM, Decorator
from apps.sinks.models import BindingState
from apps.sinks.summary import Summary

EXAMPLE = {
    "actions": [
        {
            "action": 12,
            "name": "To the sheet",
            "kind": "google_sheets",
            "state": "paused",
            "reason": "The spreadsheet was not found.",
            "remedy": "Restore it or name another one, then resume.",
            "delivered": 1204,
            "delivered_at": "2026-11-03T09:14:17.020113Z",
            "waiting": 214,
            "waiting_more": False,
            "waiting_since": "2026-11-03T09:14:17.020113Z",
            "lag_seconds": 61.5,
            "failed": 10_000,
            "failed_more": True,
            "to_be_tried_again": 0,
            "next_try_at": None,
            "last_error": "The spreadsheet was not found.",
            "quota_used": 0.25,
            "back_fill": WALK,
        }
    ],
    "hours": [{"at": "2026-11-03T09:00:00Z", "delivered": 1200, "failed": 3}],
}


class ActionDeliveriesSerializer(Strict):
    """An action at a glance. Counts of what waits and failed stop at 10,000; `..._more` says so."""

    action = serializers.IntegerField(source="binding.pk")
    name = serializers.CharField(source="binding.name")
    kind = serializers.CharField(source="binding.kind")
    state = serializers.SerializerMethodField()
    reason = serializers.CharField(source="binding.pause_reason", help_text="Why it is paused.")
    remedy = serializers.CharField(source="binding.pause_remedy", help_text="What to do about it.")
    delivered = serializers.IntegerField(source="binding.delivered", help_text="In all; a replay counts once.")
    delivered_at = serializers.DateTimeField(source="binding.delivered_at", allow_null=True)
    waiting = serializers.IntegerField(source="waiting.count")
    waiting_more = serializers.BooleanField(source="waiting.more")
    waiting_since = serializers.DateTimeField(source="waiting.since", allow_null=True)
    lag_seconds = serializers.FloatField(source="lag", help_text="How long the oldest has waited; 0 if none waits.")
    failed = serializers.IntegerField(source="failed.count")
    failed_more = serializers.BooleanField(source="failed.more")
    to_be_tried_again = serializers.IntegerField(source="again.count")
    next_try_at = serializers.DateTimeField(source="next_try", allow_null=True)
    last_error = serializers.CharField(source="binding.destination.last_error")
    quota_used = serializers.FloatField(
        source="quota", allow_null=True, help_text="0 to 1: at 1 the next call waits; null: it has none."
    )
    back_fill = serializers.SerializerMethodField()

    @extend_schema_field({"type": "string", "enum": list(BindingState.values)})
    def get_state(self, one: Summary) -> str:
        return one.binding.state

    @extend_schema_field(BackFillSerializer(allow_null=True))
    def get_back_fill(self, one: Summary) -> Any:
        return BackFillSerializer(one.fill.walk).data if one.fill else None


class HourSerializer(Strict):
    at = serializers.DateTimeField(help_text="When it begins.")
    delivered = serializers.IntegerField()
    failed = serializers.IntegerField()


class FormDeliveriesSerializer(Strict):
    actions = ActionDeliveriesSerializer(many=True)
    hours = HourSerializer(many=True, help_text="The last 24, the oldest first; the last one still runs.")


read_form_deliveries: Decorator = operation(
    "read_form_deliveries",
    "See how a form's deliveries stand",
    tag=DELIVERIES,
    description="Each action with what it delivered, what waits and failed, since when and until when, how far its "
    "back-fill is, and how many submissions were delivered and failed per hour.",
    parameters=[FORM],
    answer=FormDeliveriesSerializer,
    example=EXAMPLE,
)


class FormDeliveriesView(ManageView):
    for_bound_keys = True

    @read_form_deliveries
    def get(self, request: Request, form: str) -> Response:
        found = summary.of(self.form(form).pk)
        hours = tally.last_hours([one.binding.pk for one in found], timezone.now())
        return Response(FormDeliveriesSerializer({"actions": found, "hours": hours}).data)
