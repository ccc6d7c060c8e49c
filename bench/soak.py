"""Does a web process keep its size? Minutes of load with answers of every kind: `python -m bench.soak` (`make soak`).

Good submissions, refused ones, bodies beyond the cap, senders that stop half-way, clients that leave before their
answer. The memory of the web process is printed every 15 seconds. Exits non-zero when its median in the last third
exceeds that of the middle third by more than --growth percent; the first third is for caches that fill.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice

import aiohttp
import psutil
from rich.console import Console

from bench.installation import Installation, installation
from bench.load import students
from deploy.local.process import Process, allow_many_files, free_port

SAMPLE_SECONDS = 3
SHOW_SECONDS = 15
BODY_SECONDS = 2
GONE_SECONDS = 0.02
ANSWER_SECONDS = 30
LARGE = 1536 * 1024
BODIES = 500
FORMS = 10
KINDS = {"good": 24, "refused": 4, "too large": 1, "slow": 8, "gone": 2}  # how many clients of each
# What each kind may hear.
EXPECTED = {
    ("good", "202"), ("refused", "422"), ("too large", "413"), ("slow", "408"), ("gone", "-"),
    # The server has answered and closed while the caller still sends.
    ("too large", "ClientOSError"), ("too large", "ServerDisconnectedError"),
}  # fmt: skip
MEGABYTE = 1024 * 1024


class Clients:
    """`heard`: how often each kind of client had which answer."""

    def __init__(self, port: int, forms: list[str], until: float) -> None:
        self.heard: Counter[tuple[str, str]] = Counter()
        self._port = port
        self._paths = [f"/api/v1/forms/{form}/submissions" for form in forms]
        self._bodies = [json.dumps(each).encode() for each in islice(students(5), BODIES)]
        self._until = until
        self._turn = 0

    async def run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            self._session = session
            sends: dict[str, Callable[[str, bytes], Awaitable[str]]] = {
                "good": self._post,
                "refused": lambda path, body: self._post(path, b'{"roll": "1"}'),
                "too large": lambda path, body: self._post(path, b"x" * LARGE),
                "slow": self._slow,
                "gone": self._gone,
            }
            await asyncio.gather(*(self._go_on(kind, sends[kind]) for kind, of in KINDS.items() for _ in range(of)))

    async def _go_on(self, kind: str, send: Callable[[str, bytes], Awaitable[str]]) -> None:
        while time.monotonic() < self._until:
            self._turn += 1
            path, body = self._paths[self._turn % len(self._paths)], self._bodies[self._turn % BODIES]
            try:
                self.heard[kind, await send(path, body)] += 1
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self.heard[kind, type(error).__name__] += 1

    async def _post(self, path: str, body: bytes) -> str:
        headers = {"Content-Type": "application/json"}
        address = f"http://127.0.0.1:{self._port}{path}"
        async with self._session.post(address, data=body, headers=headers) as answer:
            await answer.read()
            return str(answer.status)

    async def _slow(self, path: str, body: bytes) -> str:
        reader, writer = await self._begun(path, body, body[: len(body) // 2])
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return (await reader.readline()).split(b" ", 2)[1].decode()
        finally:
            await _closed(writer)

    async def _gone(self, path: str, body: bytes) -> str:
        _, writer = await self._begun(path, body, body)
        await writer.drain()
        await _closed(writer)
        await asyncio.sleep(GONE_SECONDS)  # it waits for no answer: without this it would be a flood
        return "-"

    async def _begun(self, path: str, body: bytes, part: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        lines = f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"
        writer.write("\r\n".join((*lines, f"Content-Length: {len(body)}", "", "")).encode() + part)
        return reader, writer


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def memory(server: Process) -> float:
    """Of the process that answers, in megabytes: the largest child of the one that minds it."""
    return max(float(child.memory_info().rss) for child in psutil.Process(server.pid).children()) / MEGABYTE


async def soaked(server: Process, clients: Clients, seconds: float, console: Console) -> list[float]:
    """Memory all along."""
    found: list[float] = []
    running = asyncio.create_task(clients.run())
    began = time.monotonic()
    while not running.done():
        await asyncio.wait([running], timeout=SAMPLE_SECONDS)
        passed = time.monotonic() - began
        if passed > seconds:
            continue  # the last answers
        found.append(memory(server))
        if len(found) % (SHOW_SECONDS // SAMPLE_SECONDS) == 0:
            console.print(f"{passed:6.0f} s  {found[-1]:7.1f} MB  {clients.heard.total():9,} answers")
    await running
    return found


def growth(found: list[float]) -> float:
    """Of the last third's median beyond the middle third's, in percent."""
    third = len(found) // 3
    middle, last = statistics.median(found[third : 2 * third]), statistics.median(found[-third:])
    return 100 * (last / middle - 1)


def run(made: Installation, minutes: float, console: Console) -> tuple[float, Counter[tuple[str, str]]]:
    port = free_port()
    forms = [form["public_id"] for form in made.forms(FORMS)]
    server = made.start("web", [sys.executable, "-m", "formhub.serve", "--port", str(port)], port)
    try:
        clients = Clients(port, forms, time.monotonic() + 60 * minutes)
        found = asyncio.run(soaked(server, clients, 60 * minutes, console))
    finally:
        server.stop()
    return growth(found), clients.heard


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--growth", type=float, default=5, help="percent that are still good")
    options = parser.parse_args()
    console = Console()
    allow_many_files()
    with installation(console.print, WEB_BODY_SECONDS=str(BODY_SECONDS), WEB_DRAIN_SECONDS="0") as made:
        grown, heard = run(made, options.minutes, console)
    for (kind, answer), times in sorted(heard.items()):
        console.print(f"{kind:>10}: {answer:<24} {times:9,}")
    console.print(f"The last third holds {grown:+.1f} % more than the middle one; {options.growth:.0f} % are good.")
    unexpected = heard.keys() - EXPECTED
    if unexpected:
        console.print(f"[red]Not expected:[/] {sorted(unexpected)}")
    return 1 if unexpected or grown > options.growth else 0


if __name__ == "__main__":
    sys.exit(main())
