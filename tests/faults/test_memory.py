"""A web server that is sent more than it can hold: its own bounds keep it small, and one that is killed comes back."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import aiohttp
import psutil
import pytest

from tests.canary import ANSWER
from tests.faults.harness import memory
from tests.faults.harness.case import MEMORY_MAX, Case
from tests.faults.harness.signs import absent, rises
from tests.stack import wait_until

CONNECTIONS = 200
MEBIBYTE = 1024 * 1024
# Less than it may hold of bodies.
ROOM = 16 * MEBIBYTE
FULL_SECONDS = 60
BACK_SECONDS = 60
pytestmark = pytest.mark.skipif(memory.root() is None, reason="bounds on memory are control groups: needs root")


class Flood:
    """CONNECTIONS that send one large body after the other, all of which are to be refused, until the block ends."""

    def __init__(self, url: str, bodies: Sequence[bytes]) -> None:
        self._url = url
        self._bodies = bodies
        self._enough = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="flood", daemon=True)
        self.statuses: Counter[int] = Counter()  # 0: the connection ended before an answer came

    def __enter__(self) -> "Flood":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._enough.set()
        self._thread.join()  # each ends with its answer, or its time

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=FULL_SECONDS)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            await asyncio.gather(*(self._send(session, number) for number in range(CONNECTIONS)))

    async def _send(self, session: aiohttp.ClientSession, number: int) -> None:
        body = self._bodies[number % len(self._bodies)]
        while not self._enough.is_set():
            try:
                async with session.post(self._url, data=body, headers={"Content-Type": "application/json"}) as answer:
                    await answer.read()
                    self.statuses[answer.status] += 1
            except (aiohttp.ClientError, OSError):  # a timeout too
                self.statuses[0] += 1
                await asyncio.sleep(0.1)


def flood(case: Case) -> Flood:
    return Flood(case.targets[0]["submit_url"], [large(MEBIBYTE), large(MEBIBYTE + 1), large(2 * MEBIBYTE)])


def large(size: int) -> bytes:
    """Answers of that many bytes, of which the form takes none: they are read, held, and refused."""
    body: dict[str, Any] = {"name": "", "university": ANSWER}
    room = size - len(json.dumps(body))
    return json.dumps({**body, "name": "x" * room}).encode()


@pytest.mark.shows(rises("formhub_web_refused_total", "WebBusy", reason="busy"))
def test_web_full_of_bodies(case: Case) -> None:
    """200 connections with bodies of 1 MiB and more, to a web server of bounded memory: it refuses in time"""
    with web_in_group(case) as group:
        group.limit(MEMORY_MAX["web"])
        case.world.restart("web")
        before = workers(case)
        with case.load() as load, flood(case) as sent:
            wait_until(lambda: {413, 503} <= sent.statuses.keys(), FULL_SECONDS, "some are refused")
            load.more(60, FULL_SECONDS * 2)
        assert workers(case) == before, "nobody was killed"
    with case.load() as load:
        load.more(40)

    case.judge()
    assert set(sent.statuses) <= {0, 413, 422, 503}, sent.statuses


@pytest.mark.shows(absent("formhub_processes", "WebMissing", role="web"))
def test_web_out_of_memory(case: Case) -> None:
    """a web server's process killed by the kernel for want of memory: its master starts another"""
    with web_in_group(case) as group:
        case.world.restart("web")
        [before] = workers(case)
        server = case.world.stack.processes["web"]
        with case.load() as load:
            load.more(40)
            group.limit(group.used() + ROOM)
            with flood(case):
                wait_until(lambda: before not in workers(case), FULL_SECONDS, "its process is killed")
            group.limit(MEMORY_MAX["web"])
            wait_until(server.ready, BACK_SECONDS, "it is back by itself")
            load.more(40)
        assert server.alive(), "it is the same server"
    with case.load() as load:
        load.more(40)

    case.judge()


@contextmanager
def web_in_group(case: Case) -> Iterator[memory.Memory]:
    """Web servers that are started here are in a control group; afterwards one starts that is in none."""
    with memory.bounded() as group:
        case.world.stack.prefix["web"] = group.prefix
        try:
            yield group
        finally:
            del case.world.stack.prefix["web"]
            case.world.kill("web")
        case.healed()


def workers(case: Case) -> list[int]:
    """The processes that the web server's master has made and that answer."""
    master = psutil.Process(case.world.stack.processes["web"].pid)
    return sorted(each.pid for each in master.children(recursive=True) if each.is_running())
