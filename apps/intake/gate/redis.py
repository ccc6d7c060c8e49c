"""The gate in Redis: one script, one round trip."""

from collections.abc import Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.intake.gate.base import RUNNING_SECONDS, Claim, Entry, GateAwayError, Limit, Standing

_PREFIX = "formhub:intake:"

# KEYS: the limits' keys, then the claim's if there is one. ARGV: the number of limits, amount and seconds of each,
# then the claim's running record and its seconds. Reply: the limit without room (from 1, or 0), the record held by
# another try (or ''), then for each limit the hits of this window, of the last one, and the milliseconds into this.
_ENTER = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local count = tonumber(ARGV[1])
local windows = {}
for i = 1, count do
  local number = math.floor(now / ARGV[2 * i + 1])
  windows[2 * i - 1] = KEYS[i] .. ':' .. number
  windows[2 * i] = KEYS[i] .. ':' .. (number - 1)
end
local hits = count > 0 and redis.call('MGET', unpack(windows)) or {}
local reply = {0, ''}
for i = 1, count do
  local amount, seconds = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local current, previous = tonumber(hits[2 * i - 1] or 0), tonumber(hits[2 * i] or 0)
  local elapsed = now % seconds
  if reply[1] == 0 and current + previous * (1 - elapsed / seconds) + 1 > amount then
    reply[1] = i
  end
  reply[3 * i], reply[3 * i + 1], reply[3 * i + 2] = current, previous, math.floor(elapsed * 1000)
end
if reply[1] > 0 then
  return reply
end
for i = 1, count do
  reply[3 * i] = redis.call('INCR', windows[2 * i - 1])
  if reply[3 * i] == 1 then
    redis.call('EXPIRE', windows[2 * i - 1], 2 * ARGV[2 * i + 1] + 1)
  end
end
local claim = KEYS[count + 1]
if claim then
  local held = redis.call('GET', claim)
  if held then
    reply[2] = held
  else
    redis.call('SET', claim, ARGV[2 * count + 2], 'EX', ARGV[2 * count + 3])
  end
end
return reply
"""

# ARGV: the claim's fingerprint, the record to keep, its seconds. A record is one letter, the fingerprint, the rest.
_SETTLE = """
local held = redis.call('GET', KEYS[1])
if not held or string.sub(held, 2, 1 + #ARGV[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
end
return 0
"""

_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 0
"""


class RedisGate:
    """`timeout` bounds each wait for the server, in seconds; `keep_seconds` is the life of a done record."""

    def __init__(self, url: str, timeout: float, keep_seconds: int) -> None:
        # Not retried here: a repeated `enter` would count twice, and the caller goes on without Redis anyway.
        client: Any = redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self.client = client
        self.keep_seconds = keep_seconds
        self._enter = client.register_script(_ENTER)
        self._settle = client.register_script(_SETTLE)
        self._release = client.register_script(_RELEASE)

    def enter(self, limits: Sequence[Limit], claim: Claim | None) -> Entry:
        keys = [_PREFIX + limit.key for limit in limits]
        args: list[str | int] = [len(limits)]
        for limit in limits:
            args += (limit.amount, limit.seconds)
        if claim:
            keys.append(_PREFIX + claim.key)
            args += (claim.running, RUNNING_SECONDS)
        return _entry(limits, self._run(self._enter, keys, args))

    def settle(self, claim: Claim, answer: str) -> None:
        args: list[str | int] = [claim.fingerprint, claim.done(answer), self.keep_seconds]
        self._run(self._settle, [_PREFIX + claim.key], args)

    def release(self, claim: Claim) -> None:
        self._run(self._release, [_PREFIX + claim.key], [claim.running])

    def _run(self, script: Any, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        try:
            return script(keys=keys, args=args)
        except redis.RedisError as error:
            raise GateAwayError(type(error).__name__) from error


def _entry(limits: Sequence[Limit], reply: list[Any]) -> Entry:
    exceeded, held, *figures = reply
    rows = zip(figures[0::3], figures[1::3], figures[2::3], strict=True)
    standings = tuple(
        Standing(limit, current, previous, milliseconds / 1000)
        for limit, (current, previous, milliseconds) in zip(limits, rows, strict=True)
    )
    return Entry(standings, standings[exceeded - 1] if exceeded else None, held or None)
