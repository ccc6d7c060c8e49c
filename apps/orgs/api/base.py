"""The base of every view of the management API: who asks, what they may, and what every answer has in common.

The right that a method needs is checked twice: a key's scopes before anything is looked up, and the caller's role in
the organization of the very row (`find`, `demand`, `organization`). What belongs to others is not found.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn, TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.db.models import Model, QuerySet
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.orgs import access, audit
from apps.orgs.access import Actor, Right
from apps.orgs.api import query
from apps.orgs.api.body import StrictJsonParser
from apps.orgs.api.serializers import Strict
from apps.orgs.api.throttle import ManageThrottle
from apps.orgs.authentication import ApiKeyAuthentication
from apps.orgs.models import ApiKey, Organization
from formhub.core.problem import VALUES_REFUSED, Problem

RETRY_SECONDS = 2
READS = ("GET", "HEAD")
_RIGHTS = {
    Right.VIEW: "look at this",
    Right.EDIT: "change this: it takes an editor, an admin or an owner",
    Right.ADMIN: "do this: it takes an admin or an owner",
    Right.OWN: "do this: it takes an owner",
}
Row = TypeVar("Row", bound=Model)


class AlwaysJson(BaseContentNegotiation):
    """There is but one format, so nobody has to ask for it."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        content_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == content_type), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class MayAsk(BasePermission):
    """Somebody is there: a member of an organization, or a key whose scopes carry the right. Rows are checked later."""

    def has_permission(self, request: Request, view: Any) -> bool:
        who = access.actor(request)
        if who.key is not None:
            return bool(who.key.scopes & access.SCOPES[view.right]) and (view.for_bound_keys or who.only_form is None)
        # An operator may come before there is any organization.
        return (who.user is not None and who.user.is_superuser) or access.organizations(who).exists()


class ManageView(APIView):
    """rights: what a method needs, by default VIEW to read and EDIT to change. for_bound_keys: whether a key that is
    bound to one form may come here; such a view narrows what it shows to that form. shown_once: members of an answer
    that are never stored. parameters: what may stand behind the question mark of a GET (a list of pages adds its own);
    changes_with: of other methods.
    """

    authentication_classes = (ApiKeyAuthentication, SessionAuthentication)
    permission_classes = (MayAsk,)
    throttle_classes = (ManageThrottle,)
    parser_classes = (StrictJsonParser,)
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = AlwaysJson
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    rights: ClassVar[Mapping[str, Right]] = {}
    for_bound_keys: ClassVar[bool] = False
    shown_once: ClassVar[tuple[str, ...]] = ()
    parameters: ClassVar[tuple[str, ...] | None] = ()
    changes_with: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    rate: Mapping[str, str] = {}

    @property
    def who(self) -> Actor:
        return access.actor(self.request)

    @property
    def right(self) -> Right:
        method = "GET" if self.request.method in READS else str(self.request.method)
        return self.rights.get(method, Right.VIEW if method == "GET" else Right.EDIT)

    def find(self, rows: QuerySet[Row], path: str = "organization", **lookup: Any) -> Row:
        """The one row that the caller may see and do this with. Raises Problem 404 and 403."""
        row = access.scoped(rows, self.who, Right.VIEW, path).filter(**lookup).first()
        if row is None:
            raise not_found()
        value: Any = row
        for name in path.split("__"):
            value = getattr(value, name)
        self.demand(value.pk if isinstance(value, Organization) else value)
        return row

    def demand(self, organization_id: UUID, right: Right | None = None) -> None:
        """Raises Problem 403 for somebody who sees the organization but may not do this in it."""
        right = right or self.right
        if not access.allowed(self.who, organization_id, right):
            raise Problem(403, "not_allowed", f"Your role in this organization does not allow you to {_RIGHTS[right]}.")

    def organization(self, id: UUID | None) -> Organization:
        """The organization that a body names; the caller's one and only if it names none. Raises Problem."""
        mine = access.organizations(self.who)
        if id is not None:
            found = mine.filter(pk=id).first()
            if found is None:
                raise not_found("There is no such organization, or you are not a member of it.")
        else:
            few = list(mine.order_by("pk")[:2])
            if len(few) != 1:
                raise refused(query.wrong("organization", "required", "You have several organizations: say which."))
            found = few[0]
        self.demand(found.pk)
        return found

    def form(self, name: str) -> Any:
        """The form with this public id or organization~slug, published or not. Raises Problem 404 and 403."""
        forms = ApiKey.form.field.related_model._default_manager.select_related("organization", "live")
        rows = access.scoped(forms, self.who)
        organization, tilde, slug = name.partition("~")
        if "\0" in name:
            raise not_found()
        wanted = {"organization__slug": organization, "slug": slug} if tilde else {"public_id": name}
        form: Any = rows.filter(**wanted).first()
        if form is None or not access.form_allowed(self.who, form.pk):
            raise not_found("There is no such form, or you have no right to it.")
        self.demand(form.organization_id)
        return form

    def taken(self, serializer: type[Strict], **kwargs: Any) -> dict[str, Any]:
        """What the body says, checked. Raises ValidationError, which is answered by 422 with every field."""
        filled = serializer(data=self.request.data, context={"view": self}, **kwargs)
        filled.is_valid(raise_exception=True)
        found: dict[str, Any] = filled.validated_data
        return found

    def nothing_sent(self) -> None:
        """For methods without a body: a member that nobody would look at is refused by name."""
        self.taken(Strict)

    def audit(
        self, organization_id: UUID | None, action: str, obj: Model, changes: Mapping[str, Any] | None = None
    ) -> None:
        audit.record(self.who, organization_id, action, obj, changes)

    def encode(self, data: Any) -> bytes:
        encoded: bytes = JSONRenderer().render(data)
        return encoded

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method not in READS:
            query.refuse(query.check_names(request.query_params, self.changes_with.get(str(request.method), ())))
        elif self.parameters is not None:
            query.refuse(query.check_names(request.query_params, self.parameters))

    def permission_denied(self, request: Request, message: str | None = None, code: str | None = None) -> NoReturn:
        who = self.who
        if who.key is not None:
            lacks = not who.key.scopes & access.SCOPES[self.right]
            detail = "has no right to do this" if lacks else "is bound to one form, and this is about more than that"
            raise Problem(403, "key_not_allowed", f"This API key {detail}. Use one that may.")
        if who.user is not None:
            raise Problem(403, "no_membership", "You are not a member of an organization. Ask its owner to invite you.")
        raise NotAuthenticated("Send an API key as Authorization: Bearer fh_live_..., or sign in.")

    def throttled(self, request: Request, wait: float | None) -> NoReturn:
        seconds = max(1, round(wait or 1))
        detail = f"Too many requests. Ask again in {seconds} s."
        raise Problem(429, "rate_limited", detail, headers={"Retry-After": str(seconds)})

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, OperationalError | InterfaceError):
            # The database is away, or somebody else holds the same rows for longer than a request waits.
            detail = "This cannot be done just now; nothing was changed. Ask again in a moment."
            exc = Problem(503, "not_available", detail, headers={"Retry-After": str(RETRY_SECONDS)})
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        finished = super().finalize_response(request, response, *args, **kwargs)
        finished["Cache-Control"] = "no-store"
        for name, value in self.rate.items():
            finished[name] = value
        return finished


def not_found(detail: str = "There is nothing at this address, or you have no right to see it.") -> Problem:
    return Problem(404, "not_found", detail)


def refused(*errors: Mapping[str, Any]) -> Problem:
    """422, each error naming its field."""
    return Problem(422, "invalid", "Some values need a change.", errors=list(errors), title=VALUES_REFUSED)
