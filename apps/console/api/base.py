"""What views of stored answers share: who may read, what may be asked, and that nobody keeps a copy on the way."""

from typing import Any, NoReturn

import orjson
from django.db import InterfaceError, OperationalError
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.console.reading import readable_form
from apps.forms.published import PublishedForm
from apps.orgs import access
from apps.orgs.access import Right
from apps.orgs.api.throttle import ManageThrottle
from apps.orgs.authentication import ApiKeyAuthentication, HasRight
from formhub.core.problem import Problem

READS = ("GET", "HEAD")
RETRY_SECONDS = 2
_DOES = {Right.VIEW: "read", Right.EDIT: "manage"}


class OrjsonRenderer(BaseRenderer):
    """JSON that takes pieces which are JSON already (orjson.Fragment)."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=str)


class ReadingView(APIView):
    """For an API key with the right to read, or a member who is signed in. It is about reads, and erasing.

    So a view may add these to an address whose other methods have rules of their own.
    """

    authentication_classes = (ApiKeyAuthentication, SessionAuthentication)
    permission_classes = (HasRight,)
    throttle_classes = (ManageThrottle,)
    renderer_classes = (OrjsonRenderer,)

    @property
    def right(self) -> Right:
        """What the caller's key must allow."""
        return Right.EDIT if self.request.method == "DELETE" else Right.VIEW

    def readable(self, request: Request, name: str) -> PublishedForm:
        """Raises Problem 404, for a form of others as for none."""
        form = readable_form(access.actor(request), name)
        if form is None:
            raise Problem(404, "not_found", "There is no published form at this address, or you have no right to it.")
        return form

    def permission_denied(self, request: Request, message: str | None = None, code: str | None = None) -> NoReturn:
        if access.actor(request).key is None:
            raise NotAuthenticated(f"Send an API key with the right to {_DOES[self.right]}, or sign in.")
        does = _DOES[self.right]
        raise Problem(403, "key_not_allowed", f"This API key has no right to {does}. Use one that has it.")

    def handle_exception(self, exc: Exception) -> Any:
        if self.request.method in (*READS, "DELETE") and isinstance(exc, OperationalError | InterfaceError):
            exc = Problem(
                503,
                "not_available",
                "The archive does not answer just now. Ask again in a moment.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        finished = super().finalize_response(request, response, *args, **kwargs)
        if request.method in (*READS, "DELETE"):
            finished["Cache-Control"] = "no-store"  # answers are personal data
            for name, value in getattr(self, "rate", {}).items():
                finished[name] = value
        return finished
