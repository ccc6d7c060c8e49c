"""Organizations: one's own, seen and changed; made by superusers."""

from typing import Any

from django.db import IntegrityError, transaction
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs import access, audit
from apps.orgs.access import Right
from apps.orgs.api import openapi_orgs as openapi
from apps.orgs.api.base import ManageView, refused
from apps.orgs.api.once import changing, creating
from apps.orgs.api.pages import NEWEST, page
from apps.orgs.api.query import wrong
from apps.orgs.api.resources import OrganizationSerializer
from apps.orgs.models import Membership, Organization, Role
from formhub.core.problem import Problem

_COLUMNS = ("name", "slug")


class OrganizationsView(ManageView):
    for_bound_keys = True
    parameters = None

    @openapi.list_organizations
    def get(self, request: Request) -> Response:
        return Response(page(request, access.organizations(self.who), _rendered, NEWEST))

    @openapi.create_organization
    @creating
    def post(self, request: Request) -> Response:
        user = self.who.user
        if user is None or not user.is_superuser:
            # Anybody who could would be its first owner.
            raise Problem(403, "not_allowed", "Organizations are made by the operators of this installation.")
        sent = self.taken(OrganizationSerializer)
        made = Organization(**sent)
        _save(made)
        Membership.objects.create(organization=made, user=user, role=Role.OWNER)
        self.audit(made.pk, "added", made, audit.differences({}, audit.snapshot(made, _COLUMNS)))
        headers = {"Location": f"{request.path}/{made.pk}"}
        return Response(OrganizationSerializer(made).data, status=201, headers=headers)


class OrganizationView(ManageView):
    rights = {"PATCH": Right.ADMIN}

    @openapi.read_organization
    def get(self, request: Request, id: Any) -> Response:
        return Response(OrganizationSerializer(self.find(Organization.objects.all(), "pk", pk=id)).data)

    @openapi.change_organization
    @changing
    def patch(self, request: Request, id: Any) -> Response:
        found = self.find(Organization.objects.select_for_update(), "pk", pk=id)
        sent = self.taken(OrganizationSerializer, partial=True)
        before = audit.snapshot(found, _COLUMNS)
        for name, value in sent.items():
            setattr(found, name, value)
        _save(found)
        if changes := audit.differences(before, audit.snapshot(found, _COLUMNS)):
            self.audit(found.pk, "changed", found, changes)
        return Response(OrganizationSerializer(found).data)


def _save(organization: Organization) -> None:
    try:
        with transaction.atomic():
            organization.save()
    except IntegrityError:
        raise refused(wrong("slug", "taken", "Another organization has this short name; take another.")) from None


def _rendered(rows: list[Organization]) -> Any:
    return OrganizationSerializer(rows, many=True).data
