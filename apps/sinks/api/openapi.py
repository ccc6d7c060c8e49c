"""The words and examples of actions and deliveries in the OpenAPI document."""

from collections.abc import Callable, Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from apps.orgs.api.openapi import a_page, operation, paged
from apps.orgs.api.query import Filter
from apps.sinks.api import serializers as sinks

ACTIONS, DELIVERIES = "Actions", "Deliveries"
FORM = OpenApiParameter("form", OpenApiTypes.STR, OpenApiParameter.PATH, description="Public id or organization~slug.")
ID = OpenApiParameter("id", OpenApiTypes.INT, OpenApiParameter.PATH, description="The action's id.")
PLACE = [FORM, ID]

KIND = {
    "name": "google_sheets",
    "label": "Google Sheets",
    "description": "Adds a row to a spreadsheet for each submission.",
    "ordered": True,
    "repeatable": True,
    "max_items": 1000,
    "max_seconds": 10.0,
    "settings_schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "spreadsheet": {"type": "string", "title": "spreadsheet", "maxLength": 500},
            "service_account": {"type": "string", "title": "service account key (JSON)", "writeOnly": True},
        },
        "required": ["spreadsheet"],
        "additionalProperties": False,
    },
}
ACTION = {
    "id": 12,
    "form": "k7m2qhx4w9tc",
    "kind": "google_sheets",
    "name": "To the sheet",
    "settings": {"spreadsheet": "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdef", "worksheet": "Submissions"},
    "secrets": True,
    "condition": {">=": [{"var": "cgpa"}, 5]},
    "selection": {"fields": [{"key": "note", "send": False}], "others": True},
    "flush_seconds": None,
    "state": "on",
    "reason": "",
    "remedy": "",
    "delivered": 1204,
    "delivered_at": "2026-11-03T09:14:17.020113Z",
    "last_error": "",
    "notices": [],
    "created_at": "2026-11-01T08:00:00.000000Z",
    "updated_at": "2026-11-01T08:00:00.000000Z",
}
NEW = {"delivered": 0, "delivered_at": None}
SENT = {
    "kind": "google_sheets",
    "name": "To the sheet",
    "settings": {"spreadsheet": "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdef", "service_account": "{...}"},
    "condition": {">=": [{"var": "cgpa"}, 5]},
}
DELIVERY = {
    "id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "kind": "google_sheets",
    "destination": "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdef",
    "state": "delivered",
    "submissions": 40,
    "late": False,
    "attempts": 1,
    "code": "",
    "last_error": "",
    "created_at": "2026-11-03T09:14:16.120113Z",
    "offered_at": "2026-11-03T09:14:16.220113Z",
    "finished_at": "2026-11-03T09:14:17.020113Z",
}
ITEM = {"action": 12, "submission": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "position": 41207}
FAILURE = {
    "id": 7,
    "form": "k7m2qhx4w9tc",
    "action": 12,
    "submission": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "code": "cell_too_long",
    "message": "An answer has more than 50,000 characters, which is what a cell can hold.",
    "attempts": 1,
    "will_be_tried_again": False,
    "failed_at": "2026-11-03T09:14:17.020113Z",
}
Decorator = Callable[[Any], Any]

list_sinks: Decorator = operation(
    "list_sinks",
    "List the kinds of actions",
    tag=ACTIONS,
    description="Each with the JSON Schema of its settings; those marked writeOnly are secrets, never shown again.",
    answer=paged("ActionKind", sinks.ActionKindSerializer),
    example=a_page(KIND),
)
list_actions: Decorator = operation(
    "list_actions",
    "List the actions of a form",
    tag=ACTIONS,
    parameters=[FORM],
    answer=paged("Action", sinks.ActionSerializer),
    example=a_page(ACTION),
)
create_action: Decorator = operation(
    "create_action",
    "Attach an action to a form",
    tag=ACTIONS,
    description="It gets what is submitted from now on. What its settings are is said by /sinks.",
    parameters=[FORM],
    body=sinks.NewActionSerializer,
    sent=SENT,
    answer=sinks.ActionSerializer,
    example=ACTION | NEW,
    status=201,
    creates=True,
)
read_action: Decorator = operation(
    "read_action", "Get an action", tag=ACTIONS, parameters=PLACE, answer=sinks.ActionSerializer, example=ACTION
)
change_action: Decorator = operation(
    "change_action",
    "Change an action",
    tag=ACTIONS,
    description="Changes what is sent and nothing else; of its settings, too. A secret that is not sent stays.",
    parameters=PLACE,
    body=sinks.ActionSerializer,
    sent={"name": "Good grades", "settings": {"worksheet": "Good grades"}},
    answer=sinks.ActionSerializer,
    example=ACTION | {"name": "Good grades"},
)
delete_action: Decorator = operation(
    "delete_action",
    "Delete an action",
    tag=ACTIONS,
    description="With the record of what it delivered. To stop it and keep the record, switch it off.",
    parameters=PLACE,
    status=204,
    answered="The action is gone.",
)


def _verb(id: str, summary: str, description: str, **changes: Any) -> Decorator:
    return operation(
        id,
        summary,
        tag=ACTIONS,
        description=description,
        parameters=PLACE,
        answer=sinks.ActionSerializer,
        example=ACTION | changes,
    )


