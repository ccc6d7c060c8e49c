"""The words and examples of organizations, members, keys and the trail in the OpenAPI document."""

from collections.abc import Callable, Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from apps.orgs.api import resources as orgs
from apps.orgs.api.openapi import a_page, operation, paged
from apps.orgs.api.query import Filter

ORGANIZATIONS, MEMBERS, KEYS, AUDIT = "Organizations", "Members", "API keys", "Audit trail"
Decorator = Callable[[Any], Any]
UUID = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="Its id.")
INTEGER = OpenApiParameter("id", OpenApiTypes.INT, OpenApiParameter.PATH, description="Its id.")

ORGANIZATION = {
    "id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "name": "Demo University",
    "slug": "demo-university",
    "created_at": "2026-11-01T08:00:00.000000Z",
}
MEMBERSHIP = {
    "id": 3,
    "organization": ORGANIZATION["id"],
    "person": {"email": "olivia@example.org", "name": "Olivia Owner"},
    "role": "owner",
    "created_at": "2026-11-01T08:00:00.000000Z",
}
INVITATION = {
    "id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c",
    "organization": ORGANIZATION["id"],
    "email": "ada@example.org",
    "role": "editor",
    "state": "open",
    "invited_by": "olivia@example.org",
    "created_at": "2026-11-03T09:14:07.512345Z",
    "expires_at": "2026-11-10T09:14:07.512345Z",
}
KEY = {
    "id": 5,
    "organization": ORGANIZATION["id"],
    "name": "Website",
    "begins_with": "fh_live_3fQk2T",
    "scopes": ["submit"],
    "form": None,
    "works": True,
    "created_by": "olivia@example.org",
    "created_at": "2026-11-03T09:14:07.512345Z",
    "expires_at": None,
    "last_used_at": None,
    "revoked_at": None,
}
ENTRY = {
    "id": 120,
    "organization": ORGANIZATION["id"],
    "at": "2026-11-03T09:20:41.000000Z",
    "who": {"kind": "person", "id": 1, "name": "olivia@example.org"},
    "action": "published",
    "object": {"type": "forms.form", "id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5d", "name": "Student data"},
    "changes": {"version": [None, 3]},
}

list_organizations: Decorator = operation(
    "list_organizations",
    "List one's own organizations",
    tag=ORGANIZATIONS,
    answer=paged("Organization", orgs.OrganizationSerializer),
    example=a_page(ORGANIZATION),
    filters={},
)
create_organization: Decorator = operation(
    "create_organization",
    "Create an organization",
    tag=ORGANIZATIONS,
    description="For operators of the installation who are signed in. They become its first owner.",
    body=orgs.OrganizationSerializer,
    sent={"name": "Demo University", "slug": "demo-university"},
    answer=orgs.OrganizationSerializer,
    example=ORGANIZATION,
    status=201,
    creates=True,
)
read_organization: Decorator = operation(
    "read_organization",
    "Get an organization",
    tag=ORGANIZATIONS,
    parameters=[UUID],
    answer=orgs.OrganizationSerializer,
    example=ORGANIZATION,
)
change_organization: Decorator = operation(
    "change_organization",
    "Change an organization",
    tag=ORGANIZATIONS,
    parameters=[UUID],
    body=orgs.OrganizationSerializer,
    sent={"name": "Demo University, Berlin"},
    answer=orgs.OrganizationSerializer,
    example=ORGANIZATION | {"name": "Demo University, Berlin"},
)


def list_memberships(filters: Mapping[str, Filter]) -> Decorator:
    return operation(
        "list_memberships",
        "List members",
        tag=MEMBERS,
        answer=paged("Membership", orgs.MembershipSerializer),
        example=a_page(MEMBERSHIP),
        filters=filters,
    )


