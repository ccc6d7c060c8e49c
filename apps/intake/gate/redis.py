"""The gate's store in Redis: a turn is one script, one round trip."""

from collections.abc import Sequence
from typing import Any

import redis

from apps.intake.gate.base import RUNNING_SECONDS, Call, Enter, Entry, GateAwayError, Limit, Settle, Standing
from formhub.core.redis import connect

_PREFIX = "formhub:intake:"
_NOTHING = Entry()

# KEYS: of each call in turn; ARGV: of each call its letter and what it needs. A record is one letter, the fingerprint,
# and the rest.
# e  KEYS: the limits' keys, then the claim's if there is one. ARGV: the number of limits, amount and seconds of each,
#    then 1, the claim's running record and its seconds, or 0. Reply: the limit without room (from 1, or 0), the record
#    held by another try (or ''), then for each limit the hits of this window, of the last one, and the milliseconds
#    into this.
# s  KEYS: the claim's. ARGV: its fingerprint, the record to keep, its seconds.
# r  KEYS: the claim's. ARGV: its running record.
_TURN = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local k, a = 0, 0

local function key() k = k + 1; return KEYS[k] end
local function arg() a = a + 1; return ARGV[a] end

local function enter()
  local count = tonumber(arg())
  local windows, amounts, lengths = {}, {}, {}
  for i = 1, count do
    amounts[i], lengths[i] = tonumber(arg()), tonumber(arg())
    local name, number = key(), math.floor(now / lengths[i])
    windows[2 * i - 1] = name .. ':' .. number
    windows[2 * i] = name .. ':' .. (number - 1)
  end
  local claim, record, life
  if arg() == '1' then claim, record, life = key(), arg(), arg() end
  local hits = count > 0 and redis.call('MGET', unpack(windows)) or {}
  local reply = {0, ''}
  for i = 1, count do
    local current, previous = tonumber(hits[2 * i - 1] or 0), tonumber(hits[2 * i] or 0)
    local elapsed = now % lengths[i]
    if reply[1] == 0 and current + previous * (1 - elapsed / lengths[i]) + 1 > amounts[i] then
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
      redis.call('EXPIRE', windows[2 * i - 1], 2 * lengths[i] + 1)
    end
  end
  if claim then
    local held = redis.call('GET', claim)
    if held then
      reply[2] = held
    else
      redis.call('SET', claim, record, 'EX', life)
    end
  end
  return reply
end

local function settle()
  local claim, fingerprint, record, life = key(), arg(), arg(), arg()
  local held = redis.call('GET', claim)
  if not held or string.sub(held, 2, 1 + #fingerprint) == fingerprint then
    redis.call('SET', claim, record, 'EX', life)
  end
  return 0
end

local function release()
  local claim = key()
  if redis.call('GET', claim) == arg() then
    redis.call('DEL', claim)
  end
  return 0
end

local calls = {e = enter, s = settle, r = release}
local replies = {}
while a < #ARGV do
  replies[#replies + 1] = calls[arg()]()
end
return replies
"""


class RedisStore:
    """`timeout` bounds each wait for the server, in seconds; `keep_seconds` is the life of a done record."""

    def __init__(self, url: str, timeout: float, keep_seconds: int) -> None:
        # Not retried here: a repeated turn would count twice, and the caller goes on without Redis anyway.
        client: Any = connect(url, timeout, decode=True)
        self.keep_seconds = keep_seconds
        self._turn = client.register_script(_TURN)

    def turn(self, calls: Sequence[Call]) -> list[Entry]:
        keys: list[str] = []
        args: list[str | int] = []
        for call in calls:
            self._write(call, keys, args)
        try:
            replies = self._turn(keys=keys, args=args)
        except redis.RedisError as error:
            raise GateAwayError(type(error).__name__) from error
        return [
            _entry(call.limits, reply) if isinstance(call, Enter) else _NOTHING
            for call, reply in zip(calls, replies, strict=True)
        ]

    def _write(self, call: Call, keys: list[str], args: list[str | int]) -> None:
        if isinstance(call, Enter):
            args += ("e", len(call.limits))
            for limit in call.limits:
                keys.append(_PREFIX + limit.key)
                args += (limit.amount, limit.seconds)
            args += (1, call.claim.running, RUNNING_SECONDS) if call.claim else (0,)
        elif isinstance(call, Settle):
            args += ("s", call.claim.fingerprint, call.claim.done(call.answer), self.keep_seconds)
        else:
            args += ("r", call.claim.running)
        if call.claim:
            keys.append(_PREFIX + call.claim.key)


def _entry(limits: Sequence[Limit], reply: list[Any]) -> Entry:
    exceeded, held, *figures = reply
    rows = zip(figures[0::3], figures[1::3], figures[2::3], strict=True)
    standings = tuple(
        Standing(limit, current, previous, milliseconds / 1000)
        for limit, (current, previous, milliseconds) in zip(limits, rows, strict=True)
    )
    return Entry(standings, standings[exceeded - 1] if exceeded else None, held or None)
