"""The OpenAPI document of everything under /api/v1, and the page to read it."""

import hashlib
from functools import lru_cache
from typing import Any

import orjson
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.http import condition, require_safe
from drf_spectacular.generators import SchemaGenerator

from apps.intake.api.openapi import PROBLEM

MAX_AGE_SECONDS = 300
# The reader's styles are made while it runs, and its search works in a worker of its own; nothing else may.
POLICY = {"style-src": ["'self'", "'unsafe-inline'"], "worker-src": ["'self'", "blob:"]}


@lru_cache(maxsize=1)
def document() -> bytes:
    """Made once in a process: it changes with the code alone."""
    generator: Any = SchemaGenerator
    with translation.override("en"):
        return orjson.dumps(generator().get_schema(request=None, public=True), default=str)


def _etag(request: HttpRequest) -> str:
    return f'"{hashlib.sha256(document()).hexdigest()[:32]}"'


@require_safe
@condition(etag_func=_etag)
def openapi(request: HttpRequest) -> HttpResponse:
    """Public, like the code it describes."""
    response = HttpResponse(document(), content_type="application/json")
    response["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    response["Access-Control-Allow-Origin"] = "*"
    return response


@require_safe
@csp_update(POLICY)
def docs(request: HttpRequest) -> HttpResponse:
    return render(request, "console/api_docs.html")


def tidy(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Every error refers to the one component that describes them all, and what has no chapter yet is about
    submissions (a spectacular hook).
    """
    for item in result["paths"].values():
        for operation in item.values():
            operation["tags"] = ["Submissions"] if operation.get("tags") == ["forms"] else operation.get("tags", [])
    return {**result, "paths": _named(result["paths"])}


def _named(value: Any) -> Any:
    if value == PROBLEM:
        return {"$ref": "#/components/schemas/Problem"}
    if isinstance(value, dict):
        return {name: _named(child) for name, child in value.items()}
    return [_named(child) for child in value] if isinstance(value, list) else value
