"""Where the state of the rates is kept, and how much of each is in use.

Each rate is one number per key, on the server of REDIS_URL: the time in milliseconds at which its bucket, a fifth of
the rate, will be full again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from apps.sinks.contract import Account, Rate, Sink
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
    now = _now(client)
    return [
        Usage(kind, rate, max(_shares(client, rate, now), default=0.0))
        for kind in registry.kinds()
        for rate in kind.policy.rates
    ]


def used_by(client: Any, kind: type[Sink], accounts: Sequence[Account]) -> float | None:
    """How much of its rates that account has used which has most left; None where the kind has none of either."""
    rates = kind.policy.rates
    if not rates or not accounts:
        return None
    now = _now(client)
    names = [f"{PREFIX}:{rate.name}:{account.rate_keys[rate.name]}" for account in accounts for rate in rates]
    shares = [
        _share(rate, full_at, now) for full_at, rate in zip(client.mget(names), [*rates] * len(accounts), strict=True)
    ]
    return min(max(shares[first : first + len(rates)]) for first in range(0, len(shares), len(rates)))


def _shares(client: Any, rate: Rate, now: float) -> Iterator[float]:
    keys = list(islice(client.scan_iter(f"{PREFIX}:{rate.name}:*", count=1_000), KEYS_MAX))
    for full_at in client.mget(keys) if keys else ():
        yield _share(rate, full_at, now)


def _share(rate: Rate, full_at: Any, now: float) -> float:
    if full_at is None:
        return 0.0
    capacity = 1000 * bucket(rate) * rate.seconds / rate.calls
    return min(1.0, max(0.0, (float(full_at) - now) / capacity))


def _now(client: Any) -> float:
    """In milliseconds, of the server's clock."""
    seconds, microseconds = client.time()
    return float(1000 * seconds + microseconds / 1000)
