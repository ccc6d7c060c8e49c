"""The bridge's own bounds, the server's side played by the test. What it answers: tests/test_servers."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from formhub.core.lanes import drive
from formhub.core.rsgi import BUSY, TOO_SLOW, Application, Bounds, environ_of

PLAIN = [("Content-Type", "text/plain")]
Site = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Protocol:
    """What Granian hands over for a request. `stuck`: the body never comes."""

    def __init__(self, body: bytes = b"", *, stuck: bool = False) -> None:
        self.body = body
        self.stuck = stuck
        self.status = 0
        self.headers: dict[str, str] = {}
        self.sent = b""
        self.closed = 0

    async def __call__(self) -> bytes:
        if self.stuck:
            await asyncio.sleep(3600)
        return self.body

    async def __aiter__(self) -> Any:
        for start in range(0, len(self.body), 65_536):
            yield self.body[start : start + 65_536]

    def close(self, status: int) -> None:
        self.closed = status

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.sent = status, dict(headers), body

    def response_stream(self, status: int, headers: list[tuple[str, str]]) -> Any:
        self.status, self.headers = status, dict(headers)
        return SimpleNamespace(send_bytes=self._send)

    async def _send(self, piece: bytes) -> None:
        self.sent += piece


def a_scope(path: str = "/page/", method: str = "GET", length: int = 0, **changes: Any) -> Any:
    headers = [("host", "testserver"), *([("content-length", str(length))] if length else [])]
    scope = {
        "proto": "http", "http_version": "1.1", "server": "127.0.0.1:8000", "client": "192.0.2.7:4000",
        "scheme": "http", "method": method, "path": path, "query_string": "", "authority": None,
        "headers": dict(headers), **changes,
    }  # fmt: skip
    return SimpleNamespace(**scope)


def an_application(site: Site, **bounds: Any) -> Application:
    usual: dict[str, Any] = {"requests": 100, "threads": 2, "waiting": 1, "bytes": 10_000_000, "body_seconds": 10}
    return Application(site, Bounds(**usual | bounds))  # type: ignore[arg-type]


def echo(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    start("200 OK", PLAIN)
    return [environ["wsgi.input"].read()]


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 30))


@pytest.mark.parametrize("size", [0, 10, 1024 * 1024, 3_000_000], ids=["none", "short", "the buffer's", "long"])
def test_a_body_reaches_the_site_whole(size: int) -> None:
    body = b"x" * size
    protocol = Protocol(body)
    run(an_application(echo).__rsgi__(a_scope(method="POST", length=size), protocol))
    assert (protocol.status, protocol.sent) == (200, body)


def test_a_body_that_stays_away_is_answered_408() -> None:
    protocol = Protocol(stuck=True)
    run(an_application(echo, body_seconds=0.05).__rsgi__(a_scope(method="POST", length=10), protocol))
    assert protocol.status == 408
    assert json.loads(protocol.sent)["code"] == "body_too_slow"


def test_bodies_beyond_what_is_held_are_answered_503() -> None:
    async def two() -> list[int]:
        application = an_application(echo, bytes=1_500_000, body_seconds=0.2)
        waiting, refused = Protocol(stuck=True), Protocol(b"x")
        first = asyncio.create_task(application.__rsgi__(a_scope(method="POST", length=1_000_000), waiting))
        await asyncio.sleep(0)
        await application.__rsgi__(a_scope(method="POST", length=1_000_000), refused)
        await first
        later = Protocol(b"x" * 1_000_000)
        await application.__rsgi__(a_scope(method="POST", length=1_000_000), later)
        return [waiting.status, refused.status, later.status]

    assert run(two()) == [408, 503, 200]


@pytest.mark.parametrize(
    ("reason", "bounds"),
    [pytest.param(BUSY, {"bytes": 5}, id="full"), pytest.param(TOO_SLOW, {"body_seconds": 0.05}, id="slow")],
)
def test_who_is_turned_away_at_the_door_is_counted(reason: str, bounds: dict[str, Any]) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("formhub_web_refused_total", {"reason": reason}) or 0.0

    before = counted()
    run(an_application(echo, **bounds).__rsgi__(a_scope(method="POST", length=10), Protocol(stuck=True)))
    assert counted() == before + 1


def test_requests_beyond_all_that_a_process_takes_are_answered_503() -> None:
    async def three() -> list[int]:
        application = an_application(echo, requests=1, body_seconds=0.2)
        waiting, refused, later = Protocol(stuck=True), Protocol(), Protocol()
        first = asyncio.create_task(application.__rsgi__(a_scope(method="POST", length=10), waiting))
        await asyncio.sleep(0)
        await application.__rsgi__(a_scope(), refused)
        await first
        await application.__rsgi__(a_scope(), later)
        return [waiting.status, refused.status, later.status]

    assert run(three()) == [408, 503, 200]


def test_requests_beyond_threads_and_waiting_are_answered_503() -> None:
    go_on = threading.Event()

    def slow(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        assert go_on.wait(20)
        start("200 OK", PLAIN)
        return [b"done"]

    async def five() -> list[tuple[int, str]]:
        application = an_application(slow, threads=2, waiting=1)
        protocols = [Protocol() for _ in range(5)]
        tasks = [asyncio.create_task(application.__rsgi__(a_scope(), protocol)) for protocol in protocols]
        while sum(protocol.status == 503 for protocol in protocols) < 2:
            await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.gather(*tasks)
        return [(protocol.status, protocol.headers.get("Retry-After", "")) for protocol in protocols]

    assert run(five()) == [(200, "")] * 3 + [(503, "2")] * 2


def test_a_streaming_answer_is_sent_piece_by_piece_and_closed() -> None:
    class Pieces:
        streaming = True
        closed = False

        def __iter__(self) -> Any:
            return iter([b"a", b"b", b"c"])

        def close(self) -> None:
            self.closed = True

    pieces = Pieces()

    def site(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("206 Partial Content", PLAIN)
        return pieces

    protocol = Protocol()
    run(an_application(site).__rsgi__(a_scope(), protocol))
    assert (protocol.status, protocol.sent, pieces.closed) == (206, b"abc", True)


def test_what_is_no_request_is_closed() -> None:
    protocol = Protocol()
    run(an_application(echo).__rsgi__(a_scope(proto="ws"), protocol))
    assert protocol.closed == 404


def test_an_environ_is_that_of_wsgi() -> None:
    scope = a_scope("/é", query_string="q=%20")
    scope.headers = _Headers(("cookie", "a=1"), ("cookie", "b=2"), ("x-a", "1"), ("x-a", "2"), ("x_a", "3"))
    environ = environ_of(scope)

    assert environ["PATH_INFO"] == "/é".encode().decode("latin-1")
    assert (environ["HTTP_COOKIE"], environ["HTTP_X_A"]) == ("a=1;b=2", "1,2")
    assert (environ["REMOTE_ADDR"], environ["SERVER_PORT"]) == ("192.0.2.7", "8000")


class _Headers:
    def __init__(self, *items: tuple[str, str]) -> None:
        self._items = list(items)

    def items(self) -> list[tuple[str, str]]:
        return self._items


def test_a_coroutine_that_needs_a_loop_cannot_be_driven() -> None:
    async def waits() -> None:
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError):
        drive(waits())
