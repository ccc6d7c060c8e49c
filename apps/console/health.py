"""Probes and metrics. `/livez`: this process answers. `/readyz`: it could accept a submission now."""

import hmac
import time
from threading import Lock

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.intake import process
from formhub.core import exposition
from formhub.core.stream import cluster
from formhub.core.stream.base import StreamError

FRESH_SECONDS = 2.0
# A receipt that is so recent says more than any question.
RECEIPT_SECONDS = 5.0
ASK_SECONDS = 1.0

_lock = Lock()
_seen: tuple[float, str] = (0.0, "")


@require_safe
@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """503 while no durable store could take a submission. One question to the broker serves all callers of two seconds.

    A web server that was told to stop refuses new connections, which says the same.
    """
    trouble = trouble_of_log()
    return JsonResponse({"ready": not trouble, "log": trouble or "takes writes"}, status=503 if trouble else 200)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus. In production for whoever has the token; else on a port of its own only."""
    if not (settings.METRICS_TOKEN or settings.METRICS_PUBLIC):
        return HttpResponse(
            "Metrics are closed here: set METRICS_TOKEN and send it as a bearer token, or scrape METRICS_PORT.\n",
            status=403,
            content_type="text/plain",
        )
    if settings.METRICS_TOKEN and not _holds_token(request):
        headers = {"WWW-Authenticate": "Bearer"}
        return HttpResponse("Send METRICS_TOKEN as a bearer token.\n", "text/plain", 401, headers=headers)
    return HttpResponse(exposition.process.text(), content_type=exposition.CONTENT_TYPE)


def trouble_of_log() -> str:
    """Why the log takes no submission of any form, empty if it takes some."""
    global _seen
    since = process.seconds_since_receipt()
    if since is not None and since < RECEIPT_SECONDS:
        return ""
    with _lock:
        checked, trouble = _seen
        if time.monotonic() - checked > FRESH_SECONDS or not checked:
            trouble = _ask()
            _seen = (time.monotonic(), trouble)
        return trouble


def forget() -> None:
    """Ask anew at the next question."""
    global _seen
    with _lock:
        _seen = (0.0, "")


def _ask() -> str:
    try:
        found = cluster.partitions(settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, ASK_SECONDS)
    except StreamError as error:
        return "unreachable" if error.ambiguous else str(error)
    if any(partition.takes(settings.SUBMISSIONS_MIN_INSYNC) for partition in found):
        return ""
    return "no partition has a leader and enough replicas in sync"


def _holds_token(request: HttpRequest) -> bool:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())
