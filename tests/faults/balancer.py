"""A small TCP balancer that goes by /readyz, as a load balancer in front of several web processes does."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

CHECK_SECONDS = 0.2
WAIT_SECONDS = 30.0
CHUNK = 64 * 1024
CONNECTIONS_MAX = 256


@dataclass
class Backend:
    port: int
    ready: bool = False


@dataclass
class Balancer:
    """Gives each connection to a ready backend in turn, and carries bytes both ways until one side ends.

    It runs in a thread of its own between `start` and `stop`. Nothing is tried again: what a backend breaks off, the
    client sees. `refused` counts connections for which there was nobody.
    """

    ports: Sequence[int]
    refused: int = 0
    port: int = 0
    _turn: count = field(default_factory=count)  # type: ignore[type-arg]

    def __post_init__(self) -> None:
        self._backends = [Backend(port) for port in self.ports]
        self._begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="balancer", daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> list[int]:
        return [backend.port for backend in self._backends if backend.ready]

    def start(self) -> None:
        self._thread.start()
        assert self._begun.wait(WAIT_SECONDS), "the balancer did not begin"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(WAIT_SECONDS)

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        checks = [asyncio.create_task(self._check(backend)) for backend in self._backends]
        self._begun.set()
        await self._end.wait()
        server.close()
        for check in checks:
            check.cancel()

    async def _check(self, backend: Backend) -> None:
        while True:
            backend.ready = await self._asked(backend.port)
            await asyncio.sleep(CHECK_SECONDS)

    async def _asked(self, port: int) -> bool:
        with suppress(OSError, asyncio.TimeoutError):
            async with asyncio.timeout(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                    return b" 200 " in await reader.readline()
                finally:
                    writer.close()
        return False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._room:
            ready = self.ready()
            if not ready:
                self.refused += 1
                writer.close()
                return
            with suppress(OSError, asyncio.TimeoutError):
                async with asyncio.timeout(WAIT_SECONDS):
                    far = await asyncio.open_connection("127.0.0.1", ready[next(self._turn) % len(ready)])
                await self._carry((reader, writer), far)
            writer.close()

    async def _carry(
        self,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Until the backend has said all it has to say: then the client hears its end too."""
        outwards = asyncio.create_task(self._pump(near[0], far[1]))
        try:
            await self._pump(far[0], near[1])
        finally:
            outwards.cancel()
            far[1].close()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.TimeoutError):
            while data := await asyncio.wait_for(source.read(CHUNK), WAIT_SECONDS):
                target.write(data)
                await target.drain()
            if target.can_write_eof():
                target.write_eof()
