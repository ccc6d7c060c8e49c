"""A TCP proxy whose wire can be spoilt: slow, narrow, cut, half open, or deaf in one direction.

Half open is what a host that vanished leaves behind: connections stand, bytes go nowhere and nobody is told.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Container, Coroutine
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any

BLOCK = 64 * 1024
ACTION_SECONDS = 10.0


class Way(Flag):
    """Of bytes: from client to target, or back."""

    THERE = auto()
    BACK = auto()


NEITHER, BOTH = Way(0), Way.THERE | Way.BACK


Ports = Callable[[], Container[int]]


def everybody() -> Container[int]:
    return range(2**16)


@dataclass(eq=False)
class _Link:
    """A client's connection and ours to the target. lost: the ways on which bytes go nowhere."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter | None = None
    lost: Way = NEITHER

    @property
    def port(self) -> int:
        """The client's; 0 of one that is gone already."""
        return int((self.near.get_extra_info("peername") or ("", 0))[1])

    def reset(self) -> None:
        for writer in (self.near, self.far):
            if writer:
                writer.transport.abort()


class Proxy:
    """From a port of its own to `target` (host, port); runs in a thread until `stop`.

    delay: seconds for each block on its way. rate: bytes a second in each direction of a connection, None as fast as
    possible. They hold for open connections too, and so do `cut`, `half_open` and `swallow`.
    """

    def __init__(self, target: tuple[str, int], port: int) -> None:
        self.target = target
        self.port = port
        self.delay = 0.0
        self.rate: float | None = None
        self._refusing = False
        self._lost = NEITHER
        self._whose: Ports = everybody
        self._links: set[_Link] = set()
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
        self._do(self._reset(lambda link: True))

    def half_open(self) -> None:
        """Take connections and bytes and pass nothing on, until `heal`, which resets what was open then."""
        self.swallow(BOTH)

    def swallow(self, way: Way, whose: Ports = everybody) -> None:
        """Half open on this way alone, for clients that come from one of the ports that `whose` gives when asked."""
        self._do(self._lose(way, whose))

    def heal(self) -> None:
        self.delay, self.rate, self._refusing = 0.0, None, False
        self._do(self._find_again())

    # In the loop

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=BLOCK)

    async def _end(self) -> None:
        self._server.close()
        await self._reset(lambda link: True)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _reset(self, chosen: Callable[[_Link], bool]) -> None:
        for link in filter(chosen, list(self._links)):
            link.reset()

    async def _lose(self, way: Way, whose: Ports) -> None:
        self._lost, self._whose = way, whose
        await self._spoil(set(self._links))

    async def _spoil(self, links: set[_Link]) -> None:
        way = self._lost
        ports = await asyncio.to_thread(self._whose) if way else ()
        for link in links:
            if link.port in ports:
                link.lost |= way

    async def _find_again(self) -> None:
        self._lost, self._whose = NEITHER, everybody
        # Bytes were swallowed: a connection that went on would be a wire that loses the middle of a stream.
        await self._reset(lambda link: bool(link.lost))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        link = _Link(writer)
        self._links.add(link)
        try:
            await self._spoil({link})
            there, link.far = await asyncio.open_connection(*self.target, limit=BLOCK)
            await self._carry(link, reader, there)
        except OSError:
            writer.transport.abort()
        finally:
            self._links.discard(link)

    async def _carry(self, link: _Link, near: asyncio.StreamReader, far: asyncio.StreamReader) -> None:
        assert link.far
        ways = [
            asyncio.ensure_future(self._pump(link, Way.THERE, near, link.far)),
            asyncio.ensure_future(self._pump(link, Way.BACK, far, link.near)),
        ]
        try:
            # No protocol here closes one way only: whoever is left would wait for ever.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for each in (link.near, link.far):
                each.close()  # after what was said before

    async def _pump(self, link: _Link, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(BLOCK):
                if way in link.lost:
                    continue
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.rate:
                    await asyncio.sleep(len(block) / self.rate)
                writer.write(block)
                await writer.drain()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(ACTION_SECONDS)
