"""POST /api/v1/forms/{form}/submissions: answers in, 202 once the log has them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema_view

from apps.intake import endings, throttle
from apps.intake.api import cors
from apps.intake.api.base import PublicView, caller_of
from apps.intake.api.openapi import document_submit
from apps.intake.attempt import Attempt, receipt_of
from apps.intake.parsing import reserved
from apps.intake.parsing.body import read_content
from apps.intake.parsing.reserved import Payload
from formhub.core.lanes import INLINE_BYTES


@extend_schema_view(post=document_submit)
class SubmitView(PublicView):
    inline_bytes = INLINE_BYTES

    async def take(self, request: HttpRequest, form: str) -> HttpResponse:
        found = await self.find(form)
        attempt = Attempt(found, await caller_of(request, found))
        await attempt.enter(lambda: _read(request))
        replayed = attempt.replayed()
        response = _respond(request, attempt, replayed or await attempt.finish())
        if replayed:
            response["Idempotent-Replayed"] = "true"
        return response


def _read(request: HttpRequest) -> Payload:
    """Raises Problem 400, 413, 415, 422."""
    payload = reserved.split(read_content(request, settings.INTAKE_BODY_BYTES_MAX))
    key = reserved.idempotency_key(request.META.get("HTTP_IDEMPOTENCY_KEY"), payload)
    return payload if key == payload.key else dataclasses.replace(payload, key=key)


def _respond(request: HttpRequest, attempt: Attempt, answer: Mapping[str, Any]) -> HttpResponse:
    if attempt.payload.from_form and "text/html" in request.META.get("HTTP_ACCEPT", ""):
        response = HttpResponse(status=303)
        response["Location"] = _next_page(attempt, answer)
    else:
        # Named, or Django would look for it in the content type with every use.
        response = HttpResponse(orjson.dumps(answer), status=202, content_type="application/json", charset="utf-8")
        response["Location"] = answer["status_url"]
    for name, value in throttle.headers(attempt.entry).items():
        response[name] = value
    return response


def _next_page(attempt: Attempt, answer: Mapping[str, Any]) -> str:
    """Where a browser goes on. Only to a listed origin: anybody can write a form that posts here."""
    form, payload = attempt.form, attempt.payload
    if payload.next and cors.listed(payload.next, form.allowed_origins):
        return payload.next
    language = {"lang": payload.locale} if payload.locale else {}
    return attempt.caller.base + endings.address(form, form.public_id, receipt_of(form, answer), **language)
