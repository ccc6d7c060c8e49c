"""Two ways from a request to its answer.

The site's: all middleware, one thread a request. The short one, for views that are asked thousands of times a second:
only the steps of settings.SHORT_MIDDLEWARE, and a coroutine that waits without holding a thread where a loop runs it.
A view class that says so by `short` goes that way for POST, which it answers by `answer`.

A coroutine of the short way waits for nothing but things that know of both (`apps.intake.waiting`), so a thread can
drive it as well: what is answered, and in which order, is the same everywhere.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Protocol, TypeVar

from django.core.handlers.exception import response_for_exception
from django.db import close_old_connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, get_resolver
from django.utils.log import log_response
from django.utils.module_loading import import_string

from formhub.core import requests

Value = TypeVar("Value")
Answer = Coroutine[Any, Any, HttpResponseBase]


INLINE_BYTES = 64 * 1024  # of a body that takes a loop no longer than its neighbours can wait


class ShortView(Protocol):
    """`inline_bytes`: a larger body is for a thread, which then drives the same coroutine."""

    short: ClassVar[bool]
    inline_bytes: ClassVar[int]

    def answer(self, request: HttpRequest, **kwargs: Any) -> Answer:
        """An exception is a defect."""


def on_loop() -> bool:
    """Whether this thread runs an event loop, and must not wait."""
    return asyncio._get_running_loop() is not None


def drive(coroutine: Coroutine[Any, Any, Value]) -> Value:
    """Run a coroutine of the short way in this thread, waiting in place."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: Value = done.value
        return value
    coroutine.close()
    raise RuntimeError("The coroutine waits for something that only a loop can bring.")


def drive_in_turn(make: Callable[[], Answer]) -> HttpResponseBase:
    """`drive` in a thread that does many of them: its connection to the database may have died since the last."""
    close_old_connections()
    return drive(make())


class Lane:
    """The short way."""

    def __init__(self, middleware: Sequence[str]) -> None:
        steps = [import_string(path)(_never_called) for path in middleware]
        self._before = [step.process_request for step in steps if hasattr(step, "process_request")]
        self._view = [step.process_view for step in steps if hasattr(step, "process_view")]
        self._failed = [step.process_exception for step in steps if hasattr(step, "process_exception")]
        self._after = [step.process_response for step in reversed(steps) if hasattr(step, "process_response")]

    def match(self, method: str, path: str) -> ResolverMatch | None:
        """None for what goes the site's way."""
        if method != "POST":  # not even resolved: pages have an address for each submission, and would push out forms'
            return None
        try:
            match = _resolve(path)
        except Resolver404:
            return None
        return match if getattr(_view_class(match), "short", False) else None

    async def respond(self, request: HttpRequest, match: ResolverMatch) -> HttpResponseBase:
        request.resolver_match = match
        with requests.identified(request):
            response: HttpResponseBase | None = None
            for step in self._before:
                response = response or step(request)
            if response is None:
                for step in self._view:
                    step(request, match.func, match.args, match.kwargs)
                response = await self._answer(request, match)
            for step in self._after:
                response = step(request, response)
            if response.status_code >= 400:  # as Django does it on the site's way
                refused: Any = response
                log_response("%s: %s", refused.reason_phrase, request.path, response=refused, request=request)
        return response

    async def _answer(self, request: HttpRequest, match: ResolverMatch) -> HttpResponseBase:
        try:
            return await view_of(match)().answer(request, **match.kwargs)
        except Exception as error:  # noqa: BLE001 - as Django does it for every view
            for step in self._failed:
                step(request, error)
            return requests.fitting(request, response_for_exception(request, error))


def view_of(match: ResolverMatch) -> type[ShortView]:
    """Of what `Lane.match` found."""
    view: type[ShortView] = _view_class(match)
    return view


def _view_class(match: ResolverMatch) -> Any:
    return getattr(match.func, "view_class", None)


# A path of a form in use is resolved once; ten thousand of them take a few megabytes.
_resolve = lru_cache(maxsize=10_000)(lambda path: get_resolver().resolve(path))


def _never_called(request: HttpRequest) -> HttpResponseBase:
    raise NotImplementedError
