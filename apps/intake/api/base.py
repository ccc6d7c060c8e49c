"""What every address that takes submissions shares: open to other sites, without cookies, problems for errors."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.forms.published import PublishedForm
from apps.intake.api import cors
from apps.intake.attempt import Caller, as_problem, find_form, grant_of
from apps.orgs.keys import KeyGrant
from formhub.core import problem
from formhub.core.lanes import drive
from formhub.core.metrics import REFUSED
from formhub.core.problem import Problem

SUBMIT = "submit"
# On the short way nobody else sets them; the answer is for programs, and never a page.
_FOR_NO_PAGE = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Frame-Options": "DENY"}
_BEARER: dict[str, str] = {"WWW-Authenticate": "Bearer"}


class PublicView(APIView):
    """Public and without cookies. Views that add methods keep theirs: what is special here is for POST and OPTIONS.

    A submission brings its own key, limits and formats, so a POST passes none of what DRF does for the others; it goes
    the short way (formhub.core.lanes) where the server has one.
    """

    short = True
    inline_bytes = 0
    origins: Sequence[str] = ()

    async def take(self, request: HttpRequest, form: str) -> HttpResponse:
        """What a POST does. Raises Problem and what `as_problem` knows."""
        raise NotImplementedError

    async def answer(self, request: HttpRequest, form: str) -> HttpResponse:
        try:
            response = await self.take(request, form)
        except Exception as error:
            found = as_problem(error) or problem.from_exception(error)
            REFUSED.labels(found.code if found else "server_error").inc()
            if found is None:
                raise
            response = problem.response(found, request)
        cors.open_to(request, response, self.origins)
        for name, value in _FOR_NO_PAGE.items():
            response[name] = value
        return response

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self.post(request, **kwargs) if request.method == "POST" else super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest, form: str) -> HttpResponse:
        return drive(self.answer(request, form))

    async def find(self, name: str) -> PublishedForm:
        """The form whose sites may read the answer. Raises Problem 404, 503."""
        found = await find_form(name)
        self.origins = found.allowed_origins
        return found

    def options(self, request: Request, form: str) -> HttpResponse:  # type: ignore[override]
        drive(self.find(form))
        response = HttpResponse(status=204)
        cors.preflight(response)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "OPTIONS" and hasattr(self, str(request.method).lower()):
            super().initial(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Any:
        if self.request.method != "OPTIONS":
            return super().handle_exception(exc)
        found = as_problem(exc) or problem.from_exception(exc)
        if found is None:
            raise exc
        return problem.response(found, self.request._request)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        finished = super().finalize_response(request, response, *args, **kwargs)
        if request.method == "OPTIONS":
            cors.open_to(request, finished, self.origins)
        return finished


async def caller_of(request: HttpRequest, form: PublishedForm) -> Caller:
    """Raises Problem 401, 403, 404, 503."""
    return Caller.of(request, await _grant(request, form))


async def _grant(request: HttpRequest, form: PublishedForm) -> KeyGrant | None:
    """The API key's rights, None for a caller without one."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        if form.key_required:
            raise Problem(401, "key_required", "This form takes submissions with an API key only.", headers=_BEARER)
        return None
    grant = await grant_of(token.strip())
    if grant is None:
        raise Problem(401, "invalid_key", "This API key is not known, was revoked, or has expired.", headers=_BEARER)
    if grant.organization != form.organization:
        raise Problem(404, "not_found", "There is no published form at this address.")
    if not grant.allows(SUBMIT) or grant.form not in (None, form.id):
        raise Problem(403, "key_not_allowed", "This API key may not submit to this form.")
    return grant