read_membership: Decorator = operation(
    "read_membership",
    "Get a member",
    tag=MEMBERS,
    parameters=[INTEGER],
    answer=orgs.MembershipSerializer,
    example=MEMBERSHIP,
)
change_membership: Decorator = operation(
    "change_membership",
    "Change a member's role",
    tag=MEMBERS,
    description="Only an owner makes, changes or removes an owner; an organization always keeps one.",
    parameters=[INTEGER],
    body=orgs.MembershipSerializer,
    sent={"role": "admin"},
    answer=orgs.MembershipSerializer,
    example=MEMBERSHIP | {"role": "admin"},
    conflict="This is the last owner.",
)
delete_membership: Decorator = operation(
    "delete_membership",
    "Remove a member",
    tag=MEMBERS,
    description="The person loses all rights in the organization at once.",
    parameters=[INTEGER],
    status=204,
    answered="The person is no member any more.",
    conflict="This is the last owner.",
)


def list_invitations(filters: Mapping[str, Filter]) -> Decorator:
    return operation(
        "list_invitations",
        "List invitations",
        tag=MEMBERS,
        answer=paged("Invitation", orgs.InvitationSerializer),
        example=a_page(INVITATION),
        filters=filters,
    )


create_invitation: Decorator = operation(
    "create_invitation",
    "Add a member by invitation",
    tag=MEMBERS,
    description=(
        "Answers with a link to pass on. It is good for one use, for 7 days, and only for somebody who is signed in "
        "with this very address, or sets a password for it. An earlier invitation of the address is revoked."
    ),
    body=orgs.NewInvitationSerializer,
    sent={"email": "ada@example.org", "role": "editor"},
    answer=orgs.MadeInvitationSerializer,
    example=INVITATION | {"link": "https://forms.example.org/invitations/0190a1b2.w7Xb2k.hZ3f/"},
    status=201,
    creates=True,
)
read_invitation: Decorator = operation(
    "read_invitation",
    "Get an invitation",
    tag=MEMBERS,
    parameters=[UUID],
    answer=orgs.InvitationSerializer,
    example=INVITATION,
)
revoke_invitation: Decorator = operation(
    "revoke_invitation",
    "Revoke an invitation",
    tag=MEMBERS,
    description="Its link no longer works. One that was accepted stays so.",
    parameters=[UUID],
    status=204,
    answered="The link no longer works.",
)


def list_api_keys(filters: Mapping[str, Filter]) -> Decorator:
    return operation(
        "list_api_keys",
        "List API keys",
        tag=KEYS,
        answer=paged("ApiKey", orgs.ApiKeySerializer),
        example=a_page(KEY),
        filters=filters,
    )


create_api_key: Decorator = operation(
    "create_api_key",
    "Create an API key",
    tag=KEYS,
    description=(
        "The answer shows the token, this once. Scopes: submit sends answers, read lists answers and deliveries, "
        "manage changes forms, actions, keys and members. A key makes none that can do more than itself."
    ),
    body=orgs.NewApiKeySerializer,
    sent={"name": "Website", "scopes": ["submit"]},
    answer=orgs.MadeApiKeySerializer,
    example=KEY | {"token": "fh_live_3fQk2TtY0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6A7"},
    status=201,
    creates=True,
)
read_api_key: Decorator = operation(
    "read_api_key", "Get an API key", tag=KEYS, parameters=[INTEGER], answer=orgs.ApiKeySerializer, example=KEY
)
revoke_api_key: Decorator = operation(
    "revoke_api_key",
    "Revoke an API key",
    tag=KEYS,
    description="It stops working within two seconds, for ever.",
    parameters=[INTEGER],
    status=204,
    answered="The key no longer works.",
)


def list_audit(filters: Mapping[str, Filter]) -> Decorator:
    return operation(
        "list_audit",
        "List who changed what",
        tag=AUDIT,
        description="Newest first. Neither secrets nor answers are ever among it.",
        answer=paged("AuditEntry", orgs.AuditEntrySerializer),
        example=a_page(ENTRY),
        filters=filters,
    )
