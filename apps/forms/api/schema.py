"""What a form asks, for programs: public, like the form itself."""

from typing import Any

from django.http import HttpRequest
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.forms import published, schema
from apps.forms.published import PublishedForm
from apps.orgs.api.openapi import WORDS, problem_responses
from formhub.core.problem import Problem

CORS = {"Access-Control-Allow-Origin": "*"}
MAX_AGE_SECONDS = 10
PREFLIGHT_SECONDS = 86_400

EXAMPLE = {
    "id": "k7m2qhx4w9tc",
    "title": "Student data",
    "version": 3,
    "published_at": "2026-01-31T12:00:00Z",
    "definition": {"format": "formhub/1", "title": "Student data", "languages": ["en"], "pages": []},
    "schema": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 200}}, "required": ["name"]},
    "example": {"name": "Sample text"},
}


class SchemaView(APIView):
    """The published definition and the JSON Schema (2020-12) of its answers."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(
        operation_id="form_schema",
        summary="What a form asks",
        description=(
            "The published definition, a JSON Schema (2020-12) of the answers as they are kept, and an example. "
            "Answers may be sent more loosely than the schema says: numbers as strings, phone numbers as people "
            "write them, dates and choices as strings. Keys of questions inside groups are top-level keys too."
        ),
        responses={
            200: OpenApiResponse(dict, examples=[OpenApiExample("Student data", EXAMPLE)]),
            **problem_responses((404, 500, 503), WORDS | {404: "No published form has this name."}),
        },
    )
    def get(self, request: Request, form: str) -> Response:
        found = published.by_name(form)
        if found is None:
            raise Problem(404, "not_found", "There is no published form at this address.", headers=CORS)
        headers = {**CORS, "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"}
        return Response(_body(found), headers=headers)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """The browser's question before a request from another site."""
        allowed = {"Access-Control-Allow-Methods": "GET, HEAD, OPTIONS", "Access-Control-Allow-Headers": "*"}
        return Response(status=204, headers={**CORS, **allowed, "Access-Control-Max-Age": str(PREFLIGHT_SECONDS)})


def _body(form: PublishedForm) -> dict[str, Any]:
    return {
        "id": form.public_id,
        "title": form.title,
        "version": form.version,
        "published_at": form.published_at,
        "definition": form.definition,
        "schema": form.compiled.schema,
        "example": schema.sample(list(form.compiled.fields.values()), form.region),
    }
