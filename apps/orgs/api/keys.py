"""API keys: list, make (the token is shown once), revoke."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs import access, keys
from apps.orgs.access import Right
from apps.orgs.api import openapi_orgs as openapi
from apps.orgs.api import query
from apps.orgs.api.base import ManageView, refused
from apps.orgs.api.once import changing, creating
from apps.orgs.api.pages import NEWEST, page
from apps.orgs.api.query import Filter, wrong
from apps.orgs.api.resources import ApiKeySerializer, NewApiKeySerializer
from apps.orgs.models import ApiKey
from formhub.core.problem import Problem

FILTERS = {
    "organization": Filter("organization", query.uuid, "An organization's id.", {"type": "string", "format": "uuid"})
}
_RELATED = ("form", "created_by", "organization")


class ApiKeysView(ManageView):
    rights = {"GET": Right.ADMIN, "POST": Right.ADMIN}
    parameters = None
    shown_once = ("token",)

    @openapi.list_api_keys(FILTERS)
    def get(self, request: Request) -> Response:
        rows = access.scoped(ApiKey.objects.select_related(*_RELATED), self.who, Right.ADMIN)
        return Response(page(request, rows, _rendered, NEWEST, FILTERS))

    @openapi.create_api_key
    @creating
    def post(self, request: Request) -> Response:
        sent = self.taken(NewApiKeySerializer)
        organization = self.organization(sent.get("organization"))
        form = self._form(sent.get("form"), organization.pk)
        self._not_above(sent)
        made, token = keys.create(
            organization=organization,
            name=sent["name"],
            scopes=sent["scopes"],
            form_id=form.pk if form else None,
            expires_at=sent.get("expires_at"),
            created_by=self.who.user,
        )
        changes = {"name": [None, made.name], "scopes": [None, made.scopes]}
        self.audit(organization.pk, "added", made, changes)
        body = {**ApiKeySerializer(made).data, "token": token}
        return Response(body, status=201, headers={"Location": f"{request.path}/{made.pk}"})

    def _form(self, name: str | None, organization_id: Any) -> Any:
        if name is None:
            return None
        try:
            form = self.form(name)
        except Problem:
            form = None
        if form is None or form.organization_id != organization_id:
            raise refused(wrong("form", "not_found", "The organization has no such form."))
        return form

    def _not_above(self, sent: dict[str, Any]) -> None:
        """A key makes none that can do more, or lasts longer, than itself."""
        key = self.who.key
        if key is None:
            return
        if not set(sent["scopes"]) <= key.scopes:
            raise Problem(403, "not_allowed", "An API key can only make keys with rights that it has itself.")
        wanted = sent.get("expires_at")
        if key.expires_at is not None and (wanted is None or wanted > key.expires_at):
            raise Problem(403, "not_allowed", "This API key expires: the keys that it makes must expire by then too.")


class ApiKeyView(ManageView):
    rights = {"GET": Right.ADMIN, "DELETE": Right.ADMIN}

    @openapi.read_api_key
    def get(self, request: Request, id: int) -> Response:
        return Response(ApiKeySerializer(self._found(id)).data)

    @openapi.revoke_api_key
    @changing
    def delete(self, request: Request, id: int) -> Response:
        found = self._found(id)
        if found.revoked_at is None:
            keys.revoke(found)
            self.audit(found.organization_id, "revoked", found)
        return Response(status=204)

    def _found(self, id: int) -> ApiKey:
        return self.find(ApiKey.objects.select_related(*_RELATED), pk=id)


def _rendered(rows: list[ApiKey]) -> Any:
    return ApiKeySerializer(rows, many=True).data
