"""`python -m tests.idle_clients ADDRESS PORT COUNT`: so many connections that stay, each with one request behind it.

Prints how many were made and answered, and holds them until its input ends; then asks once more on each, and prints on
how many there is neither an answer nor an end: a server may close what is idle. `ADDRESS`: of this side, so that two of
them do not share the ports of one.
"""

import asyncio
import sys

from deploy.local.process import allow_many_files

AT_ONCE = 100
SECONDS = 60
REQUEST = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
BODY = b"ok\n"
ANSWERED, REFUSED, ENDED, SILENT = "answered", "refused", "ended", "silent"
Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connected(address: str, port: int, room: asyncio.Semaphore) -> Link | None:
    async with room:
        try:
            async with asyncio.timeout(SECONDS):
                link = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0), limit=4096)
        except OSError:  # a timeout too
            return None
    return link if await asked(link, room) == ANSWERED else None


async def asked(link: Link, room: asyncio.Semaphore) -> str:
    reader, writer = link
    async with room:
        try:
            async with asyncio.timeout(SECONDS):
                writer.write(REQUEST)
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(len(BODY))
        except TimeoutError:
            return SILENT
        except (OSError, asyncio.IncompleteReadError):
            return ENDED
    return ANSWERED if head.startswith(b"HTTP/1.1 200") and body == BODY else REFUSED


async def hold(address: str, port: int, count: int) -> None:
    room = asyncio.Semaphore(AT_ONCE)
    made = await asyncio.gather(*(connected(address, port, room) for _ in range(count)))
    links = [link for link in made if link]
    print(len(links), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    again = await asyncio.gather(*(asked(link, room) for link in links))
    print(again.count(SILENT) + again.count(REFUSED), flush=True)
    for _, writer in links:
        writer.close()


def main() -> None:
    allow_many_files()
    address, port, count = sys.argv[1:]
    asyncio.run(hold(address, int(port), int(count)))


if __name__ == "__main__":
    main()
