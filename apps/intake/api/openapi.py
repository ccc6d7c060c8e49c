"""The words and examples of submitting, one and many, in the OpenAPI document."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

View = TypeVar("View", bound=Callable[..., Any])

ANSWERS = {"type": "object", "additionalProperties": True, "description": "Answers by the keys of the form's fields."}
ACCEPTED: dict[str, Any] = {
    "type": "object",
    "required": ["id", "form", "version", "accepted_at", "status_url"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "form": {"type": "string", "description": "The form's public id."},
        "version": {"type": "integer", "description": "The form's version that checked the answers."},
        "accepted_at": {"type": "string", "format": "date-time"},
        "status_url": {"type": "string", "format": "uri"},
    },
}
FIELD_ERROR = {
    "type": "object",
    "required": ["field", "code", "message", "params"],
    "properties": {
        "field": {"type": "string", "description": "A path such as siblings[1].age."},
        "code": {"type": "string"},
        "message": {"type": "string"},
        "params": {"type": "object", "additionalProperties": True},
    },
}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "A stable name for programs."},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": FIELD_ERROR},
    },
}
_REFUSALS = {
    400: "The body cannot be read; `line`, `column` and `byte` say where.",
    401: "The form needs an API key, or the one sent is not valid.",
    403: "The API key has no right to submit to this form.",
    404: "There is no such form.",
    409: "The first try with this idempotency key still runs.",
    410: "The form is closed; `detail` is its owner's text.",
    413: "The body is larger than is taken.",
    415: "The body is in a format that is not taken.",
    422: "Answers need a change, each named in `errors`; or the idempotency key was used with other answers.",
    429: "A limit is reached; see Retry-After.",
    503: "The submission could not be stored; see Retry-After.",
}
_SENT = {"name": "Ada Lovelace", "cgpa": 9.1, "topics": ["maths", "engines"], "_meta": {"source": "website"}}
_ANSWERED = {
    "id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "form": "k7m2qhx4w9tc",
    "version": 3,
    "accepted_at": "2026-11-03T09:14:07.512345Z",
    "status_url": "https://forms.example.org/r/AZChssPUfl-KmwwdLj9KWw.w7Xb2k/",
}
_ANSWERED_IN_BATCH = {"status": 202, **_ANSWERED}
_WRONG = {
    "type": "about:blank",
    "title": "Some answers need a change",
    "status": 422,
    "detail": "Some answers need a change.",
    "code": "answers_refused",
    "errors": [
        {
            "field": "siblings[1].age",
            "code": "max_value",
            "message": "The age must be 120 or less.",
            "params": {"limit": 120},
        }
    ],
}


_FORM = OpenApiParameter("form", OpenApiTypes.STR, OpenApiParameter.PATH, description="Public id or organization~slug.")
# What a batch as a whole may be refused for; all else is an answer to one submission.
_BATCH_REFUSALS = {
    **{status: _REFUSALS[status] for status in (400, 401, 403, 404, 415, 429, 503)},
    413: "The batch has more bytes or submissions than are taken.",
    422: "An Idempotency-Key header was sent: each submission of a batch has its own `_key`.",
}
_ONE_OF_A_BATCH = {
    "oneOf": [
        {
            **ACCEPTED,
            "required": ["status", *ACCEPTED["required"]],
            "properties": {"status": {"const": 202}, **ACCEPTED["properties"]},
        },
        {
            **PROBLEM,
            "properties": {
                **PROBLEM["properties"],
                "status": {"type": "integer", "minimum": 400},
                "retry_after": {"type": "integer", "description": "Seconds, as in a Retry-After header."},
            },
        },
    ]
}


def document_submit(view: View) -> View:
    decorate: Callable[[View], View] = extend_schema(
        operation_id="submit",
        summary="Submit answers",
        description=(
            "Answers 202 when the submission is on durable storage. Browsers that post an HTML form are sent on by "
            "303 instead. Keys that begin with an underscore are reserved: `_version`, `_locale`, `_meta`, `_next`, "
            "`_key`."
        ),
        parameters=[
            _FORM,
            OpenApiParameter(
                "Idempotency-Key",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="1 to 255 visible ASCII characters. For 48 hours a repetition with the same answers is "
                "answered the same and stored once.",
            ),
        ],
        request={
            "application/json": ANSWERS,
            "application/x-www-form-urlencoded": ANSWERS,
            "multipart/form-data": ANSWERS,
        },
        responses={
            (202, "application/json"): OpenApiResponse(ACCEPTED, "Stored; it will be delivered."),
            303: OpenApiResponse(description="Stored; the browser is sent on."),
            **_problems(_REFUSALS),
        },
        examples=[
            OpenApiExample("Answers", _SENT, request_only=True, media_type="application/json"),
            OpenApiExample("Accepted", _ANSWERED, response_only=True, status_codes=["202"]),
            OpenApiExample(
                "Answers refused",
                _WRONG,
                response_only=True,
                status_codes=["422"],
                media_type="application/problem+json",
            ),
        ],
    )
    return decorate(view)


def document_batch(view: View) -> View:
    lines = f"{_line(_SENT | {'_key': 'k-1'})}{_line({'name': 'Bob', '_key': 'k-2'})}"
    answered = f"{_line(_ANSWERED_IN_BATCH)}{_line(_WRONG)}"
    decorate: Callable[[View], View] = extend_schema(
        operation_id="submit_batch",
        summary="Submit many answers",
        description=(
            "Up to 1,000 submissions or 5 MiB, as NDJSON (one object a line; blank lines are passed over) or as a JSON "
            "array. Each is taken or refused by itself and counts against the limits by itself. The answer comes in "
            "the same encoding with one entry for each submission, in order: the body of its 202, or its problem, both "
            "with `status`. `_key` is a submission's idempotency key; the same key twice is one submission."
        ),
        parameters=[_FORM],
        request={
            "application/x-ndjson": {"type": "string", "description": "One object of answers a line."},
            "application/json": {"type": "array", "items": ANSWERS, "minItems": 1, "maxItems": 1000},
        },
        responses={
            (200, "application/x-ndjson"): OpenApiResponse({"type": "string"}, "An answer for each submission."),
            (200, "application/json"): OpenApiResponse({"type": "array", "items": _ONE_OF_A_BATCH}),
            **_problems(_BATCH_REFUSALS),
        },
        examples=[
            OpenApiExample("NDJSON", lines, request_only=True, media_type="application/x-ndjson"),
            OpenApiExample("Array", [_SENT], request_only=True, media_type="application/json"),
            OpenApiExample(
                "Answers to NDJSON",
                answered,
                response_only=True,
                status_codes=["200"],
                media_type="application/x-ndjson",
            ),
            OpenApiExample(
                "Answers to an array",
                [_ANSWERED_IN_BATCH],
                response_only=True,
                status_codes=["200"],
                media_type="application/json",
            ),
        ],
    )
    return decorate(view)


def _problems(refusals: dict[int, str]) -> dict[tuple[int, str], OpenApiResponse]:
    return {
        (status, "application/problem+json"): OpenApiResponse(PROBLEM, text)
        for status, text in sorted(refusals.items())
    }


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value) + "\n"
