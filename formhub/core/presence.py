"""Who is there: every process says in Redis which of its parts are alive, so that any of them can tell an operator.

The list is a courtesy: with Redis away nobody is listed, and nothing else changes.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings

from formhub.core.redis import connect

logger = logging.getLogger(__name__)
EVERY_SECONDS = 5.0
# A part that said nothing for so long is taken for dead; a day later it is no longer listed.
SILENT_SECONDS = 30.0
REDIS_SECONDS = 1.0
_KEY = "formhub:present"

# Times are the server's, since clocks of machines differ. ARGV: how many are listed at most, then who is there.
_SAY = """
local now = tonumber(redis.call('TIME')[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 86400)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[1])
"""
_SEEN = """
return {redis.call('TIME')[1], redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
"""
LISTED_MAX = 1000


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """A part of a process, and how many seconds ago it was last heard of."""

    name: str
    host: str
    pid: int
    seconds: float

    @property
    def alive(self) -> bool:
        return self.seconds <= SILENT_SECONDS


def seen() -> list[Seen]:
    """By name. Raises redis.RedisError."""
    with _client() as client:
        now, found = client.eval(_SEEN, 1, _KEY)
    return sorted(_seen(found[i].decode(), float(now) - float(found[i + 1])) for i in range(0, len(found), 2))


class Pulse:
    """`parts`: by name, whether it is alive. Says so until it is stopped, from a thread."""

    def __init__(self, parts: Mapping[str, Callable[[], bool]]) -> None:
        self._parts = parts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._answers = True

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """It leaves the list at once."""
        self._stop.set()
        self._thread.join(3 * REDIS_SECONDS)

    def say(self) -> None:
        alive = [name for name, well in self._parts.items() if well()]
        self._tell(lambda client: client.eval(_SAY, 1, _KEY, LISTED_MAX, *map(_member, alive)))

    def _run(self) -> None:
        while True:
            self.say()
            if self._stop.wait(EVERY_SECONDS):
                break
        self._tell(lambda client: client.zrem(_KEY, *map(_member, self._parts)))

    def _tell(self, what: Callable[[Any], object]) -> None:
        try:
            with _client() as client:
                what(client)
        except redis.RedisError as error:
            if self._answers:
                logger.warning("Redis is away: nobody can be told who is there (%s)", error)
            self._answers = False
        else:
            self._answers = True


def _client() -> Any:
    return connect(settings.REDIS_URL, REDIS_SECONDS)


def _member(name: str) -> str:
    return f"{name} {socket.gethostname()} {os.getpid()}"


def _seen(member: str, seconds: float) -> Seen:
    name, host, pid = member.split(" ")
    return Seen(name, host, int(pid), max(0.0, seconds))


__all__: Sequence[str] = ["SILENT_SECONDS", "Pulse", "Seen", "seen"]
