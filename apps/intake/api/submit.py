"""POST /api/v1/forms/{form}/submissions: answers in, 202 once the log has them."""

from collections.abc import Sequence
from typing import Any

from django.db import Error
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.intake.api import cors
from apps.intake.api.attempt import Attempt, find_form
from apps.intake.api.openapi import document_submit
from apps.intake.ticket import RETRY_SECONDS, NotCommittedError
from formhub.core import problem
from formhub.core.metrics import ACCEPTED, REFUSED
from formhub.core.problem import Problem

SPECIAL = ("POST", "OPTIONS")
_ACCEPTED = ACCEPTED.labels("kafka")


class SubmitView(APIView):
    """Public and without cookies. Views that add methods keep theirs: what is special here is for POST and OPTIONS."""

    origins: Sequence[str] = ()

    @document_submit
    def post(self, request: Request, form: str) -> HttpResponse:
        found = find_form(form)
        self.origins = found.allowed_origins
        attempt = Attempt(request._request, found)
        if replayed := attempt.enter():
            return replayed
        try:
            accepted = attempt.send().result()
        except Exception:
            attempt.withdraw()
            raise
        _ACCEPTED.inc()
        return attempt.accepted(accepted)

    def options(self, request: Request, form: str) -> HttpResponse:  # type: ignore[override]
        self.origins = find_form(form).allowed_origins
        response = HttpResponse(status=204)
        cors.preflight(response)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # A submission brings its own key, limits and formats; the general checks are for the other methods.
        if request.method not in SPECIAL and hasattr(self, str(request.method).lower()):
            super().initial(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Any:
        if self.request.method not in SPECIAL:
            return super().handle_exception(exc)
        found = _problem(exc)
        if found is None:
            raise exc
        if self.request.method == "POST":
            REFUSED.labels(found.code).inc()
        return problem.response(found, self.request._request)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        finished = super().finalize_response(request, response, *args, **kwargs)
        if request.method in SPECIAL:
            cors.open_to(request, finished, self.origins)
        return finished


def _problem(error: Exception) -> Problem | None:
    if isinstance(error, NotCommittedError):
        return unavailable(error)
    if isinstance(error, Error):
        # Only for a form or key that this process has not seen for minutes: the others are remembered.
        detail = "The form cannot be looked up just now; nothing was kept. Send it again in a moment."
        return Problem(503, "not_looked_up", detail, headers={"Retry-After": str(RETRY_SECONDS)})
    return problem.from_exception(error)


def unavailable(error: NotCommittedError) -> Problem:
    """503 for a submission without a receipt."""
    detail = "The submission could not be stored just now. Send it again in a moment"
    # It may lie in the log after all; with its key it would get the same id again and count once.
    detail += ", with the same idempotency key if you used one." if error.ambiguous else "; nothing was kept."
    return Problem(503, "not_stored", detail, headers={"Retry-After": str(RETRY_SECONDS)})
