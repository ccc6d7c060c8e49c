"""How often a key, or a person, may use the management API: a sliding window of two counters in the cache.

With the cache away everything is let through: an outage of it must not close the door as well.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import limits
from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apps.orgs import access
from formhub.core.clock import Clock, SystemClock

_NAME = "manage"


class ManageThrottle(BaseThrottle):
    clock: Clock = SystemClock()

    def __init__(self) -> None:
        self._wait: float | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        amount, seconds = _rate(settings.MANAGE_PER_KEY)
        now = self.clock.now().timestamp()
        number, elapsed = int(now // seconds), now % seconds
        key = f"{_NAME}:{_caller(request)}"
        current, previous = _counts(key, number)
        used = current + previous * (1 - elapsed / seconds)
        view.rate = headers(amount, seconds, max(0, int(amount - used - 1)), elapsed)
        if used + 1 > amount:
            self._wait = seconds - elapsed
            return False
        _count(f"{key}:{number}", 2 * seconds + 1)
        return True

    def wait(self) -> float | None:
        return self._wait


def headers(amount: int, seconds: int, remaining: int, elapsed: float) -> Mapping[str, str]:
    """As draft-ietf-httpapi-ratelimit-headers has them."""
    left = max(1, math.ceil(seconds - elapsed))
    return {
        "RateLimit-Policy": f'"{_NAME}";q={amount};w={seconds}',
        "RateLimit": f'"{_NAME}";r={remaining};t={left}',
    }


def _caller(request: Request) -> str:
    who = access.actor(request)
    if who.key is not None:
        return f"key:{who.key.id}"
    return f"person:{who.user.pk}" if who.user is not None else "nobody"


def _counts(key: str, number: int) -> tuple[int, int]:
    names = [f"{key}:{number}", f"{key}:{number - 1}"]
    found = cache.get_many(names) or {}
    return int(found.get(names[0], 0)), int(found.get(names[1], 0))


def _count(name: str, keep_seconds: int) -> None:
    cache.add(name, 0, keep_seconds)
    try:
        cache.incr(name)
    except ValueError:  # it expired in between, or the cache is away
        return


@lru_cache(maxsize=16)
def _rate(rate: str) -> tuple[int, int]:
    item = limits.parse(rate)
    return item.amount, item.get_expiry()
