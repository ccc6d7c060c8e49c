"""The HTTP side: keep-alive, bounded bodies and waits, JSON in and out."""

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sheets_emulator import discovery, drive, pages
from sheets_emulator.auth import GrantError
from sheets_emulator.discovery import Method
from sheets_emulator.errors import ApiError, not_found
from sheets_emulator.faults import Fault, Faults
from sheets_emulator.service import Service

BODY_MAX = 20 * 1024 * 1024
IDLE_SECONDS = 60
TOKEN_PATH = "/token"  # noqa: S105 - an address


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: Service, faults: Faults) -> None:
        self.service = service
        self.faults = faults
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

    def do_DELETE(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: answers of respondents stand in addresses and bodies."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        try:
            body = self._body()
            if self.command == "POST" and parts.path == TOKEN_PATH:
                self._token(body)
            elif parts.path.startswith("/v4/"):
                self._call(parts.path, query, body)
            elif parts.path.startswith("/drive/v3/"):
                self._drive(parts.path, body)
            elif self.command == "GET":
                self._page(parts.path, query)
            else:
                raise not_found()
        except ApiError as error:
            self._json(error.code, error.body())

    def _call(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        found = discovery.route(self.command, path)
        if found is None:
            raise ApiError(404, "Requested entity was not found.")
        method, values = found
        fault = self.server.faults.next(method.id)
        if fault in {Fault.REJECT, Fault.UNAUTHORIZED}:
            raise _refusal(fault)
        work = self._work(method, values, query, body)
        if fault is Fault.LATE:
            threading.Timer(self.server.faults.late_seconds, _quietly, [work]).start()
            raise _refusal(Fault.REJECT)
        answer = work()
        if fault is None:
            self._json(200, answer)
        else:
            self._lose(fault)

    def _work(
        self, method: Method, path: dict[str, str], query: dict[str, list[str]], body: bytes
    ) -> Callable[[], dict[str, Any]]:
        who = self.server.service.accounts.caller(self.headers.get("Authorization", ""))
        parsed = _parsed(body)
        return lambda: self.server.service.call(method, path, query, parsed, who)

    def _lose(self, fault: Fault) -> None:
        """The call was applied; its answer does not arrive."""
        if fault is Fault.LOSE_ANSWER:
            raise _refusal(Fault.REJECT)
        if fault is Fault.HTML:
            self._send(502, b"<html><title>Error 502 (Server Error)</title></html>", "text/html; charset=UTF-8")
            return
        if fault is Fault.HANG:
            time.sleep(self.server.faults.hang_seconds)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _token(self, body: bytes) -> None:
        form = {name: given[-1] for name, given in parse_qs(body.decode()).items()}
        try:
            self._json(200, self.server.service.accounts.grant(form))
        except GrantError as error:
            self._json(400, error.body)

    def _drive(self, path: str, body: bytes) -> None:
        who = self.server.service.accounts.caller(self.headers.get("Authorization", ""))
        status, answer = drive.call(self.server.service, self.command, path, _parsed(body), who)
        if status == 204:
            self._send(204, b"", "text/plain")
        else:
            self._json(status, answer)

    def _page(self, path: str, query: dict[str, list[str]]) -> None:
        service = self.server.service
        if path == "/style.css":
            self._send(200, pages.STYLE.encode(), "text/css")
        elif path == "/":
            found = sorted(service.spreadsheets.values(), key=lambda each: each.title)
            self._html(pages.listing(found))
        else:
            spreadsheet = service.spreadsheets.get(unquote(path.removeprefix("/spreadsheets/")))
            if not path.startswith("/spreadsheets/") or spreadsheet is None:
                raise not_found()
            tab = query.get("tab", [""])[0]
            written = next((each for each in spreadsheet.sheets if each.last_row()), spreadsheet.sheets[0])
            sheet = next((each for each in spreadsheet.sheets if str(each.id) == tab), written)
            page = query.get("page", ["1"])[0]
            self._html(pages.grid(spreadsheet, sheet, int(page) if page.isdigit() else 1))

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > BODY_MAX:
            self.close_connection = True
            raise ApiError(413, f"Request payload size exceeds the limit: {BODY_MAX} bytes.")
        return self.rfile.read(int(length))

    def _json(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, json.dumps(body).encode(), "application/json; charset=UTF-8")

    def _html(self, page: str) -> None:
        self._send(200, page.encode(), "text/html; charset=UTF-8")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
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
        parsed = json.loads(body)
    except ValueError:
        raise ApiError(400, "Invalid JSON payload received. Unexpected token.") from None
    return parsed


def _refusal(fault: Fault) -> ApiError:
    if fault is Fault.UNAUTHORIZED:
        return ApiError(401, "Request had invalid authentication credentials.")
    return ApiError(503, "The service is currently unavailable.")


def _quietly(work: Callable[[], object]) -> None:
    try:
        work()
    except ApiError:
        return  # nobody waits for this answer any more
