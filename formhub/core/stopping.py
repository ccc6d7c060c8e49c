"""A web server on its way out: whether it was told to stop, which all its processes know at once.

From then on it says that it is not ready, so that its balancer sends nobody more, and closes each connection with the
answer to the request that is on it. It goes on answering until whoever runs it ends it (`formhub.serve`).
"""

import mmap
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

# One byte that processes made by fork share with the one that made them: no lock that a killed one could keep.
_told = mmap.mmap(-1, 1)


def tell() -> None:
    _told[0] = 1


def forget() -> None:
    _told[0] = 0


def told() -> bool:
    return bool(_told[0])


class CloseMiddleware:
    """A client that keeps its connection would find it gone in the middle of a later request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.process_response(request, self.get_response(request))

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if told():
            response["Connection"] = "close"
        return response
