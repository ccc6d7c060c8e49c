"""A web service of a test's own, on a real socket: it takes what is posted, or does what it is told to do instead."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from requests.structures import CaseInsensitiveDict

Step = Callable[["Call"], None]
Headers = CaseInsensitiveDict[str]


@dataclass(frozen=True)
class Taken:
    """What one request brought."""

    path: str
    headers: Headers
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


class Call(BaseHTTPRequestHandler):
    """A request that waits for its answer: its headers and its whole body have been read."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = self.server.receiver
        step = receiver.script.pop(0) if receiver.script else receiver.always
        receiver.calls.append(Taken(self.path, Headers(self.headers.items()), body))
        step(self)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: "Receiver"

    def get_request(self) -> Any:
        found = super().get_request()
        self.receiver.connections += 1
        return found

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that end in the middle are what these tests are about."""


class Receiver:
    """`script`: what the next calls do; `always`: what all others do. `connections`: how many were ever made."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.script: list[Step] = []
        self.always: Step = answering(204)
        self.calls: list[Taken] = []
        self.connections = 0
        self.ended = threading.Event()
        self._server = _Server((host, 0), Call)
        self._server.receiver = self
        self.port = int(self._server.server_address[1])
        if tls is not None:
            # The handshake is the handler's, so that one that fails stops nobody else.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://{'localhost' if tls else host}:{self.port}/hook"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def seen(self, text: str) -> int:
        """How many of the calls that were taken hold the text."""
        return sum(text.encode() in call.body for call in self.calls)


def answering(status: int, body: bytes = b"", **headers: str) -> Step:
    return lambda call: call.answer(status, body, **headers)


def hanging(call: Call) -> None:
    call.server.receiver.ended.wait(30)


def dribbling(call: Call) -> None:
    """An answer that never ends, a byte at a time."""
    call.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    with suppress(OSError):
        while not call.server.receiver.ended.wait(0.05):
            call.wfile.write(b"x")


def endless(call: Call) -> None:
    """An answer of ten gigabytes, as fast as it is read. What was written is counted on the receiver."""
    call.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    receiver: Any = call.server.receiver
    receiver.written = 0
    with suppress(OSError):
        while receiver.written < 10_000_000_000:
            receiver.written += call.connection.send(b"x" * 65_536)


def resetting(call: Call) -> None:
    """The connection is broken after the body was taken."""
    call.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.connection.close()
    call.close_connection = True


def garbling(call: Call) -> None:
    call.wfile.write(b"this is no HTTP\r\n\r\n")
    call.close_connection = True


def certificate(folder: Path, name: str = "localhost", days: int = 1) -> Path:
    """A certificate that vouches for itself, and its key, in one file. `days`: until it expires."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / f"{name}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


def serving(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
