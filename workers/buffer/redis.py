"""The buffer on a Redis or Valkey server of its own: never evicting, no key with a time to live.

Keys: `<prefix>:ready`, a sorted set of destinations by the time they are due; `<prefix>:total`, the number of all
entries; `<prefix>:a:<action>`, a sorted set of submissions (16 bytes of the id) by position.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from redis import Redis
from redis.exceptions import RedisError

from workers.buffer.base import Appended, BufferUnavailableError, Group, Limits

P = ParamSpec("P")
R = TypeVar("R")

# What one entry takes of the server's memory (some 80 bytes measured, and room for fragments), so that a cap in bytes
# can be kept by counting.
ENTRY_BYTES = 120

# Positions stay text throughout: Lua would print a large number with 14 digits. ZADD gets at most 1,000 members at
# a time because Lua hands over at most some 8,000 arguments.
_APPEND = """
local now, cap, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local i, added, over = 4, 0, {}
for k = 3, #KEYS do
  local destination, due, full, n = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  i = i + 4
  local size = redis.call('ZCARD', KEYS[k])
  local total = tonumber(redis.call('GET', KEYS[2]) or '0')
  local take = math.max(0, math.min(n, cap - size, room - total))
  local new = 0
  for first = 0, take - 1, 1000 do
    local last = math.min(first + 1000, take)
    new = new + redis.call('ZADD', KEYS[k], 'NX', unpack(ARGV, i + 2 * first, i + 2 * last - 1))
  end
  if new > 0 then redis.call('INCRBY', KEYS[2], new) end
  added = added + new
  over[#over + 1] = take < n and ARGV[i + 2 * take] or ''
  if take < n or size + new >= full then
    redis.call('ZADD', KEYS[1], 'LT', now, destination)
  else
    redis.call('ZADD', KEYS[1], 'NX', due, destination)
  end
  i = i + 2 * n
end
return {added, over}
"""

_DUE = """
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, destination in ipairs(found) do redis.call('ZADD', KEYS[1], 'XX', ARGV[3], destination) end
return found
"""

_SETTLE = """
local destination, now, due, full = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local left = 0
for k = 3, #KEYS do
  local gone = redis.call('ZREMRANGEBYSCORE', KEYS[k], '-inf', ARGV[k + 2])
  if gone > 0 then redis.call('DECRBY', KEYS[2], gone) end
  left = left + redis.call('ZCARD', KEYS[k])
end
if left == 0 then
  redis.call('ZREM', KEYS[1], destination)
else
  redis.call('ZADD', KEYS[1], left >= full and now or due, destination)
end
return left
"""

_FORGET = """
for k = 2, #KEYS do
  local gone = redis.call('ZREM', KEYS[k], unpack(ARGV))
  if gone > 0 then redis.call('DECRBY', KEYS[1], gone) end
end
"""

_DROP = """
local gone = redis.call('ZCARD', KEYS[2])
redis.call('DEL', KEYS[2])
if gone > 0 then redis.call('DECRBY', KEYS[1], gone) end
"""


def _guarded(method: Callable[P, R]) -> Callable[P, R]:
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except RedisError as error:
            raise BufferUnavailableError(f"the buffer does not answer ({type(error).__name__})") from error

    return call


class RedisBuffer:
    def __init__(self, client: "Redis", limits: Limits, prefix: str = "formhub:buffer") -> None:
        self._client = client
        self._limits = limits
        self._prefix = prefix
        self._ready, self._total = f"{prefix}:ready", f"{prefix}:total"
        self._append = client.register_script(_APPEND)
        self._due = client.register_script(_DUE)
        self._settle = client.register_script(_SETTLE)
        self._forget = client.register_script(_FORGET)
        self._drop = client.register_script(_DROP)

    @_guarded
    def append(self, groups: Sequence[Group], now: float) -> Appended:
        if not groups:
            return Appended(0, {})
        args: list[Any] = [now, self._limits.binding, self._limits.total]
        for group in groups:
            args += [group.destination, now + group.wait, group.full, len(group.entries)]
            for position, submission in group.entries:
                args += [position, submission.bytes]
        keys = [self._ready, self._total, *(self._key(group.binding) for group in groups)]
        added, over = self._append(keys=keys, args=args)
        pairs = zip(groups, over, strict=True)
        return Appended(int(added), {group.binding: int(position) for group, position in pairs if position})

    @_guarded
    def peek(self, binding: int, limit: int) -> list[tuple[int, UUID]]:
        found: Any = self._client.zrange(self._key(binding), 0, limit - 1, withscores=True)
        return [(int(score), UUID(bytes=member)) for member, score in found]

    @_guarded
    def sizes(self, bindings: Sequence[int]) -> dict[int, int]:
        pipeline = self._client.pipeline(transaction=False)
        for binding in bindings:
            pipeline.zcard(self._key(binding))
        return dict(zip(bindings, pipeline.execute(), strict=True))

    @_guarded
    def total(self) -> int:
        count: Any = self._client.get(self._total)
        return int(count or 0)

    @_guarded
    def due(self, now: float, limit: int, again_at: float) -> list[int]:
        return [int(destination) for destination in self._due(keys=[self._ready], args=[now, limit, again_at])]

    @_guarded
    def set_due(self, destinations: Iterable[int], at: float) -> None:
        if scores := {str(destination): at for destination in destinations}:
            self._client.zadd(self._ready, scores)

    @_guarded
    def settle(self, destination: int, settled: Mapping[int, int], now: float, wait: float, full: int) -> int:
        keys = [self._ready, self._total, *map(self._key, settled)]
        return int(self._settle(keys=keys, args=[destination, now, now + wait, full, *settled.values()]))

    @_guarded
    def forget(self, bindings: Sequence[int], submissions: Sequence[UUID]) -> None:
        if bindings and submissions:
            self._forget(keys=[self._total, *map(self._key, bindings)], args=[item.bytes for item in submissions])

    @_guarded
    def drop(self, binding: int) -> None:
        self._drop(keys=[self._total, self._key(binding)])

    @_guarded
    def bindings(self) -> set[int]:
        return {int(key.rpartition(b":")[2]) for key in self._client.scan_iter(self._key("*"), count=1000)}

    def _key(self, binding: int | str) -> str:
        return f"{self._prefix}:a:{binding}"
