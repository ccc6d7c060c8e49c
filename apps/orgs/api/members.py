"""Members and invitations."""

from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs import access, invitations, members
from apps.orgs.access import Right
from apps.orgs.api import openapi_orgs as openapi
from apps.orgs.api import query
from apps.orgs.api.base import ManageView, refused
from apps.orgs.api.once import changing, creating
from apps.orgs.api.pages import NEWEST, page
from apps.orgs.api.query import Filter, one_of, wrong
from apps.orgs.api.resources import (
    InvitationSerializer,
    MembershipSerializer,
    NewInvitationSerializer,
)
from apps.orgs.models import Invitation, Membership, Role
from formhub.core.problem import Problem

_UUID = {"type": "string", "format": "uuid"}
MEMBERS = {
    "organization": Filter("organization", query.uuid, "An organization's id.", _UUID),
    "role": Filter("role", one_of(*Role.values), "A role.", {"type": "string", "enum": list(Role.values)}),
    "email": Filter("user__email__iexact", description="An e-mail address."),
}
INVITATIONS = {
    "organization": MEMBERS["organization"],
    "email": Filter("email__iexact", description="An e-mail address."),
}


class MembershipsView(ManageView):
    parameters = None

    @openapi.list_memberships(MEMBERS)
    def get(self, request: Request) -> Response:
        rows = access.scoped(Membership.objects.select_related("user"), self.who)
        return Response(page(request, rows, _members, NEWEST, MEMBERS))


class MembershipView(ManageView):
    rights = {"PATCH": Right.ADMIN, "DELETE": Right.ADMIN}

    @openapi.read_membership
    def get(self, request: Request, id: int) -> Response:
        return Response(MembershipSerializer(self._found(id)).data)

    @openapi.change_membership
    @changing
    def patch(self, request: Request, id: int) -> Response:
        found = self._found(id)
        sent = self.taken(MembershipSerializer, partial=True)
        before, after = Role(found.role), Role(sent.get("role", found.role))
        with _rules():
            members.check_role(self.who, found.organization, before, after)
            if after != Role.OWNER:
                members.check_owner_stays(found.organization, found)
        if after != before:
            found.role = after
            found.save(update_fields=["role"])
            self.audit(found.organization_id, "changed", found, {"role": [str(before), str(after)]})
        return Response(MembershipSerializer(found).data)

    @openapi.delete_membership
    @changing
    def delete(self, request: Request, id: int) -> Response:
        found = self._found(id)
        with _rules():
            members.check_role(self.who, found.organization, Role(found.role), None)
            members.check_owner_stays(found.organization, found)
        self.audit(found.organization_id, "deleted", found)
        found.delete()
        return Response(status=204)

    def _found(self, id: int) -> Membership:
        return self.find(Membership.objects.select_related("user", "organization"), pk=id)


class InvitationsView(ManageView):
    rights = {"GET": Right.ADMIN, "POST": Right.ADMIN}
    parameters = None
    shown_once = ("link",)

    @openapi.list_invitations(INVITATIONS)
    def get(self, request: Request) -> Response:
        rows = Invitation.objects.select_related("invited_by", "api_key")
        rows = access.scoped(rows, self.who, Right.ADMIN)
        return Response(page(request, rows, _invitations, NEWEST, INVITATIONS))

    @openapi.create_invitation
    @creating
    def post(self, request: Request) -> Response:
        sent = self.taken(NewInvitationSerializer)
        organization = self.organization(sent.get("organization"))
        with _rules("email"):
            made, token = invitations.invite(self.who, organization, sent["email"], sent["role"])
        body = {**InvitationSerializer(made).data, "link": invitations.link(token, request)}
        return Response(body, status=201, headers={"Location": f"{request.path}/{made.pk}"})


class InvitationView(ManageView):
    rights = {"GET": Right.ADMIN, "DELETE": Right.ADMIN}

    @openapi.read_invitation
    def get(self, request: Request, id: UUID) -> Response:
        return Response(InvitationSerializer(self._found(id)).data)

    @openapi.revoke_invitation
    @changing
    def delete(self, request: Request, id: UUID) -> Response:
        with _rules():
            invitations.revoke(self.who, self._found(id))
        return Response(status=204)

    def _found(self, id: UUID) -> Invitation:
        return self.find(Invitation.objects.select_related("organization", "invited_by", "api_key"), pk=id)


@contextmanager
def _rules(field: str = "") -> Any:
    """The rules of membership, as answers: 403 where the role is too high, 409 where an owner must stay, else 422."""
    try:
        yield
    except ValidationError as error:
        message = error.messages[0]
        if error.code == "role_too_high":
            raise Problem(403, "role_too_high", message) from None
        if error.code == "last_owner":
            raise Problem(409, "last_owner", message) from None
        raise refused(wrong(field, str(error.code), message)) from None


def _members(rows: list[Membership]) -> Any:
    return MembershipSerializer(rows, many=True).data


def _invitations(rows: list[Invitation]) -> Any:
    return InvitationSerializer(rows, many=True).data
