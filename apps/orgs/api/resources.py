"""Organizations, members, invitations, keys and the trail as JSON, and what is asked of them when they are sent."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.orgs import invitations, keys
from apps.orgs.api.serializers import OrganizationId, Strict, Text
from apps.orgs.models import ApiKey, AuditEntry, Invitation, Role

ROLE = {"type": "string", "enum": list(Role.values)}
SCOPE = {"type": "string", "enum": list(keys.SCOPES)}


@extend_schema_field(ROLE)
class RoleField(Text):
    def to_internal_value(self, data: Any) -> Any:
        role = super().to_internal_value(data)
        if role not in Role.values:
            message = _("Use one of %(names)s.") % {"names": ", ".join(Role.values)}
            raise serializers.ValidationError(message, code="invalid_choice")
        return Role(role)


@extend_schema_field(SCOPE)
class ScopeField(Text):
    def to_internal_value(self, data: Any) -> str:
        scope = super().to_internal_value(data)
        if scope not in keys.SCOPES:
            message = _("Use one of %(names)s.") % {"names": ", ".join(keys.SCOPES)}
            raise serializers.ValidationError(message, code="invalid_choice")
        return scope


class OrganizationSerializer(Strict):
    id = serializers.UUIDField(read_only=True)
    name = Text(max_length=200)
    slug = serializers.RegexField(r"^[-a-zA-Z0-9_]+\Z", max_length=60, help_text="Stands in addresses of forms.")
    created_at = serializers.DateTimeField(read_only=True)


class PersonSerializer(Strict):
    email = serializers.EmailField()
    name = serializers.CharField(allow_blank=True)


class MembershipSerializer(Strict):
    id = serializers.IntegerField(read_only=True)
    organization = OrganizationId(source="organization_id", read_only=True)
    person = PersonSerializer(source="user", read_only=True)
    role = RoleField()
    created_at = serializers.DateTimeField(read_only=True)


class InvitationSerializer(Strict):
    id = serializers.UUIDField(read_only=True)
    organization = OrganizationId(source="organization_id", read_only=True)
    email = serializers.EmailField(max_length=254, help_text="Only somebody with this address can accept.")
    role = RoleField()
    state = serializers.SerializerMethodField()
    invited_by = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(read_only=True)
    expires_at = serializers.DateTimeField(read_only=True)

    @extend_schema_field({"type": "string", "enum": [str(state) for state in invitations.State]})
    def get_state(self, invitation: Invitation) -> str:
        return str(invitations.state(invitation))

    @extend_schema_field({"type": ["string", "null"], "description": "An e-mail address, or the name of an API key."})
    def get_invited_by(self, invitation: Invitation) -> str | None:
        if invitation.api_key is not None:
            return invitation.api_key.name
        return invitation.invited_by.email if invitation.invited_by else None


class NewInvitationSerializer(InvitationSerializer):
    organization = OrganizationId(required=False)


class MadeInvitationSerializer(InvitationSerializer):
    link = serializers.URLField(read_only=True, help_text="Pass it on to the person; it is shown this once.")


class ApiKeySerializer(Strict):
    id = serializers.IntegerField(read_only=True)
    organization = OrganizationId(source="organization_id", read_only=True)
    name = Text(max_length=200, help_text="What uses it, so that you know what to revoke.")
    begins_with = serializers.CharField(source="prefix", read_only=True)
    scopes = serializers.ListField(child=ScopeField(), min_length=1, max_length=len(keys.SCOPES))
    form = serializers.SerializerMethodField()
    works = serializers.SerializerMethodField()
    created_by = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(read_only=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    last_used_at = serializers.DateTimeField(read_only=True, allow_null=True)
    revoked_at = serializers.DateTimeField(read_only=True, allow_null=True)

    @extend_schema_field({"type": ["string", "null"], "description": "The public id of the one form it is good for."})
    def get_form(self, key: ApiKey) -> str | None:
        return key.form.public_id if key.form else None

    @extend_schema_field({"type": "boolean", "description": "Neither revoked nor expired."})
    def get_works(self, key: ApiKey) -> bool:
        return keys.grant_of(key) is not None

    @extend_schema_field({"type": ["string", "null"], "description": "The e-mail address of who made it."})
    def get_created_by(self, key: ApiKey) -> str | None:
        return key.created_by.email if key.created_by else None

    def validate_expires_at(self, at: Any) -> Any:
        if at is not None and at <= timezone.now():
            raise serializers.ValidationError(_("Choose a time in the future, or leave it empty."), code="in_the_past")
        return at


class NewApiKeySerializer(ApiKeySerializer):
    organization = OrganizationId(required=False)
    form = Text(  # type: ignore[assignment]
        required=False, allow_null=True, max_length=200, help_text="The one form it is good for; null: all of them."
    )


class MadeApiKeySerializer(ApiKeySerializer):
    token = serializers.CharField(read_only=True, help_text="The key itself; it is shown this once.")


class AuditWhoSerializer(Strict):
    kind = serializers.SerializerMethodField()
    id = serializers.SerializerMethodField()
    name = serializers.SerializerMethodField()

    @extend_schema_field({"type": "string", "enum": ["person", "api_key", "system"]})
    def get_kind(self, entry: AuditEntry) -> str:
        return "person" if entry.user_id else "api_key" if entry.api_key_id else "system"

    @extend_schema_field({"type": ["integer", "null"]})
    def get_id(self, entry: AuditEntry) -> int | None:
        return entry.user_id or entry.api_key_id

    @extend_schema_field({"type": "string", "description": "An e-mail address, or the name of an API key."})
    def get_name(self, entry: AuditEntry) -> str:
        return entry.user.email if entry.user else entry.api_key.name if entry.api_key else ""


class AuditObjectSerializer(Strict):
    type = serializers.CharField(source="object_type")
    id = serializers.CharField(source="object_id")
    name = serializers.CharField(source="object_label")


class AuditEntrySerializer(Strict):
    id = serializers.IntegerField()
    organization = serializers.UUIDField(source="organization_id", allow_null=True)
    at = serializers.DateTimeField(source="created_at")
    who = AuditWhoSerializer(source="*")
    action = serializers.CharField()
    object = AuditObjectSerializer(source="*")
    changes = serializers.DictField(help_text="By field: before and after. Secrets are only said to have changed.")