pause_action = _verb(
    "pause_action",
    "Pause an action",
    "It goes on owing what is submitted; nothing is delivered until it is resumed.",
    state="paused",
    reason="Paused by hand.",
)
resume_action = _verb("resume_action", "Resume an action", "Delivers what has gathered, in order, and what comes.")
switch_action_off = _verb(
    "switch_action_off",
    "Switch an action off",
    "Nothing that is submitted from now on is owed. What came before is still delivered.",
    state="off",
)
switch_action_on = _verb("switch_action_on", "Switch an action on", "It owes again what is submitted from now on.")
test_action: Decorator = operation(
    "test_action",
    "Test an action's settings",
    tag=ACTIONS,
    description="Calls the service with the stored settings, and touches no submission.",
    parameters=PLACE,
    answer=sinks.ActionTestSerializer,
    example={"works": True, "message": "The spreadsheet Students can be written to."},
)
_PREVIEWED = (
    "What the action would send for the form's newest submission, or for one that is made up where there is none. "
    "Nothing is sent, and no service is called."
)
PREVIEW = {
    "made_up": False,
    "content_type": "text/csv",
    "text": "Submission ID,Accepted at,Name\r\n0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b,2026-11-03 09:14:16+00:00,Ada\r\n",
    "headers": {},
    "html": "",
}
preview_action: Decorator = operation(
    "preview_action",
    "Preview what an action sends",
    tag=ACTIONS,
    description=_PREVIEWED,
    parameters=PLACE,
    answer=sinks.PreviewSerializer,
    example=PREVIEW,
)
preview_new_action: Decorator = operation(
    "preview_new_action",
    "Preview an action that is not made yet",
    tag=ACTIONS,
    description=_PREVIEWED,
    parameters=[FORM],
    body=sinks.DraftSerializer,
    sent={"kind": "google_sheets", "settings": SENT["settings"]},
    answer=sinks.PreviewSerializer,
    example=PREVIEW,
)

BACKLOG = {
    "waiting": 214,
    "more": False,
    "since": "2026-11-03T09:14:17.020113Z",
    "sending": 0,
    "to_be_tried_again": 3,
    "failed": 1,
    "delivered": 1204,
}
REPLAYED = {"submissions": 3, "more": False}
_REPLAY = (
    "The answers are sent as they were accepted, in late deliveries; a paused action sends them when it is resumed. "
    "What is in a delivery under way, or waits to be tried again, is left alone, so this may be repeated. At most "
    "10,000 at once: `more` says whether others are left. How far it is, the action's backlog says. Where nothing is "
    "delivered twice, those with the code `outcome_unknown` are replayed only if they are asked for by that code: "
    "they may have arrived."
)
read_backlog: Decorator = operation(
    "read_backlog",
    "See how much waits at an action",
    tag=ACTIONS,
    description="How many submissions wait and since when, and how many were delivered and failed.",
    parameters=PLACE,
    answer=sinks.BacklogSerializer,
    example=BACKLOG,
)
replay_action: Decorator = operation(
    "replay_action",
    "Replay submissions at an action",
    tag=ACTIONS,
    description="Tries failed submissions again: all, or those that the body names. " + _REPLAY + " `of: delivered` "
    "delivers once more what was delivered, where the kind of action delivers at least once; the delivery there was "
    "stays on record. Others refuse it.",
    parameters=PLACE,
    body=sinks.ReplayActionSerializer,
    sent={"code": "gave_up", "since": "2026-11-03T00:00:00Z"},
    answer=sinks.ReplaySerializer,
    example=REPLAYED,
    creates=True,
)
replay_failed: Decorator = operation(
    "replay_failed",
    "Replay failed submissions",
    tag=DELIVERIES,
    description="Tries failed submissions of every form again, or those that the body names. " + _REPLAY,
    body=sinks.ReplayFailedSerializer,
    sent={"form": "k7m2qhx4w9tc", "code": "gave_up"},
    answer=sinks.ReplaySerializer,
    example=REPLAYED,
    creates=True,
)
replay_one: Decorator = operation(
    "replay_one",
    "Replay a failed submission",
    tag=DELIVERIES,
    description="Tries it again, also where it may have arrived. Answers 0 if it waits for that already.",
    parameters=[
        OpenApiParameter("id", OpenApiTypes.INT, OpenApiParameter.PATH, description="The failed submission's id.")
    ],
    answer=sinks.ReplaySerializer,
    example={"submissions": 1, "more": False},
    creates=True,
)


def list_deliveries(filters: Mapping[str, Filter]) -> Decorator:
    return operation(
        "list_deliveries",
        "List deliveries",
        tag=DELIVERIES,
        description="What one call to a service carried, and how it ended; newest first.",
        answer=paged("Delivery", sinks.DeliverySerializer),
        example=a_page(DELIVERY),
        filters=filters,
    )


read_delivery: Decorator = operation(
    "read_delivery",
    "Get a delivery with what it carried",
    tag=DELIVERIES,
    parameters=[OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The delivery's id.")],
    answer=sinks.DeliveryDetailSerializer,
    example=DELIVERY | {"failed_attempts": [], "items": [ITEM]},
)


def list_failed(filters: Mapping[str, Filter]) -> Decorator:
    return operation(
        "list_failed",
        "List failed submissions",
        tag=DELIVERIES,
        description="Submissions that an action could not deliver, and why; newest first.",
        answer=paged("FailedSubmission", sinks.FailedSubmissionSerializer),
        example=a_page(FAILURE),
        filters=filters,
    )
