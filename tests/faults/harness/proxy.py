"""A TCP proxy whose wire can be spoilt: slow, narrow, cut, or half open.

Half open is what a host that vanished leaves behind: connections stand, bytes go nowhere and nobody is told.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

BLOCK = 64 * 1024
ACTION_SECONDS = 10.0


class Proxy:
    """From a port of its own to `target` (host, port); runs in a thread until `stop`.

    delay: seconds for each block on its way. rate: bytes a second in each direction of a connection, None as fast as
    possible. They hold for open connections too, and so do `cut` and `half_open`.
    """

    def __init__(self, target: tuple[str, int], port: int) -> None:
        self.target = target
        self.port = port
        self.delay = 0.0
        self.rate: float | None = None
        self._refusing = False
        self._gate: asyncio.Event
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy-{port}", daemon=True)

    def start(self) -> "Proxy":
        self._thread.start()
        self._do(self._listen())
        return self

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ACTION_SECONDS)

    def cut(self) -> None:
        """Reset every connection, and each new one, until `heal`."""
        self._refusing = True
        self._do(self._reset())

    def half_open(self) -> None:
        """Take connections and bytes and pass nothing on, until `heal`, which resets what was open then."""
        self._do(self._hold())

    def heal(self) -> None:
        self.delay, self.rate, self._refusing = 0.0, None, False
        self._do(self._let_go())

    # In the loop

    async def _listen(self) -> None:
        self._gate = asyncio.Event()
        self._gate.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=BLOCK)

    async def _end(self) -> None:
        self._server.close()
        await self._reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _reset(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _hold(self) -> None:
        self._gate.clear()

    async def _let_go(self) -> None:
        if not self._gate.is_set():
            # Bytes were swallowed: a connection that went on would be a wire that loses the middle of a stream.
            await self._reset()
            self._gate.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(*self.target, limit=BLOCK)
        except OSError:
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(back)
        ways = [asyncio.ensure_future(self._pump(reader, back)), asyncio.ensure_future(self._pump(there, writer))]
        try:
            # No protocol here closes one way only: whoever is left would wait for ever.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for each in (writer, back):
                self._writers.discard(each)
                each.close()  # after what was said before

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(BLOCK):
                if not self._gate.is_set():
                    continue
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.rate:
                    await asyncio.sleep(len(block) / self.rate)
                writer.write(block)
                await writer.drain()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(ACTION_SECONDS)
