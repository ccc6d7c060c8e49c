"""The suite for kinds that speak HTTP: a service of the test's own, broken in every way that services break.

    class TestTicker(HttpSinkConformance):
        def make_sink(self, context):
            return Ticker({"url": self.service.url, "token": "hush"}, context)

The service takes every request unless it was told otherwise: `self.service.next(Fault(status=503))`. One with ways of
its own overrides `answer`, what it answers; `keep`, where it knows repeats; `shows`, where ids are not written plainly.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any, Self
from uuid import UUID

from django.test import override_settings

from apps.sinks.conformance import SinkConformance
from apps.sinks.contract import (
    AmbiguousError,
    BackpressureError,
    Batch,
    ConfigurationError,
    DeliveryError,
    PermanentError,
    RetryableError,
    Sink,
)

BODY_MAX = 64 * 1024 * 1024
LOOPBACK = ("127.0.0.0/8",)


class Cut(Enum):
    """Where a connection ends without an answer: before the request was read, after it was taken, or never."""

    BEFORE = "before"
    AFTER = "after"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one request. taken: whether the service keeps what came with it all the same.

    echo: the answer repeats the request, as debugging pages do.
    """

    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: Cut | None = None
    taken: bool = False
    echo: bool = False


class Service:
    """A web service on a free port of this machine; `with` starts and ends it. taken: the bodies that it accepted."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self._faults: deque[Fault] = deque()
        self._always: Fault | None = None
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/take"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.vanish()

    def next(self, *faults: Fault) -> None:
        """What becomes of the next requests, one each."""
        self._faults.extend(faults)

    def always(self, fault: Fault | None) -> None:
        self._always = fault

    def vanish(self) -> None:
        """From now on nobody listens."""
        if not self._ended.is_set():
            self._ended.set()
            self._server.shutdown()
            self._server.server_close()

    def times_seen(self, submission: UUID) -> int:
        return sum(self.shows(body, submission) for body in self.taken)

    def shows(self, body: bytes, submission: UUID) -> bool:
        return str(submission).encode() in body

    def keep(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Take what a request brings; a service that knows repeats leaves them out here."""
        self.taken.append(body)

    def answer(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """To a request that is taken."""
        return 200, b"{}"

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        fault = self._faults.popleft() if self._faults else self._always
        if fault is not None and fault.cut is Cut.BEFORE:
            return
        body = request.rfile.read(min(int(request.headers.get("Content-Length") or 0), BODY_MAX))
        if fault is None or fault.taken:
            self.keep(body, dict(request.headers))
        if fault is not None and fault.cut is Cut.NEVER:
            self._ended.wait()
        if fault is not None and fault.cut is not None:
            return
        if fault is None:
            self._write(request, *self.answer(body, dict(request.headers)))
        else:
            self._write(request, fault.status, body if fault.echo else b"{}", fault.headers)

    @staticmethod
    def _write(
        request: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                service.serve(self)
                self.close_connection = True

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the base class's names

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: it would stand among the results."""

        return Handler


class HttpSinkConformance(SinkConformance):
    """The promises of SinkConformance, and what each answer of a service has to be told as."""

    service: Service

    def make_service(self) -> Service:
        return Service()

    def setup_method(self) -> None:
        self.service = self.make_service().__enter__()
        # apps.sinks.egress calls no address of this machine otherwise.
        networks = [ip_network(text) for text in LOOPBACK]
        self._allowed = override_settings(EGRESS_HTTP=True, EGRESS_PORTS=[], EGRESS_NETWORKS=networks)
        self._allowed.enable()

    def teardown_method(self) -> None:
        self._allowed.disable()
        self.service.vanish()

    def times_seen(self, submission: UUID) -> int:
        return self.service.times_seen(submission)

    def break_service(self) -> bool:
        self.service.vanish()
        return True

    def test_a_service_that_is_not_there_is_a_reason_to_try_again(self) -> None:
        self.service.vanish()

        _, error = self._told()

        assert isinstance(error, RetryableError)

    def test_a_lost_answer_is_told_as_perhaps_delivered(self) -> None:
        """The request was taken, and the connection broke before the answer."""
        batch, error = self._told(Fault(cut=Cut.AFTER, taken=True))

        assert any(self.times_seen(id) for id in batch.ids)  # a kind may call once for each of them
        assert self._may_have_landed(error)

    def test_a_connection_that_breaks_under_way_is_told_as_perhaps_delivered(self) -> None:
        _, error = self._told(Fault(cut=Cut.BEFORE))

        assert self._may_have_landed(error)

    def test_a_service_that_fails_may_have_taken_it(self) -> None:
        for status in (408, 500, 502, 503, 504):
            _, error = self._told(Fault(status, taken=True))
            assert self._may_have_landed(error), f"{status} was told as {error!r}"

    def test_a_service_that_never_answers_is_given_up_before_the_time_of_the_policy(self) -> None:
        sink = self.make_sink(self.context())
        told: list[DeliveryError | None] = []
        self.service.always(Fault(cut=Cut.NEVER))
        caller = threading.Thread(target=lambda: told.append(self._offer(sink, self.make_batch(sink))), daemon=True)

        caller.start()
        caller.join(sink.policy.timeout)

        assert not caller.is_alive()
        assert self._may_have_landed(told[0])

    def test_a_service_that_is_full_gets_the_time_that_it_asks_for(self) -> None:
        _, error = self._told(Fault(429, {"Retry-After": "7"}))

        assert isinstance(error, BackpressureError | RetryableError)
        assert error.after is not None
        assert error.after >= 7

    def test_a_service_that_is_full_and_says_no_time_is_asked_again(self) -> None:
        _, error = self._told(Fault(429))

        assert isinstance(error, BackpressureError | RetryableError)

    def test_what_a_person_has_to_repair_pauses_and_says_how(self) -> None:
        for status in (401, 403, 404, 410):
            _, error = self._told(Fault(status))
            assert isinstance(error, ConfigurationError), f"{status} was told as {error!r}"
            assert error.remedy

    def test_data_that_is_refused_is_told_as_such(self) -> None:
        for status in (400, 413, 422):
            _, error = self._told(Fault(status))
            assert isinstance(error, PermanentError), f"{status} was told as {error!r}"
            assert error.code

    def test_a_redirect_is_not_followed(self) -> None:
        """It would lead past every check of the address."""
        with Service() as elsewhere:
            for status in (301, 302, 307, 308):
                _, error = self._told(Fault(status, {"Location": elsewhere.url}))
                assert error is not None, f"{status} was told as delivered"
            assert elsewhere.taken == []

    def test_an_answer_that_repeats_the_request_is_not_passed_on(self) -> None:
        """Services echo what they refuse; messages are shown to people and stand in logs."""
        for status in (400, 401, 422, 429, 500):
            self._told(Fault(status, echo=True))

    def test_after_trouble_the_same_batch_arrives(self) -> None:
        sink = self.make_sink(self.context())
        batch = self.make_batch(sink)
        self.service.always(Fault(503))
        assert self._offer(sink, batch) is not None

        self.service.always(None)
        self.make_sink(self.context()).deliver(batch)

        assert [self.times_seen(id) for id in batch.ids] == [1, 1, 1]

    def test_its_check_tells_of_a_service_that_refuses_it(self) -> None:
        sink = self.make_sink(self.context())
        self.service.always(Fault(401))

        try:
            sink.check()
        except DeliveryError as error:
            self._tells_no_secret(sink, error)
        else:
            raise AssertionError("The check found nothing wrong with settings that the service refuses.")

    def _told(self, fault: Fault | None = None) -> tuple[Batch, DeliveryError | None]:
        """How the sink tells of every request of one batch meeting the fault; never with an answer or a secret."""
        sink = self.make_sink(self.context())
        batch = self.make_batch(sink)
        self.service.always(fault)
        error = self._offer(sink, batch)
        self._tells_no_secret(sink, error)
        return batch, error

    def _may_have_landed(self, error: DeliveryError | None) -> bool:
        """Where a repeat is harmless the two are the same."""
        return isinstance(error, AmbiguousError) or (self._repeatable and isinstance(error, RetryableError))

    @property
    def _repeatable(self) -> bool:
        sink: Sink = self.make_sink(self.context())
        return sink.policy.repeatable
