"""How many mails may go to one mailbox and out of one organization: counted in Redis, by every worker alike.

Where it cannot be counted nothing is sent: somebody's mailbox must not fill up because our counter is away.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.crypto import salted_hmac
from redis.exceptions import RedisError

from formhub.core.redis import connect

PREFIX = "formhub:mails"
HOUR, DAY = 3600, 86_400
SECONDS = 3.0  # for an answer: a mail that waits for it costs less than one that is put off

# Each key is a sorted set of the mails of a window by their time, no larger than what it allows. One that is in it
# already is free, so that a repeat costs nothing. Takes one of each or of none: 0, or which is full and for how long.
_TAKE = """
local now = tonumber(redis.call('TIME')[1])
for i, key in ipairs(KEYS) do
  local seconds, most = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - seconds)
  if not redis.call('ZSCORE', key, ARGV[1]) and redis.call('ZCARD', key) >= most then
    local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    return {i, math.max(1, tonumber(oldest[2]) + seconds - now)}
  end
end
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, 'NX', now, ARGV[1])
  redis.call('EXPIRE', key, ARGV[2 * i])
end
return {0, 0}
"""


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many mails in so many seconds for all that share the key."""

    key: str
    seconds: int
    most: int


class UncountedError(Exception):
    """The server that counts is away."""


@dataclass(frozen=True, slots=True)
class Full:
    """There is room again after so many seconds."""

    cap: Cap
    seconds: float


def take(mail: str, caps: Sequence[Cap]) -> Full | None:
    """Count a mail under each cap; none is changed where one is full. Raises UncountedError."""
    arguments = [str(each) for cap in caps for each in (cap.seconds, cap.most)]
    try:
        script = _client(settings.REDIS_URL).register_script(_TAKE)
        which, seconds = script(keys=[f"{PREFIX}:{cap.key}" for cap in caps], args=[mail, *arguments])
    except RedisError as error:
        raise UncountedError from error
    return Full(caps[which - 1], float(seconds)) if which else None


def give_back(mail: str, caps: Sequence[Cap]) -> None:
    """The mail was certainly not sent. Where it cannot be given back it counts until the window is over."""
    with suppress(RedisError), _client(settings.REDIS_URL).pipeline() as pipe:
        for cap in caps:
            pipe.zrem(f"{PREFIX}:{cap.key}", mail)
        pipe.execute()


def of_organization(kind: str, organization: UUID) -> tuple[Cap, Cap]:
    key = f"{kind}:{organization}"
    return (
        Cap(f"{key}:hour", HOUR, settings.MAIL_PER_ORGANIZATION_HOUR),
        Cap(f"{key}:day", DAY, settings.MAIL_PER_ORGANIZATION_DAY),
    )


def mark(mailbox: str) -> str:
    """A mailbox in a key: no address stands in Redis."""
    return salted_hmac("formhub.sinks.mails", mailbox, algorithm="sha256").hexdigest()[:32]


@lru_cache(maxsize=2)
def _client(url: str) -> Any:
    return connect(url, SECONDS, retries=1)
