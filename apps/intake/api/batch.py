"""POST /api/v1/forms/{form}/submissions/batch: many submissions in one request, an answer for each."""

from collections.abc import Callable
from functools import partial

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema_view

from apps.forms.published import PublishedForm
from apps.intake import batch, process, throttle
from apps.intake.api.base import PublicView, caller_of
from apps.intake.api.openapi import document_batch
from apps.intake.attempt import Caller
from apps.intake.parsing import reserved
from apps.intake.parsing.batch import Batch, Piece, read_batch
from apps.intake.parsing.body import NDJSON
from apps.intake.parsing.reserved import Payload
from formhub.core.problem import Problem


@extend_schema_view(post=document_batch)
class BatchView(PublicView):
    """Each submission is taken or refused by itself. Only what cannot be told apart is refused as a whole."""

    async def take(self, request: HttpRequest, form: str) -> HttpResponse:
        found = await self.find(form)
        caller = await caller_of(request, found)
        sent = await _read(request, found, caller)
        answers, entry = batch.submit(found, caller, [_reader(piece) for piece in sent.pieces])
        response = _respond(sent.kind, answers)
        for name, value in throttle.headers(entry).items():
            response[name] = value
        return response


async def _read(request: HttpRequest, form: PublishedForm, caller: Caller) -> Batch:
    """Raises Problem 400, 413, 415, 422, and 429."""
    try:
        if "HTTP_IDEMPOTENCY_KEY" in request.META:
            raise _one_key_for_many()
        return read_batch(request, settings.INTAKE_BATCH_BYTES_MAX, settings.INTAKE_BATCH_ITEMS_MAX)
    except Problem:
        # A body that nobody can use counts as one submission, or it were a way around the limits.
        throttle.check(await process.gate().ask(throttle.limits_of(form, caller.grant, caller.address), None))
        raise


def _reader(piece: Piece) -> Callable[[], Payload]:
    return partial(_payload, piece)


def _payload(piece: Piece) -> Payload:
    return reserved.split(piece.content(settings.INTAKE_BODY_BYTES_MAX))


def _respond(kind: str, answers: list[batch.Answer]) -> HttpResponse:
    if kind == NDJSON:
        body = b"".join(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE) for answer in answers)
    else:
        body = orjson.dumps(answers)
    return HttpResponse(body, content_type=kind)


def _one_key_for_many() -> Problem:
    error = {
        "field": "Idempotency-Key",
        "code": "invalid",
        "message": "Give each submission of a batch its own key as _key.",
        "params": {},
    }
    return Problem(422, "invalid", "A batch takes no idempotency key of its own.", errors=[error])
