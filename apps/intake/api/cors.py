"""Which pages of other sites may read our answers: all, or those of the origins that the form lists.

Nothing here depends on cookies, so no credentials are allowed in any case.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

EXPOSED = "Location, Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, X-Request-ID"
ALLOWED_METHODS = "POST, OPTIONS"
# Browsers keep a preflight's answer two hours at most.
PREFLIGHT_SECONDS = 7_200

_PORTS = {"http": 80, "https": 443}


def open_to(request: HttpRequest, response: HttpResponseBase, origins: Collection[str]) -> None:
    """`origins`: the form's list, empty for all."""
    response["Access-Control-Expose-Headers"] = EXPOSED
    if not origins:
        response["Access-Control-Allow-Origin"] = "*"
        return
    patch_vary_headers(response, ["Origin"])
    origin = request.META.get("HTTP_ORIGIN", "")
    if listed(origin, origins):
        response["Access-Control-Allow-Origin"] = origin


def preflight(response: HttpResponseBase) -> None:
    response["Access-Control-Allow-Methods"] = ALLOWED_METHODS
    response["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
    response["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)


def listed(address: str, origins: Collection[str]) -> bool:
    """Whether a page's address, or an origin, belongs to one of the origins."""
    origin = origin_of(address)
    return origin is not None and any(origin == origin_of(entry) for entry in origins)


def origin_of(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an http(s) address as every browser reads it; None for any that they might not."""
    # Browsers drop tabs and line breaks and turn backslashes; what looks like another host to them is refused here.
    if not address.isascii() or not address.isprintable() or "\\" in address or " " in address:
        return None
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme]
