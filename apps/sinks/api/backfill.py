"""Fill an action with what was submitted before it was made: begin, look how far it is, put off, go on."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.api.base import ManageView
from apps.orgs.api.once import changing, creating
from apps.orgs.api.openapi import operation
from apps.orgs.api.serializers import Strict
from apps.sinks import actions, walks
from apps.sinks.api.actions import ActionPartView
from apps.sinks.api.openapi import ACTIONS, PLACE, Decorator
from apps.sinks.models import Binding, Walk
from apps.sinks.positions import since
from apps.sinks.summary import progress

NONE = "none"
EXAMPLE = {
    "state": "running",
    "position": 20_311,
    "until": 41_206,
    "examined": 20_000,
    "delivered": 19_402,
    "percent": 50,
    "per_second": 331.4,
    "seconds_left": 61.2,
    "begun_at": "2026-11-03T09:14:17.020113Z",
    "finished_at": None,
}


class BackFillSerializer(Strict):
    """How far the action's last back-fill is."""

    state = serializers.SerializerMethodField()
    position = serializers.IntegerField(source="cursor", help_text="Everything up to here was looked at.")
    until = serializers.IntegerField(help_text="The last position that it concerns; what comes after is live.")
    examined = serializers.IntegerField(help_text="Submissions looked at.")
    delivered = serializers.IntegerField(
        source="found", help_text="Of those, given to deliveries: owed, and delivered neither before nor failed."
    )
    percent = serializers.SerializerMethodField()
    per_second = serializers.SerializerMethodField()
    seconds_left = serializers.SerializerMethodField()
    begun_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field({"type": "string", "enum": [NONE, *Walk.State.values]})
    def get_state(self, walk: Walk) -> str:
        return walk.state

    @extend_schema_field({"type": "integer", "description": "How much of the way is behind it."})
    def get_percent(self, walk: Walk) -> int:
        return progress(walk).percent if walk.pk else 0

    @extend_schema_field({"type": "number", "description": "Submissions looked at per second, on the whole."})
    def get_per_second(self, walk: Walk) -> float:
        return round(progress(walk).speed, 1) if walk.pk else 0.0

    @extend_schema_field({"type": ["number", "null"], "description": "At this speed; null: nobody can say."})
    def get_seconds_left(self, walk: Walk) -> float | None:
        left = progress(walk).left if walk.pk else None
        return None if left is None else round(left, 1)


class NewBackFillSerializer(Strict):
    since = serializers.DateTimeField(required=False, help_text="Accepted at this time or later; left out: everything.")


class PutOffSerializer(Strict):
    paused = serializers.BooleanField(help_text="true: stop where it is; false: go on from there.")


def _operation(id: str, summary: str, description: str = "", **more: Any) -> Decorator:
    return operation(
        id, summary, tag=ACTIONS, description=description, parameters=PLACE, answer=BackFillSerializer, **more
    )


read_back_fill = _operation("read_back_fill", "Get how far a back-fill is", example=EXAMPLE)
begin_back_fill = _operation(
    "begin_back_fill",
    "Deliver what was submitted before",
    "From the archive, in order, in deliveries marked late that take turns with what comes in. What was delivered or "
    "has failed is left out, so this may be repeated.",
    body=NewBackFillSerializer,
    sent={"since": "2026-10-01T00:00:00Z"},
    example=EXAMPLE,
)
put_off_back_fill = _operation(
    "put_off_back_fill",
    "Put a back-fill off, or let it go on",
    "Changes nothing where none is unfinished. What comes in is delivered all the same.",
    body=PutOffSerializer,
    sent={"paused": True},
    example=EXAMPLE | {"state": "paused"},
)


class BackFillView(ActionPartView, ManageView):
    @read_back_fill
    def get(self, request: Request, form: str, id: int) -> Response:
        return _answer(walks.filling(self.action(form, id)))

    @begin_back_fill
    @creating
    def post(self, request: Request, form: str, id: int) -> Response:
        found = self.action(form, id)
        sent = self.taken(NewBackFillSerializer)
        walk = actions.back_fill(found, since(found.form_id, sent.get("since")))
        self.audit(found.organization_id, "back-filled", found, _said(sent))
        return _answer(walk)

    @put_off_back_fill
    @changing
    def patch(self, request: Request, form: str, id: int) -> Response:
        found = self.action(form, id)
        sent = self.taken(PutOffSerializer)
        if actions.pause_back_fill(found, paused=sent["paused"]) is not None:
            self.audit(found.organization_id, f"back-fill {'paused' if sent['paused'] else 'resumed'}", found)
        return _answer(walks.filling(found))


def _said(sent: dict[str, Any]) -> dict[str, Any]:
    return {"since": ["", sent["since"].isoformat()]} if "since" in sent else {}


def _answer(walk: Walk | None) -> Response:
    none = Walk(binding=Binding(), state=NONE, start=0, cursor=0, until=0)
    return Response(BackFillSerializer(walk or none).data)
