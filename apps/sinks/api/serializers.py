"""Kinds, actions and deliveries as JSON, and what is asked of an action when it is sent."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.orgs.api.serializers import Strict, Text
from apps.sinks import hints
from apps.sinks.models import Batch, BatchState, Binding, BindingState
from apps.sinks.selection import FIELDS_MAX, LABEL_MAX, NAME, NAME_MAX
from formhub.core import logic

CONDITION_DEPTH = 40


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": True,
        "description": "Only submissions that meet it are delivered: JsonLogic over the answers. null: all.",
    }
)
class Condition(serializers.JSONField):
    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError(_("Send an object in JsonLogic, or null."), code="invalid")
        if not data:
            return None
        try:
            logic.check(data)
        except logic.ConditionError as error:
            message = _("This is no condition: %(why)s.") % {"why": str(error)[:500]}
            raise serializers.ValidationError(message, code="invalid_condition") from None
        return data


@extend_schema_field(
    {"type": "object", "additionalProperties": True, "description": "See /sinks. Secrets are not shown."}
)
class KindSettings(serializers.JSONField):
    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError(_("Send an object."), code="invalid")
        return data


class SelectedFieldSerializer(Strict):
    """What an action does with one field of its form."""

    key = Text(max_length=NAME_MAX, help_text="The field's key.")
    send = serializers.BooleanField(required=False, help_text="Whether it is sent; if not said otherwise, it is.")
    name = Text(max_length=NAME_MAX, required=False, help_text="Under which key it is sent; its own if left out.")
    label = Text(  # type: ignore[assignment]
        max_length=LABEL_MAX, required=False, help_text="Under which words it is sent; the form's if left out."
    )

    def validate_name(self, name: str) -> str:
        if not NAME.fullmatch(name):
            message = _("Begin with a letter; letters, digits and underscores may follow.")
            raise serializers.ValidationError(message, code="invalid")
        return name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "key" not in attrs:  # which a change may leave out of the action, but not of a field
            raise serializers.ValidationError({"key": [_("Say which field is meant.")]}, code="required")
        return attrs


class SelectionSerializer(Strict):
    """Which fields of the form are sent, in the form's order. A condition sees all of them nevertheless."""

    fields = serializers.ListField(child=SelectedFieldSerializer(), required=False, max_length=FIELDS_MAX)  # type: ignore[assignment]
    others = serializers.BooleanField(
        required=False,
        help_text="Whether fields that are not named are sent as they are, such as those the form gets later; if not "
        "said otherwise, they are.",
    )

    def validate_fields(self, fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
        keys = [field["key"] for field in fields]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            message = _("The field “%(key)s” is named twice.") % {"key": twice}
            raise serializers.ValidationError(message, code="named_twice")
        return fields


class ActionKindSerializer(Strict):
    """A kind of action."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    description = serializers.CharField(allow_blank=True)
    ordered = serializers.BooleanField(help_text="It keeps the order in which submissions were taken.")
    repeatable = serializers.BooleanField(help_text="Nothing is delivered twice; otherwise at least once.")
    max_items = serializers.IntegerField(help_text="How many submissions one delivery carries at most.")
    max_seconds = serializers.FloatField(help_text="How long a submission waits at most for others.")
    settings_schema = serializers.DictField(
        help_text="The JSON Schema (2020-12) of its settings; those that are writeOnly are secrets."
    )


class ActionSerializer(Strict):
    id = serializers.IntegerField(read_only=True)
    form = serializers.CharField(source="form.public_id", read_only=True, help_text="The form's public id.")
    kind = serializers.CharField(read_only=True, help_text="See /sinks.")
    name = Text(max_length=200)
    settings = KindSettings(source="config", required=False)
    secrets = serializers.SerializerMethodField()
    condition = Condition(required=False, allow_null=True)
    selection = SelectionSerializer(required=False, allow_null=True, help_text="null: everything, as it comes.")
    flush_seconds = serializers.FloatField(
        required=False,
        allow_null=True,
        min_value=0.1,
        max_value=3600,
        help_text="How long a submission waits at most for others; null: as the kind does it.",
    )
    state = serializers.SerializerMethodField()
    reason = serializers.CharField(source="pause_reason", read_only=True, help_text="Why it is paused.")
    remedy = serializers.CharField(source="pause_remedy", read_only=True, help_text="What to do about it.")
    delivered = serializers.IntegerField(read_only=True, help_text="How many submissions it has delivered.")
    delivered_at = serializers.DateTimeField(read_only=True, allow_null=True)
    last_error = serializers.CharField(source="destination.last_error", read_only=True)
    notices = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    @extend_schema_field(
        {"type": "boolean", "description": "Whether secrets are stored with it. They are never shown."}
    )
    def get_secrets(self, binding: Binding) -> bool:
        return bool(binding.secrets)

    @extend_schema_field(
        {"type": "array", "items": {"type": "string"}, "description": "What to see to before it becomes trouble."}
    )
    def get_notices(self, binding: Binding) -> list[str]:
        return hints.of(binding)

    @extend_schema_field({"type": "string", "enum": list(BindingState.values)})
    def get_state(self, binding: Binding) -> str:
        return binding.state


class NewActionSerializer(ActionSerializer):
    kind = Text(max_length=50, help_text="See /sinks.")


class DraftSerializer(Strict):
    """An action that is not made yet."""

    kind = Text(max_length=50, help_text="See /sinks.")
    settings = KindSettings(source="config", required=False)
    selection = SelectionSerializer(required=False, allow_null=True, help_text="null: everything, as it comes.")


class PreviewSerializer(Strict):
    made_up = serializers.BooleanField(help_text="The answers are nobody's: the form has none yet.")
    content_type = serializers.CharField(help_text="Of the text; a table is text/csv, its first row the headers.")
    text = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField(), help_text="What goes along. Secrets are masked.")
    html = serializers.CharField(help_text="The same as a page, where one is sent. Show it where it can do nothing.")


class ActionTestSerializer(Strict):
    works = serializers.BooleanField()
    message = serializers.CharField(help_text="What was found, in words.")


class BacklogSerializer(Strict):
    waiting = serializers.IntegerField(
        source="waiting.count",
        help_text="How many wait: in deliveries under way, to be tried again, or not looked at yet. Of the last, those "
        "count that the condition will leave out.",
    )
    more = serializers.BooleanField(source="waiting.more", help_text="There are more than could be counted in time.")
    since = serializers.DateTimeField(source="waiting.since", allow_null=True, help_text="How long the oldest waits.")
    sending = serializers.IntegerField(source="counts.sending", help_text="In deliveries under way.")
    to_be_tried_again = serializers.IntegerField(source="counts.again", help_text="Replays that wait for a delivery.")
    failed = serializers.IntegerField(source="counts.failed", help_text="Not tried any more unless replayed.")
    delivered = serializers.IntegerField(source="counts.delivered", help_text="In all; a replay counts once.")


class ReplayFilter(Strict):
    """Which to replay. What is left out narrows nothing."""

    code = Text(max_length=100, required=False, help_text="The code of the trouble.")
    since = serializers.DateTimeField(required=False, help_text="Failed or delivered at this time or later.")
    until = serializers.DateTimeField(required=False, help_text="Failed or delivered before this time.")
    submissions = serializers.ListField(
        child=serializers.UUIDField(), required=False, min_length=1, max_length=1000, help_text="Ids of submissions."
    )


class ReplayActionSerializer(ReplayFilter):
    of = serializers.ChoiceField(
        choices=["failed", "delivered"],
        required=False,
        help_text="Which: those that failed, if not said otherwise, or those that were delivered, where a kind of "
        "action repeats deliveries anyway.",
    )


class ReplayFailedSerializer(ReplayFilter):
    form = Text(max_length=200, required=False, help_text="A form's public id or organization~slug.")
    action = serializers.IntegerField(required=False, min_value=0, help_text="An action's id.")


class ReplaySerializer(Strict):
    submissions = serializers.IntegerField(source="count", help_text="How many will be tried again by this request.")
    more = serializers.BooleanField(help_text="Others are left: send the same once more, with a key of its own.")


class DeliverySerializer(Strict):
    id = serializers.UUIDField()
    kind = serializers.CharField(source="destination.kind")
    destination = serializers.CharField(source="destination.key")
    state = serializers.SerializerMethodField()
    submissions = serializers.IntegerField(source="size", help_text="How many it carries.")
    late = serializers.BooleanField(help_text="It was made later than its submissions' turn.")
    attempts = serializers.IntegerField()
    code = serializers.CharField(help_text="A stable name of the trouble; empty if there is none.")
    last_error = serializers.CharField(help_text="The trouble in words.")
    created_at = serializers.DateTimeField()
    offered_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field({"type": "string", "enum": list(BatchState.values)})
    def get_state(self, batch: Batch) -> str:
        return batch.state


class DeliveryItemSerializer(Strict):
    action = serializers.IntegerField(source="binding_id")
    submission = serializers.UUIDField(source="submission_id")
    position = serializers.IntegerField()


class AttemptSerializer(Strict):
    at = serializers.DateTimeField()
    code = serializers.CharField()


class DeliveryDetailSerializer(DeliverySerializer):
    failed_attempts = AttemptSerializer(many=True, source="tries", help_text="The last ten attempts that failed.")
    items = DeliveryItemSerializer(many=True, source="shown", help_text="The first 1,000 submissions it carries.")


class FailedSubmissionSerializer(Strict):
    id = serializers.IntegerField(source="pk")
    form = serializers.CharField(source="binding.form.public_id")
    action = serializers.IntegerField(source="binding_id")
    submission = serializers.UUIDField(source="submission_id")
    code = serializers.CharField()
    message = serializers.CharField()
    attempts = serializers.IntegerField()
    will_be_tried_again = serializers.BooleanField(source="again")
    failed_at = serializers.DateTimeField(source="parked_at")
