"""Where the state of the rates is kept, and how much of each is in use.

Each rate is one number per key, on the server of REDIS_URL: the time in milliseconds at which its bucket, a fifth of
the rate, will be full again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from apps.sinks.contract import Rate, Sink
from apps.sinks.registry import registry

PREFIX = "formhub:rate"
KEYS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Usage:
    """The key that uses most of a rate. used: 0 where its bucket is full, 1 where the next call has to wait."""

    kind: type[Sink]
    rate: Rate
    used: float


def bucket(rate: Rate) -> int:
    """Calls that may be made at once."""
    return max(1, rate.calls // 5)


def usage(client: Any) -> list[Usage]:
    """Of every rate of every kind that is installed. Raises redis.RedisError."""
    seconds, microseconds = client.time()
    now = 1000 * seconds + microseconds / 1000
    return [
        Usage(kind, rate, max(_shares(client, rate, now), default=0.0))
        for kind in registry.kinds()
        for rate in kind.policy.rates
    ]


def _shares(client: Any, rate: Rate, now: float) -> Iterator[float]:
    keys = list(islice(client.scan_iter(f"{PREFIX}:{rate.name}:*", count=1_000), KEYS_MAX))
    capacity = 1000 * bucket(rate) * rate.seconds / rate.calls
    for full_at in client.mget(keys) if keys else ():
        if full_at is not None:
            yield min(1.0, max(0.0, (float(full_at) - now) / capacity))
