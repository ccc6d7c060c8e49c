"""Rates towards outside services, shared by all workers.

Each rate is one number per key: the time at which its bucket will be full again (the generic cell rate algorithm).
A bucket holds a fifth of the rate, so no window sees more than 1.2 times what the rate allows; a service's own quota
is meant to be a quarter above the stated rate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from redis import Redis
from redis.exceptions import RedisError

from apps.sinks.contract import BackpressureError, Rate
from apps.sinks.rates import PREFIX, bucket
from formhub.core.clock import Clock

LOCAL_SHARE = 0.25  # alone without Redis, a worker cannot know how many others are calling


class RateLimitedError(BackpressureError):
    """Our own rate is used up; the service was not called."""


@dataclass(frozen=True, slots=True)
class Charge:
    key: str
    rate: Rate

    @property
    def interval(self) -> float:
        return self.rate.seconds / self.rate.calls

    @property
    def tolerance(self) -> float:
        """How far ahead of time a call may be: the rest of a bucket, in seconds."""
        return self.interval * (bucket(self.rate) - 1)

    @property
    def name(self) -> str:
        return f"{self.rate.name}:{self.key}"

    def used(self, seconds: float) -> float:
        """The part of its bucket that is used, where it will be full again in `seconds`."""
        return max(0.0, seconds) / (self.interval + self.tolerance)


class Limiter(Protocol):
    def spend(self, charges: Sequence[Charge]) -> None:
        """Take one call of each or of none. Raises RateLimitedError with the wait in seconds."""

    def give_back(self, charges: Sequence[Charge]) -> None:
        """The call was not made after all."""

    def drain(self, charges: Sequence[Charge], seconds: float) -> None:
        """Nothing more for `seconds`: the service said that its quota is used up."""

    def used(self, charges: Sequence[Charge]) -> float:
        """Of the bucket among them that is emptiest: 0 full, 1 empty, more where a call has to wait."""


def spend_on_one(limiter: Limiter, choices: Sequence[Sequence[Charge]]) -> int:
    """Take one call of that choice which has most left; which one it is. Raises RateLimitedError if none has any."""
    # Asked only where there is a choice; a race for the last call is decided by `spend`.
    order = sorted(range(len(choices)), key=lambda index: limiter.used(choices[index]) if len(choices) > 1 else 0)
    waits = []
    for index in order:
        try:
            limiter.spend(choices[index])
        except RateLimitedError as error:
            waits.append(error)
        else:
            return index
    raise min(waits, key=lambda error: error.after)


class LocalLimiter:
    """Buckets of one process. share: which part of each rate it may use."""

    def __init__(self, clock: Clock, share: float = 1.0) -> None:
        self._clock = clock
        self._share = share
        self._full_at: dict[str, float] = {}

    def spend(self, charges: Sequence[Charge]) -> None:
        now = self._clock.monotonic()
        self._full_at = {name: at for name, at in self._full_at.items() if at > now}
        wait = max((self._full_at.get(charge.name, now) - now - charge.tolerance for charge in charges), default=0)
        if wait > 0:
            raise RateLimitedError("The rate is used up.", after=wait)
        for charge in charges:
            self._full_at[charge.name] = max(now, self._full_at.get(charge.name, now)) + charge.interval / self._share

    def give_back(self, charges: Sequence[Charge]) -> None:
        for charge in charges:
            self._full_at[charge.name] = self._full_at.get(charge.name, 0) - charge.interval / self._share

    def drain(self, charges: Sequence[Charge], seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        for charge in charges:
            self._full_at[charge.name] = max(self._full_at.get(charge.name, 0), until + charge.tolerance)

    def used(self, charges: Sequence[Charge]) -> float:
        now = self._clock.monotonic()
        return max((charge.used(self._full_at.get(charge.name, now) - now) for charge in charges), default=0.0)


# Times in milliseconds of the server's clock: the workers' own may differ. Nothing here must survive: each key ends
# when its bucket is full.
_SPEND = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local wait = 0
for i, key in ipairs(KEYS) do
  local at = tonumber(redis.call('GET', key) or '0')
  wait = math.max(wait, at - now - tonumber(ARGV[2 * i]))
end
if wait > 0 then return math.ceil(wait) end
for i, key in ipairs(KEYS) do
  local at = math.max(now, tonumber(redis.call('GET', key) or '0')) + tonumber(ARGV[2 * i - 1])
  redis.call('SET', key, string.format('%.0f', at), 'PX', math.ceil(at - now))
end
return 0
"""

_GIVE_BACK = """
for i, key in ipairs(KEYS) do
  local at = tonumber(redis.call('GET', key) or '0')
  if at > 0 then redis.call('SET', key, string.format('%.0f', at - tonumber(ARGV[i])), 'KEEPTTL') end
end
"""

_DRAIN = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for i, key in ipairs(KEYS) do
  local at = math.max(now + tonumber(ARGV[i]), tonumber(redis.call('GET', key) or '0'))
  redis.call('SET', key, string.format('%.0f', at), 'PX', math.ceil(at - now))
end
"""


# How long until each bucket is full again.
_USED = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local left = {}
for i, key in ipairs(KEYS) do left[i] = tonumber(redis.call('GET', key) or '0') - now end
return left
"""


class RedisLimiter:
    """Buckets on a server that all workers share; `fallback` while it is away."""

    def __init__(self, client: "Redis", fallback: Limiter, prefix: str = PREFIX) -> None:
        self._fallback = fallback
        self._prefix = prefix
        self._spend = client.register_script(_SPEND)
        self._give_back = client.register_script(_GIVE_BACK)
        self._drain = client.register_script(_DRAIN)
        self._used = client.register_script(_USED)

    def spend(self, charges: Sequence[Charge]) -> None:
        numbers = [ms for charge in charges for ms in (1000 * charge.interval, 1000 * charge.tolerance)]
        wait = self._run(self._spend, charges, numbers)
        if wait is None:
            self._fallback.spend(charges)
        elif wait:
            raise RateLimitedError("The rate is used up.", after=wait / 1000)

    def give_back(self, charges: Sequence[Charge]) -> None:
        if self._run(self._give_back, charges, [1000 * charge.interval for charge in charges]) is None:
            self._fallback.give_back(charges)

    def drain(self, charges: Sequence[Charge], seconds: float) -> None:
        self._fallback.drain(charges, seconds)
        self._run(self._drain, charges, [1000 * (seconds + charge.tolerance) for charge in charges])

    def used(self, charges: Sequence[Charge]) -> float:
        left = self._ask(self._used, charges, [])
        if left is None:
            return self._fallback.used(charges)
        return max((charge.used(ms / 1000) for charge, ms in zip(charges, left or (), strict=True)), default=0.0)

    def _run(self, script: Callable[..., Any], charges: Sequence[Charge], args: list[float]) -> int | None:
        answer = self._ask(script, charges, args) if charges else 0
        return None if answer is None else int(answer)

    def _ask(self, script: Callable[..., Any], charges: Sequence[Charge], args: list[float]) -> Any:
        """The script's answer, None when the server is away."""
        try:
            return script(keys=[f"{self._prefix}:{charge.name}" for charge in charges], args=args) or 0
        except RedisError:
            return None
