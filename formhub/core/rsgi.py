"""Both lanes behind Granian's RSGI interface: the short way on the loop, the site's way in threads.

What is answered is the same as behind WSGI, because it is the same: a request becomes a WSGI environ, the site's way is
the WSGI application itself, and the short way the same coroutine. Bodies are read on the loop as far as BUFFER_BYTES,
so that a slow sender holds no thread.
"""

import asyncio
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings
from django.core.handlers.wsgi import get_path_info
from django.http.response import HttpResponseBase

from formhub.core import problem
from formhub.core.deadlines import Deadlines
from formhub.core.lanes import Lane, view_of
from formhub.core.metrics import WEB_REFUSED
from formhub.core.problem import Problem
from formhub.core.watchdog import Watchdog
from formhub.core.wsgi import Application as Wsgi
from formhub.core.wsgi import Environ, headers_of, request_of

# A longer body is read by a thread, as the view asks for it.
BUFFER_BYTES = 1024 * 1024
# A caller who takes nothing of an answer for so long is given up.
SEND_SECONDS = 30.0
RETRY_SECONDS = 2
BUSY, TOO_SLOW = "busy", "body_too_slow"
Headers = list[tuple[str, str]]


class BodyTooSlowError(OSError):
    """The caller did not send its body, or a further piece of it, within `body_seconds`."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one process. `requests`: at a time, those included whose callers have left; `threads`: of the site's way;
    `waiting`: how many more requests may wait for one; `bytes`: of bodies that are held on the loop; `body_seconds`:
    for a body that is read there, or a piece of a longer one.
    """

    requests: int
    threads: int
    waiting: int
    bytes: int
    body_seconds: float


class Application:
    def __init__(self, site: Wsgi, bounds: Bounds) -> None:
        self._site = site
        self._bounds = bounds
        self._threads = ThreadPoolExecutor(bounds.threads, thread_name_prefix="site")
        self._lane = Lane(settings.SHORT_MIDDLEWARE)
        for reason in (BUSY, TOO_SLOW):
            WEB_REFUSED.labels(reason)  # told as 0 before the first, or nobody would see it rise
        self._requests = 0
        self._in_threads = 0
        self._held = 0
        self._reading: Deadlines[_Reading] | None = None

    @classmethod
    def on(cls, site: Wsgi) -> "Application":
        """With the bounds of the settings."""
        bounds = Bounds(
            # One for each connection; whoever leaves without his answer makes room for another, and his stays.
            requests=settings.WEB_CONNECTIONS_MAX,
            threads=settings.WEB_THREADS,
            waiting=settings.WEB_WAITING_MAX,
            bytes=settings.WEB_BODIES_BYTES_MAX,
            body_seconds=settings.WEB_BODY_SECONDS,
        )
        return cls(site, bounds)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watchdog = Watchdog(loop)
        # Granian calls this before the loop runs, maybe on another thread than the loop's.
        loop.call_soon_threadsafe(self._watchdog.start)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watchdog.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto != "http":
            protocol.close(404)
            return
        environ = environ_of(scope)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        held = min(length, BUFFER_BYTES)
        if self._requests >= self._bounds.requests or held > self._bounds.bytes - self._held:
            _refuse(protocol, _busy())
            return
        self._requests += 1
        self._held += held
        try:
            await self._respond(environ, length, protocol)
        except BodyTooSlowError:
            _refuse(protocol, _too_slow())
        finally:
            self._requests -= 1
            self._held -= held

    async def _respond(self, environ: Environ, length: int, protocol: Any) -> None:
        match = self._lane.match(environ["REQUEST_METHOD"], get_path_info(environ))
        if match is not None and length <= view_of(match).inline_bytes:
            environ["wsgi.input"] = await self._buffered(protocol, length)
            _send(protocol, await self._lane.respond(request_of(environ), match))
        elif self._in_threads >= self._bounds.threads + self._bounds.waiting:
            _refuse(protocol, _busy())
        else:
            self._in_threads += 1
            try:
                environ["wsgi.input"] = await self._input(protocol, length)
                await self._in_thread(environ, protocol)
            finally:
                self._in_threads -= 1

    async def _in_thread(self, environ: Environ, protocol: Any) -> None:
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._threads, _Answer(self._site, protocol, loop).run, environ)
        if answer is not None:
            protocol.response_bytes(*answer)

    async def _input(self, protocol: Any, length: int) -> io.BufferedIOBase:
        if length <= BUFFER_BYTES:
            return await self._buffered(protocol, length)
        return io.BufferedReader(_Body(protocol, asyncio.get_running_loop(), self._bounds.body_seconds))

    async def _buffered(self, protocol: Any, length: int) -> io.BytesIO:
        if not length:
            return io.BytesIO()
        if self._reading is None:
            self._reading = Deadlines(self._bounds.body_seconds, _Reading.over, _Reading.give_up)
        reading = _Reading()
        self._reading.add(reading)
        try:
            return io.BytesIO(await protocol())
        except asyncio.CancelledError:
            reading.tell()
            raise
        finally:
            reading.task = None


