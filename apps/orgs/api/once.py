"""`Idempotency-Key`: the same caller, address, key and body are the same request, answered the same and done once.

The record of an answer is written in the transaction that did the work, so neither is ever there without the other.
A repetition that comes while the first try runs waits for it at the record's unique key, for a bounded time. A
refused try leaves no record: the corrected body may use the same key.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

import orjson
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs import access
from apps.orgs.models import AnsweredRequest
from formhub.core.ids import canonical
from formhub.core.problem import Problem

HEADER = "Idempotency-Key"
LOCK_SECONDS = 5
SWEPT_AT_A_TIME = 100
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
Method = Callable[..., Response]


def changing(method: Method) -> Method:
    """One transaction, which waits a bounded time for others."""

    @wraps(method)
    def change(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        with transaction.atomic():
            _bound_waiting()
            return method(view, request, *args, **kwargs)

    return change


def creating(method: Method) -> Method:
    """One transaction, and at most once under an Idempotency-Key.

    What `view.shown_once` names in the answer is never kept: a repetition is told that it was done.
    """

    @wraps(method)
    def create(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        with transaction.atomic():
            _bound_waiting()
            if key is None:
                return method(view, request, *args, **kwargs)
            if not _KEY.fullmatch(key):
                raise Problem(400, "bad_idempotency_key", f"{HEADER} takes 1 to 255 visible ASCII characters.")
            record, new = _claim(request, key)
            if not new:
                return _again(record, view)
            response = method(view, request, *args, **kwargs)
            _keep(record, response, view)
            return response

    return create


def _bound_waiting() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_SECONDS}s"])


def _claim(request: Request, key: str) -> tuple[AnsweredRequest, bool]:
    """The record under the key, and whether it is ours. Raises Problem 409 and 422."""
    oldest = timezone.now() - timedelta(hours=settings.IDEMPOTENCY_HOURS)
    stale = AnsweredRequest.objects.filter(created_at__lt=oldest).order_by("created_at")
    AnsweredRequest.objects.filter(pk__in=list(stale.values_list("pk", flat=True)[:SWEPT_AT_A_TIME])).delete()
    digest = hashlib.sha256("\n".join([_caller(request), str(request.method), request.path, key]).encode())
    fingerprint = hashlib.sha256(canonical(_sent(request))).hexdigest()
    AnsweredRequest.objects.filter(digest=digest.hexdigest(), created_at__lt=oldest).delete()
    try:
        record, new = AnsweredRequest.objects.get_or_create(
            digest=digest.hexdigest(), defaults={"fingerprint": fingerprint}
        )
    except OperationalError:
        detail = "The first try with this idempotency key is still running; ask again for its answer."
        raise Problem(409, "still_running", detail, headers={"Retry-After": "1"}) from None
    if record.fingerprint != fingerprint:
        detail = "This idempotency key was used with another body; take a new key."
        raise Problem(422, "idempotency_key_reused", detail)
    return record, new


def _again(record: AnsweredRequest, view: Any) -> Response:
    if view.shown_once:
        names = " and ".join(view.shown_once)
        detail = f"This was done under the same idempotency key. Its {names} was shown then and is not kept."
        raise Problem(409, "shown_once", detail, id=(record.answer or {}).get("id"))
    headers = {"Idempotent-Replayed": "true"}
    if record.location:
        headers["Location"] = record.location
    return Response(record.answer, status=record.status, headers=headers)


def _keep(record: AnsweredRequest, response: Response, view: Any) -> None:
    answer = orjson.loads(view.encode(response.data))
    record.answer = {name: value for name, value in answer.items() if name not in view.shown_once}
    record.status, record.location = response.status_code, response.headers.get("Location", "")
    record.save(update_fields=["answer", "status", "location"])


def _sent(request: Request) -> dict[str, Any]:
    sent: Any = request.data
    return dict(sent)


def _caller(request: Request) -> str:
    who = access.actor(request)
    return f"key:{who.key.id}" if who.key else f"person:{who.user.pk if who.user else ''}"
