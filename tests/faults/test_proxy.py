"""The proxy spoils the wire as it says."""

import socket
import threading
from collections.abc import Iterator

import pytest

from deploy.local.process import free_port
from tests.faults.harness.proxy import Proxy

PATIENCE = 5.0


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that says everything back."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, args=(server,), daemon=True).start()
        yield server.getsockname()


def accept(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=repeat, args=(connection,), daemon=True).start()


def repeat(connection: socket.socket) -> None:
    with connection:
        while block := connection.recv(1024):
            connection.sendall(block)


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[Proxy]:
    running = Proxy(echo, free_port()).start()
    yield running
    running.stop()


def connect(proxy: Proxy, patience: float = PATIENCE) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=patience)


def heard(connection: socket.socket, said: bytes = b"hello") -> bytes:
    connection.sendall(said)
    return connection.recv(1024)


def ended(connection: socket.socket) -> bool:
    """By an end or a reset."""
    try:
        return connection.recv(1024) == b""
    except ConnectionError:
        return True


def test_what_is_said_passes_both_ways(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert heard(connection) == b"hello"


def test_a_cut_ends_what_is_open_and_refuses_what_comes(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert heard(connection) == b"hello"
        proxy.cut()
        assert ended(connection)
    with connect(proxy) as late:
        assert ended(late)

    proxy.heal()
    with connect(proxy) as connection:
        assert heard(connection) == b"hello"


def test_half_open_takes_everything_and_says_nothing(proxy: Proxy) -> None:
    with connect(proxy, 0.5) as connection:
        assert heard(connection) == b"hello"
        proxy.half_open()
        with pytest.raises(TimeoutError):
            heard(connection)

    proxy.heal()
    with connect(proxy) as connection:
        assert heard(connection) == b"hello"


@pytest.mark.parametrize("spoilt", [{"delay": 0.6}, {"rate": 10.0}], ids=["slow", "narrow"])
def test_a_slow_or_narrow_wire_passes_all_of_it_later(proxy: Proxy, spoilt: dict[str, float]) -> None:
    with connect(proxy, 0.3) as connection:
        for name, value in spoilt.items():
            setattr(proxy, name, value)
        with pytest.raises(TimeoutError):
            heard(connection)
        connection.settimeout(PATIENCE)

        assert connection.recv(1024) == b"hello"
