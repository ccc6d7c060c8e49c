"""The HTTP side: keep-alive, bounded bodies and waits, JSON in and out, and the faults that were planned."""

import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import orjson

from sheets_emulator import control, discovery, drive, methods, pages
from sheets_emulator.auth import Account, GrantError
from sheets_emulator.drive import Text
from sheets_emulator.errors import ApiError, not_found, unauthenticated
from sheets_emulator.faults import Fault

if TYPE_CHECKING:
    from sheets_emulator.emulator import SheetsEmulator

BODY_MAX = 20 * 1024 * 1024
IDLE_SECONDS = 60
HANG_SECONDS_MAX = 600
TOKEN_PATH = "/token"  # noqa: S105 - an address
Work = Callable[[], Any]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], emulator: "SheetsEmulator") -> None:
        self.emulator = emulator
        super().__init__(address, Handler)

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server: Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_PATCH(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: answers of respondents stand in addresses and bodies."""

    def _handle(self) -> None:
        self._status, self._began = 0, time.perf_counter()
        self._call: dict[str, Any] = {}  # of Google's APIs, until it stands in the journal
        parts = urlsplit(self.path)
        try:
            self._route(parts, self._body())
        except ApiError as error:
            self._json(error.code, error.body())
        finally:
            self._note()

    def _route(self, parts: SplitResult, body: bytes) -> None:
        query = parse_qs(parts.query, keep_blank_values=True)
        if self.command == "POST" and parts.path == TOKEN_PATH:
            self._token(body)
        elif parts.path.startswith("/v4/"):
            self._sheets(parts.path, query, body)
        elif parts.path.startswith(("/drive/", "/upload/drive/")):
            self._drive(parts.path, query, body)
        elif parts.path.startswith(control.ROOT + "/"):
            self._control(parts.path, query, body)
        elif self.command == "GET":
            self._page(parts.path, query)
        else:
            raise not_found()

    # Calls of Google's APIs

    def _sheets(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        found = discovery.route(self.command, path)
        if found is None:
            raise not_found()
        method, values = found
        parsed = _parsed(body)
        kinds = methods.kinds(parsed) if method.id == "spreadsheets.batchUpdate" else []
        service, faults = self.server.emulator.service, self.server.emulator.faults

        def work(who: Account) -> Any:
            if kinds:
                faults.check(parsed)
            return methods.answer(service, methods.Call(method, values, query, parsed, who))

        self._meet(method.id, path, kinds, work)

    def _drive(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        found = drive.route(self.command, path)
        if found is None:
            raise ApiError(501, f"The emulator does not serve {self.command} {path}.")
        route, values = found
        given = body if route.id == "drive.files.import" else _parsed(body)
        flat = {name: each[-1] for name, each in query.items()}
        service = self.server.emulator.service
        self._meet(route.id, path, [], lambda who: drive.answer(service, route, drive.Call(values, flat, given, who)))

    def _meet(self, method: str, path: str, kinds: list[str], work: Callable[[Account], Any]) -> None:
        """Do the call, or what the next fault makes of it."""
        emulator = self.server.emulator
        fault = emulator.faults.next(method, path, kinds)
        self._call = {"method": method, "kinds": tuple(kinds), "fault": fault or ""}
        if fault is Fault.UNAUTHORIZED:
            raise unauthenticated()
        if fault is Fault.REJECT:
            raise _unavailable()
        who = emulator.accounts.caller(self.headers.get("Authorization", ""))
        self._call["account"] = who.email
        if fault is Fault.LATE:
            emulator.clock.later(emulator.faults.late_seconds, lambda: _quietly(lambda: work(who)))
            raise _unavailable()
        answer = work(who)
        if fault is not None:
            self._lose(fault)
        elif isinstance(answer, Text):
            self._send(200, answer.content, answer.kind)
        elif answer is None:
            self._send(204, b"", "text/html")
        else:
            self._json(200, answer)

    def _lose(self, fault: Fault) -> None:
        """The call was applied; its answer does not arrive."""
        if fault is Fault.LOSE_ANSWER:
            raise _unavailable()
        if fault is Fault.HTML:
            self._send(502, b"<html><title>Error 502 (Server Error)</title></html>", "text/html; charset=UTF-8")
            return
        if fault is Fault.HANG:
            self._wait(self.server.emulator.faults.hang_seconds)
        self._note()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _token(self, body: bytes) -> None:
        """The token endpoint meets its faults before it grants anything: it is safe to ask again."""
        emulator = self.server.emulator
        fault = emulator.faults.next("token", TOKEN_PATH)
        self._call = {"method": "token", "fault": fault or ""}
        if fault in {Fault.REJECT, Fault.LOSE_ANSWER}:
            self._json(503, {"error": "internal_failure"})
        elif fault is Fault.UNAUTHORIZED:
            self._json(400, GrantError("Invalid JWT Signature.").body)
        elif fault in {Fault.HTML, Fault.HANG, Fault.DROP}:
            self._lose(fault)
        else:
            if fault is Fault.LATE:
                self._wait(emulator.faults.late_seconds)
            self._grant(body)

    def _grant(self, body: bytes) -> None:
        form = {name: given[-1] for name, given in parse_qs(body.decode("utf-8", "replace")).items()}
        try:
            self._json(200, self.server.emulator.accounts.grant(form))
        except GrantError as error:
            self._json(400, error.body)

    def _wait(self, seconds: float) -> None:
        time.sleep(min(self.server.emulator.clock.real_seconds(seconds), HANG_SECONDS_MAX))

    # The emulator's own

    def _control(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        if self.command == "POST" and self.headers.get_content_type() != "application/json":
            raise ApiError(415, "The body must be JSON, and the header Content-Type must say so.")
        parsed = _parsed(body)
        if not isinstance(parsed, dict):
            raise ApiError(400, "The body must be a JSON object.")
        flat = {name: given[-1] for name, given in query.items()}
        self._json(200, control.call(self.server.emulator, self.command, unquote(path), flat, parsed))

    def _page(self, path: str, query: dict[str, list[str]]) -> None:
        service = self.server.emulator.service
        if path == "/style.css":
            self._send(200, pages.STYLE.encode(), "text/css")
        elif path == "/":
            with service.lock:
                found = sorted(service.spreadsheets.values(), key=lambda each: each.title)
            self._html(pages.listing(found))
        else:
            spreadsheet = service.spreadsheets.get(unquote(path.removeprefix("/spreadsheets/")))
            if not path.startswith("/spreadsheets/") or spreadsheet is None:
                raise not_found()
            page = query.get("page", ["1"])[0]
            number = int(page) if page.isdecimal() and len(page) < 10 else 1
            self._html(pages.grid(spreadsheet, pages.chosen(spreadsheet, query.get("tab", [""])[0]), number))

    # HTTP

    def _note(self) -> None:
        """Before the caller hears anything: who has an answer finds the call in the journal."""
        call, self._call = self._call, {}
        if call:
            emulator = self.server.emulator
            path = unquote(urlsplit(self.path).path)
            entry = {"account": "", "kinds": (), **call, "path": path, "status": self._status}
            took = round((time.perf_counter() - self._began) * 1000, 2)
            emulator.log.add(at=emulator.clock(), milliseconds=took, **entry)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdecimal() or int(length) > BODY_MAX:
            self.close_connection = True
            raise ApiError(413, f"Request payload size exceeds the limit: {BODY_MAX} bytes.")
        return self.rfile.read(int(length))

    def _json(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, orjson.dumps(body), "application/json; charset=UTF-8")

    def _html(self, page: str) -> None:
        self._send(200, page.encode(), "text/html; charset=UTF-8")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self._status = status
        self._note()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", pages.POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)


def _parsed(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ApiError(400, "Invalid JSON payload received. Unexpected token.") from None


def _unavailable() -> ApiError:
    return ApiError(503, "The service is currently unavailable.")


def _quietly(work: Work) -> None:
    try:
        work()
    except ApiError:
        return  # nobody waits for this answer any more
