"""The words and examples of reading submissions in the OpenAPI document."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from apps.intake.api.openapi import PROBLEM

View = TypeVar("View", bound=Callable[..., Any])
ViewClass = TypeVar("ViewClass", bound=type[Any])

SUBMISSION = {
    "id": {"type": "string", "format": "uuid"},
    "form": {"type": "string", "description": "The form's public id."},
    "version": {"type": "integer", "description": "The form's version that checked the answers."},
    "accepted_at": {"type": "string", "format": "date-time"},
    "archived_at": {"type": "string", "format": "date-time"},
    "position": {
        "type": "integer",
        "description": "Its place in the order of the form: grows from one submission to the next, with gaps.",
    },
    "late": {"type": "boolean", "description": "The log was away when it was accepted: it stands where it was taken."},
    "answers": {"type": "object", "additionalProperties": True, "description": "Answers by the keys of the fields."},
    "meta": {"type": "object", "additionalProperties": True, "description": "Source, referrer, locale, own labels."},
}
ACTION = {
    "type": "object",
    "required": ["id", "name", "kind", "state", "at", "code", "why"],
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "kind": {"type": "string", "description": "The kind of action, such as google_sheets."},
        "state": {"type": "string", "enum": ["waiting", "delivered", "failed", "not_applicable"]},
        "at": {"type": ["string", "null"], "format": "date-time", "description": "When it was delivered, or failed."},
        "code": {"type": "string", "description": "A stable name of the trouble; empty if there is none."},
        "why": {"type": "string", "description": "The trouble in words; empty if there is none."},
    },
}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


RESULT = _object(
    {
        "stream": {"type": "string", "description": "The processor that noted it, such as content_analysis."},
        "archived_at": {"type": "string", "format": "date-time"},
        "result": {"type": "object", "additionalProperties": True, "description": "As the processor documents it."},
    }
)
ONE = _object(
    {
        **SUBMISSION,
        "actions": {"type": "array", "items": ACTION},
        "results": {"type": "array", "items": RESULT, "description": "What processors noted of it so far."},
    }
)
ON_ITS_WAY = _object({name: SUBMISSION[name] for name in ("id", "form", "version", "accepted_at", "late")})
LIST = _object(
    {
        "next": {"type": ["string", "null"], "format": "uri", "description": "The page after this one."},
        "previous": {"type": ["string", "null"], "format": "uri", "description": "The page before this one."},
        "results": {"type": "array", "items": _object(SUBMISSION)},
    }
)
_STUDENT = {
    "id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "form": "k7m2qhx4w9tc",
    "version": 3,
    "accepted_at": "2026-11-03T09:14:07.512345Z",
    "archived_at": "2026-11-03T09:14:07.634210Z",
    "position": 41207,
    "late": False,
    "answers": {"name": "Ada Lovelace", "cgpa": 9.1, "topics": ["maths", "engines"]},
    "meta": {"source": "website"},
}
_DELIVERED = {
    "id": 12,
    "name": "Google Sheet",
    "kind": "google_sheets",
    "state": "delivered",
    "at": "2026-11-03T09:14:17.020113Z",
    "code": "",
    "why": "",
}
_ANALYSED = {
    "stream": "content_analysis",
    "archived_at": "2026-11-03T09:14:07.801220Z",
    "result": {"flagged": False, "score": 0.0, "spans": {}, "languages": ["english"], "truncated": False},
}
_NEXT = "https://forms.example.org/api/v1/forms/k7m2qhx4w9tc/submissions?order=newest&limit=100&cursor=AZChssPU.w7Xb2k"
_REFUSALS = {
    401: "An API key or a session is needed, or the key is not valid.",
    403: "The API key has no right to read.",
    404: "There is no such form, or it is not yours.",
    429: "The limit of requests is reached; see Retry-After.",
    503: "The archive cannot be read just now; see Retry-After.",
}
_UNKNOWN_ID = {
    404: "There is no such form, it is not yours, or the archive has no such submission. One that was accepted a "
    "moment ago may not have been archived yet."
}
_PARAMETERS = {400: "A parameter is unknown or wrong; each is named in `errors`."}
_FORM = OpenApiParameter("form", OpenApiTypes.STR, OpenApiParameter.PATH, description="Public id or organization~slug.")


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "apps.orgs.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API key: `fh_live_...`."}


def document_list(view: View) -> View:
    decorate: Callable[[View], View] = extend_schema(
        operation_id="list_submissions",
        summary="List submissions",
        description=(
            "What was archived of a form, newest first or in the order in which it was taken. Follow `next` and "
            "`previous` as they are: their pages neither shift nor repeat while new submissions come in. To go on "
            "later in the order of the log, ask for the last page again: it holds what has come since, too. A page "
            "of very large submissions may be shorter than `limit`."
        ),
        parameters=[
            _FORM,
            OpenApiParameter(
                "order",
                OpenApiTypes.STR,
                enum=["newest", "log"],
                default="newest",
                description="The order of the list.",
            ),
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
                description="How many submissions a page holds at most.",
            ),
            OpenApiParameter("cursor", OpenApiTypes.STR, description="Stands in `next` and `previous`."),
        ],
        responses=_responses(LIST, "A page of the list.", _PARAMETERS),
        examples=[_example("A page", {"next": _NEXT, "previous": None, "results": [_STUDENT]})],
    )
    return decorate(view)


def document_one(view: View) -> View:
    decorate: Callable[[View], View] = extend_schema(
        operation_id="read_submission",
        summary="Read a submission",
        description=(
            "Its answers, and where it stands at each action of its form: `waiting`, `delivered`, `failed`, or "
            "`not_applicable` where the action's condition does not hold or it was off or not made yet. One that was "
            "accepted while the log was away is answered with 202 and without its answers until it is archived."
        ),
        parameters=[_FORM],
        responses=_responses(ONE, "The submission.", _PARAMETERS | _UNKNOWN_ID)
        | {(202, "application/json"): OpenApiResponse(ON_ITS_WAY, "Accepted, and on its way; see Retry-After.")},
        examples=[_example("A delivered submission", _STUDENT | {"actions": [_DELIVERED], "results": [_ANALYSED]})],
    )
    return decorate(view)


def document_erase(view: View) -> View:
    refused = {403: "The API key has no right to manage, or your role does not allow it."}
    refusals = _REFUSALS | _UNKNOWN_ID | _PARAMETERS | refused
    decorate: Callable[[View], View] = extend_schema(
        operation_id="erase_submission",
        summary="Erase a submission",
        description=(
            "For good: its answers leave the archive, the failed submissions and whatever waits to be delivered, and "
            "no replay and no restored backup brings them back. That it was there and where it was delivered stays "
            "known by its id alone. **What was delivered is not reached**: a row in a Google Sheet, a mail or a "
            "webhook's copy is yours to delete. The log forgets within its retention, by default seven days. Erasing "
            "again is answered in the same way."
        ),
        parameters=[_FORM],
        responses={204: OpenApiResponse(description="It is erased."), **_problems(refusals)},
    )
    return decorate(view)


def document_submit_without_rights(view: ViewClass) -> ViewClass:
    """Submitting needs no right, unless the form asks for a key, though reading at the same address does."""
    security: list[Any] = [{}, {"apiKey": []}]
    decorate: Callable[[ViewClass], ViewClass] = extend_schema_view(post=extend_schema(auth=security))
    return decorate(view)


def _responses(schema: dict[str, Any], text: str, more: dict[int, str]) -> dict[Any, Any]:
    return {(200, "application/json"): OpenApiResponse(schema, text), **_problems(_REFUSALS | more)}


def _problems(refusals: dict[int, str]) -> dict[Any, Any]:
    return {
        (status, "application/problem+json"): OpenApiResponse(PROBLEM, words)
        for status, words in sorted(refusals.items())
    }


def _example(name: str, value: dict[str, Any]) -> OpenApiExample:
    return OpenApiExample(name, value, response_only=True, status_codes=["200"])
