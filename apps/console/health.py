"""Probes and metrics. `/livez`: this process answers. `/readyz`: it could accept a submission now."""

import hmac
import time
from collections.abc import Callable
from threading import Lock

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.intake import process
from apps.intake.outbox import OutboxAwayError, PostgresStore
from formhub.core import exposition, stopping
from formhub.core.stream import cluster
from formhub.core.stream.base import StreamError

FRESH_SECONDS = 2.0
# What was taken so recently says more than any question.
TAKEN_SECONDS = 5.0
ASK_SECONDS = 1.0
TAKES_WRITES = "takes writes"


@require_safe
@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """503 while neither door could take a submission, and from when this server was told to stop.

    A log that is away must not empty the service: then the outbox is asked. One question to either serves all callers
    of two seconds.
    """
    if stopping.told():
        return JsonResponse({"ready": False, "log": "this server is stopping"}, status=503)
    found = {"log": _log.trouble(process.seconds_since_receipt()) or TAKES_WRITES}
    if found["log"] != TAKES_WRITES:
        found["outbox"] = _outbox.trouble(process.seconds_since_kept()) or TAKES_WRITES
    ready = TAKES_WRITES in found.values()
    return JsonResponse({"ready": ready, **found}, status=200 if ready else 503)


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


class Door:
    """Why it takes no submission of any form, empty if it takes some. One thread at a time asks it."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._asked_at: float | None = None
        self._said = ""

    def trouble(self, seconds_since_taken: float | None) -> str:
        if seconds_since_taken is not None and seconds_since_taken < TAKEN_SECONDS:
            return ""
        with self._lock:
            if self._asked_at is None or time.monotonic() - self._asked_at > FRESH_SECONDS:
                self._said = self._ask()
                self._asked_at = time.monotonic()
            return self._said

    def forget(self) -> None:
        """Ask anew at the next question."""
        with self._lock:
            self._asked_at = None


def forget() -> None:
    for door in (_log, _outbox):
        door.forget()


def _trouble_of_log() -> str:
    try:
        found = cluster.partitions(settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, ASK_SECONDS)
    except StreamError as error:
        return "unreachable" if error.ambiguous else str(error)
    if any(partition.takes(settings.SUBMISSIONS_MIN_INSYNC) for partition in found):
        return ""
    return "no partition has a leader and enough replicas in sync"


def _trouble_of_outbox() -> str:
    store = PostgresStore(ASK_SECONDS, settings.OUTBOX_ROWS_MAX, settings.OUTBOX_BYTES_MAX)
    try:
        store.check()
    except OutboxAwayError as error:
        return str(error)
    finally:
        store.close()
    return ""


_log, _outbox = Door(_trouble_of_log), Door(_trouble_of_outbox)


def _holds_token(request: HttpRequest) -> bool:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())
