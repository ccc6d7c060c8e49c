"""Where actions deliver to in a benchmark: a web service and a mail server that fail as they are told, until healed.

`python -m bench.destinations HTTP_PORT MAIL_PORT`. A path names how calls to it end and whose they are: /hang/7. Mails
fail for recipients named so: hang-7@example.org is refused for the moment. POST /heal ends all trouble; GET /taken
tells, by path or recipient, which submissions arrived and how often.
"""

import asyncio
import email
import re
import sys
from collections import Counter, defaultdict
from typing import Any

from aiohttp import web
from aiosmtpd.controller import Controller

OK = "ok"
# How calls end as long as nobody has healed them: the ways in which services fail, one after the other.
FAILURES = ("hang", "reset", "error", "busy", "slow", "garbage", "gone", "moved")
HANGS_SECONDS = 60.0
SLOW_SECONDS = 4.0
TAKES_SECONDS = 0.02
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


class Destinations:
    def __init__(self) -> None:
        self.healed = asyncio.Event()
        self.taken: dict[str, Counter[str]] = defaultdict(Counter)

    def take(self, place: str, text: str) -> None:
        self.taken[place].update(set(_ID.findall(text)))

    async def call(self, request: web.Request) -> web.StreamResponse:
        text = (await request.read()).decode(errors="replace")
        failure = OK if self.healed.is_set() else request.match_info["failure"]
        if failure == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        elif failure != OK:
            return await self._fail(failure, request)
        await asyncio.sleep(TAKES_SECONDS)
        self.take(request.path, text)
        return web.Response(text="ok")

    async def _fail(self, failure: str, request: web.Request) -> web.StreamResponse:
        match failure:
            case "hang":
                await asyncio.wait([asyncio.ensure_future(self.healed.wait())], timeout=HANGS_SECONDS)
            case "reset":
                assert request.transport is not None
                request.transport.abort()
            case "busy":
                return web.Response(status=429, headers={"Retry-After": "2"})
            case "garbage":
                return web.Response(status=502, body=bytes(range(256)) * 40, content_type="text/html")
            case "gone":
                return web.Response(status=410)
            case "moved":
                return web.Response(status=302, headers={"Location": "http://127.0.0.1/elsewhere"})
        return web.Response(status=500, text="out of order")

    async def heal(self, request: web.Request) -> web.Response:
        self.healed.set()
        return web.Response()

    async def tell(self, request: web.Request) -> web.Response:
        return web.json_response(self.taken)

    # What aiosmtpd asks, on a thread of its own.

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address.partition("-")[0] in FAILURES and not self.healed.is_set():
            return "451 try again later"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        message = email.message_from_bytes(envelope.content)
        parts = [part for part in message.walk() if part.get_content_type() == "text/plain"]
        text = "".join(part.get_payload(decode=True).decode() for part in parts)  # type: ignore[union-attr]
        for address in envelope.rcpt_tos:
            self.take(address, text)
        return "250 taken"


async def serve(http_port: int, mail_port: int) -> None:
    found = Destinations()
    mail = Controller(found, hostname="127.0.0.1", port=mail_port)
    mail.start()
    site = web.Application(client_max_size=16 * 1024 * 1024)
    site.add_routes(
        [web.post("/heal", found.heal), web.get("/taken", found.tell), web.post("/{failure}/{rest:.*}", found.call)]
    )
    runner = web.AppRunner(site, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", http_port).start()
    try:
        await asyncio.Event().wait()
    finally:
        mail.stop()
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
