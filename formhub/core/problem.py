"""Errors over HTTP: application/problem+json (RFC 9457), on every route.

Members beyond the standard's: `code`, a stable machine name; `request_id`; `errors` for refused answers, a list of
{"field", "code", "message", "params"}.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

CONTENT_TYPE = "application/problem+json"
logger = logging.getLogger(__name__)

TITLES = {
    400: "The request could not be read",
    401: "A key is required",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "The body came too slowly",
    409: "Conflict",
    410: "Gone",
    413: "Too large",
    415: "Unsupported media type",
    422: "Some answers need a change",
    429: "Too many requests",
    500: "Something went wrong here",
    503: "Not available right now",
}


VALUES_REFUSED = "Some values need a change"  # the title of a 422 that is not about answers


class Problem(Exception):  # noqa: N818 - the standard's own name for it
    """An answer that is an error. Raise it anywhere below a view; `headers` go out with it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.members = members


def body(problem: Problem, request_id: str = "") -> dict[str, Any]:
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        **problem.members,
    }
    if request_id:
        content["request_id"] = request_id
    if problem.errors:
        content["errors"] = [dict(error) for error in problem.errors]
    return content


def response(problem: Problem, request: HttpRequest | None = None) -> HttpResponse:
    """The problem as a plain Django response, for code outside of DRF's views."""
    request_id = getattr(request, "request_id", "")
    return HttpResponse(
        orjson.dumps(body(problem, request_id)),
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. None for what is a defect: the 500 page and the log are Django's."""
    problem = from_exception(error)
    if problem is None:
        return None
    request = context.get("request")
    answer = Response(
        body(problem, getattr(request, "request_id", "")),
        status=problem.status,
        content_type=CONTENT_TYPE,
    )
    for name, value in problem.headers.items():
        answer[name] = value
    return answer


def from_exception(error: Exception) -> Problem | None:
    if isinstance(error, Problem):
        return error
    if isinstance(error, Http404):
        return Problem(404, "not_found", "There is nothing at this address, or you have no right to see it.")
    if isinstance(error, PermissionDenied):
        return Problem(403, "permission_denied", "You have no right to do this.")
    if isinstance(error, exceptions.ValidationError):
        errors = list(_fields(error.detail))
        return Problem(422, "invalid", "Some values need a change.", errors=errors, title=VALUES_REFUSED)
    if isinstance(error, exceptions.APIException):
        return _from_drf(error)
    return None


def _from_drf(error: exceptions.APIException) -> Problem:
    headers: dict[str, str] = {}
    if authenticate := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = str(authenticate)
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = f"{max(1, round(wait))}"
    code = error.default_code
    codes = error.get_codes()
    if isinstance(codes, str):
        code = codes
    return Problem(error.status_code, code, str(error.detail), headers=headers)


def _fields(detail: Any, path: str = "") -> list[dict[str, Any]]:
    """DRF's nested error detail as a flat list with paths such as `siblings[1].age`."""
    if isinstance(detail, Mapping):
        return [
            found
            for key, value in detail.items()
            for found in _fields(value, f"{path}[{key}]" if isinstance(key, int) else _join(path, key))
        ]
    if isinstance(detail, list):
        found: list[dict[str, Any]] = []
        for index, value in enumerate(detail):
            nested = isinstance(value, Mapping | list)
            found += _fields(value, f"{path}[{index}]" if nested else path)
        return found
    return [{"field": path, "code": getattr(detail, "code", "invalid"), "message": str(detail), "params": {}}]


def _join(path: str, key: str) -> str:
    key = "" if key == "non_field_errors" else key
    return f"{path}.{key}" if path and key else path or key
