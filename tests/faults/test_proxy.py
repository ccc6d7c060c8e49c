"""The proxy spoils the wire as it says."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from deploy.local.process import free_port
from tests.faults.harness.proxy import Proxy, Way
from tests.stack import wait_until

PATIENCE = 5.0


class Echo:
    """A server that says everything back. said: what it has heard so far."""

    def __init__(self, server: socket.socket) -> None:
        self.address: tuple[str, int] = server.getsockname()
        self.said = b""
        self._server = server
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._repeat, args=(connection,), daemon=True).start()

    def _repeat(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            while block := connection.recv(1024):
                self.said += block
                connection.sendall(block)


@pytest.fixture
def echo() -> Iterator[Echo]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Echo(server)


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    running = Proxy(echo.address, free_port()).start()
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


def test_what_is_swallowed_on_the_way_there_is_never_heard(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy, 0.5) as connection:
        assert heard(connection) == b"hello"
        proxy.swallow(Way.THERE)
        with pytest.raises(TimeoutError):
            heard(connection, b"again")

        assert echo.said == b"hello"


def test_what_is_swallowed_on_the_way_back_was_heard(proxy: Proxy, echo: Echo) -> None:
    with connect(proxy, 0.5) as connection:
        proxy.swallow(Way.BACK)
        with pytest.raises(TimeoutError):
            heard(connection)

        wait_until(lambda: echo.said == b"hello", PATIENCE, "the server hears it")
        proxy.heal()
        assert ended(connection)


def test_a_way_is_lost_for_chosen_clients_alone_in_what_they_open_later_too(proxy: Proxy) -> None:
    with connect(proxy, 0.5) as chosen, connect(proxy) as other:
        assert heard(chosen) == heard(other) == b"hello"
        spared = other.getsockname()[1]
        proxy.swallow(Way.THERE, lambda: set(range(2**16)) - {spared})

        with pytest.raises(TimeoutError):
            heard(chosen)
        with connect(proxy, 0.5) as later, pytest.raises(TimeoutError):
            heard(later)
        proxy.heal()
        assert heard(other) == b"hello"


@pytest.mark.parametrize("spoilt", [{"delay": 0.6}, {"rate": 10.0}], ids=["slow", "narrow"])
def test_a_slow_or_narrow_wire_passes_all_of_it_later(proxy: Proxy, spoilt: dict[str, float]) -> None:
    with connect(proxy, 0.3) as connection:
        for name, value in spoilt.items():
            setattr(proxy, name, value)
        with pytest.raises(TimeoutError):
            heard(connection)
        connection.settimeout(PATIENCE)

        assert connection.recv(1024) == b"hello"