class _Reading:
    """This task, as long as it reads a body. It gives up as `asyncio.timeout` does, and many share one timer."""

    __slots__ = ("late", "task")

    def __init__(self) -> None:
        self.task = asyncio.current_task()
        self.late = False

    def over(self) -> bool:
        return self.task is None

    def give_up(self) -> None:
        if self.task is not None:
            self.late = True
            self.task.cancel()

    def tell(self) -> None:
        """Raises BodyTooSlowError if that was why the task was cancelled."""
        if self.late and self.task is not None and self.task.uncancel() == 0:
            raise BodyTooSlowError from None


class _Answer:
    """One request on the site's way, in a thread from its first line to its last."""

    def __init__(self, site: Wsgi, protocol: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._site = site
        self._protocol = protocol
        self._loop = loop
        self._status = 500
        self._headers: Headers = []

    def run(self, environ: Environ) -> tuple[int, Headers, bytes] | None:
        """The whole answer, or None for one that was sent piece by piece."""
        found: Any = self._site(environ, self._start)
        try:
            if getattr(found, "streaming", False):
                self._stream(found)
                return None
            return self._status, self._headers, b"".join(found)
        finally:
            if hasattr(found, "close"):
                found.close()

    def _start(self, status: str, headers: Headers, exc_info: Any = None) -> None:
        self._status, self._headers = int(status.split(" ", 1)[0]), headers

    def _stream(self, pieces: Any) -> None:
        transport = self._on_loop(self._begin())
        for piece in pieces:
            # Waits until the caller has room for it: an answer never gathers in memory.
            self._on_loop(transport.send_bytes(piece))

    async def _begin(self) -> Any:
        return self._protocol.response_stream(self._status, self._headers)

    def _on_loop(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(_awaited(coroutine), self._loop).result(SEND_SECONDS)


class _Body(io.RawIOBase):
    """A body as it comes, for a thread."""

    def __init__(self, protocol: Any, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._pieces = protocol.__aiter__()
        self._loop = loop
        self._seconds = seconds
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            asked = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
            try:
                self._left = asked.result(self._seconds)
            except TimeoutError:
                asked.cancel()
                raise BodyTooSlowError from None
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    async def _next(self) -> bytes:
        while True:
            try:
                piece: bytes = await anext(self._pieces)
            except StopAsyncIteration:
                return b""
            if piece:
                return piece


async def _awaited(found: Any) -> Any:
    return await found


def environ_of(scope: Any) -> Environ:
    """What of the environ is this request's (PEP 3333)."""
    server, _, port = scope.server.rpartition(":")
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        # One with an underscore would pass for the one with dashes that a proxy has checked.
        if "_" not in name:
            _add_header(environ, name, value)
    if scope.authority and "HTTP_HOST" not in environ:
        environ["HTTP_HOST"] = scope.authority
    return environ


def _add_header(environ: Environ, name: str, value: str) -> None:
    key = name.upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = f"HTTP_{key}"
    value = value.encode().decode("latin-1")
    if key in environ:
        value = f"{environ[key]}{';' if key == 'HTTP_COOKIE' else ','}{value}"
    environ[key] = value


def _send(protocol: Any, response: HttpResponseBase) -> None:
    protocol.response_bytes(response.status_code, headers_of(response), b"".join(response))


def _refuse(protocol: Any, found: Problem) -> None:
    WEB_REFUSED.labels(found.code).inc()
    headers = [("Content-Type", problem.CONTENT_TYPE), *found.headers.items()]
    protocol.response_bytes(found.status, headers, orjson.dumps(problem.body(found)))


def _busy() -> Problem:
    detail = "The server has as much to do as it can hold; nothing was kept. Send it again in a moment."
    return Problem(503, BUSY, detail, headers={"Retry-After": str(RETRY_SECONDS)})


def _too_slow() -> Problem:
    detail = "The body did not come in time; nothing was kept. Send it again over a better connection."
    return Problem(408, TOO_SLOW, detail, headers={"Connection": "close"})
