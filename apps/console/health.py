"""Probes. `/livez`: this process answers. `/readyz`: it could accept a submission now."""

import socket
import time
from threading import Lock

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

FRESH_SECONDS = 2.0
CONNECT_SECONDS = 1.0

_lock = Lock()
_seen: tuple[float, bool] = (0.0, False)


@require_safe
@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """503 while no durable store could take a submission. One probe of the broker serves all callers of two seconds."""
    reachable = broker_reachable()
    return JsonResponse(
        {"ready": reachable, "log": "reachable" if reachable else "unreachable"}, status=200 if reachable else 503
    )


def broker_reachable() -> bool:
    global _seen
    with _lock:
        checked, reachable = _seen
        if time.monotonic() - checked > FRESH_SECONDS or not checked:
            reachable = any(_connects(server) for server in settings.KAFKA_BOOTSTRAP_SERVERS)
            _seen = (time.monotonic(), reachable)
        return reachable


def _connects(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False
