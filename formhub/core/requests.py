"""What every request passes through: an id, and problem+json for errors on the API."""

import logging
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from formhub.core import logs, problem

Handler = Callable[[HttpRequest], HttpResponseBase]
HEADER = "X-Request-ID"
_HEADER_IN_META = "HTTP_X_REQUEST_ID"
_SANE = re.compile(r"[A-Za-z0-9._-]{8,128}")
logger = logging.getLogger(__name__)


def request_id(request: HttpRequest) -> str:
    return str(getattr(request, "request_id", ""))


def client_address(request: HttpRequest) -> str:
    """The caller's address: the hop that the last of our TRUSTED_PROXIES saw, else the socket's peer.

    Entries further left were written by the caller and count for nothing.
    """
    peer: str = request.META.get("REMOTE_ADDR", "")
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    trusted: int = settings.TRUSTED_PROXIES
    if not trusted or len(hops) < trusted:
        return peer
    return str(hops[-trusted])


@contextmanager
def identified(request: HttpRequest) -> Iterator[None]:
    """Give the request an id, or take over the caller's if it is sane, and mark the log lines within."""
    sent = request.META.get(_HEADER_IN_META, "")
    request.request_id = sent if _SANE.fullmatch(sent) else _new_id()  # type: ignore[attr-defined]
    with logs.context(request_id=request_id(request)):
        yield


def _new_id() -> str:
    """To find a request's lines by; it opens nothing, so a quick generator will do."""
    return f"{random.getrandbits(128):032x}"


class RequestIdMiddleware:
    """Gives each request an id and answers with it."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with identified(request):
            response = self.get_response(request)
        return self.process_response(request, response)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response[HEADER] = request_id(request)
        return response


class ProblemMiddleware:
    """Under /api/ an error is never an HTML page, whoever answered it (URL resolving, a middleware, a defect)."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return fitting(request, self.get_response(request))


def fitting(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The response, or on the API a problem of its status in its place where it is an error of another form."""
    if not request.path.startswith("/api/") or response.status_code < 400:
        return response
    if response.get("Content-Type", "").startswith(problem.CONTENT_TYPE):
        return response
    replacement = problem.response(_of_status(response.status_code), request)
    for name in ("Allow", "Retry-After", "WWW-Authenticate"):
        if name in response:
            replacement[name] = response[name]
    return replacement


def _of_status(status: int) -> problem.Problem:
    code, detail = {
        400: ("bad_request", "The request could not be read."),
        403: ("permission_denied", "You have no right to do this."),
        404: ("not_found", "There is nothing at this address, or you have no right to see it."),
        405: ("method_not_allowed", "This address does not take this method; see the Allow header."),
        500: (
            "server_error",
            "The error is ours and has been logged. Try again; name the request id if it stays.",
        ),
    }.get(status, ("error", "The request was not done."))
    return problem.Problem(status, code, detail)
