"""Both lanes behind the WSGI interface (PEP 3333)."""

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest, get_path_info, get_script_name
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, set_script_prefix

from formhub.core.lanes import Lane, drive_in_turn

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class Application:
    """`site`: Django's own, for everything that does not go the short way."""

    def __init__(self, site: WSGIHandler) -> None:
        self._site = site
        self._lane = Lane(settings.SHORT_MIDDLEWARE)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        match = self._lane.match(environ["REQUEST_METHOD"], get_path_info(environ))
        if match is None:
            found: Iterable[bytes] = self._site(environ, start_response)
            return found
        response = self._short(environ, match)
        start_response(f"{response.status_code} {response.reason_phrase}", headers_of(response))
        return [b"".join(response)]  # a list: the server then tells its length

    def _short(self, environ: Environ, match: ResolverMatch) -> HttpResponseBase:
        return drive_in_turn(lambda: self._lane.respond(request_of(environ), match))


def request_of(environ: Environ) -> WSGIRequest:
    set_script_prefix(get_script_name(environ))
    return WSGIRequest(environ)


def headers_of(response: HttpResponseBase) -> list[tuple[str, str]]:
    return [*response.items(), *(("Set-Cookie", morsel.OutputString()) for morsel in response.cookies.values())]
