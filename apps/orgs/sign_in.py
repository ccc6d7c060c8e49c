"""Brakes on guessing passwords: failed tries are counted per account and address, in the cache.

With the cache away signing in goes on: the password hash is slow by itself, and nobody should be locked out by an
outage.
"""

import hashlib
from dataclasses import dataclass

from django.core.cache import cache
from django.http import HttpRequest

from formhub.core.requests import client_address

TRIES = 10
WAIT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Attempt:
    key: str

    @classmethod
    def of(cls, request: HttpRequest | None, account: str) -> "Attempt":
        address = client_address(request) if request is not None else ""
        # Capitals, because the database finds accounts by them: of some letters two small ones have the same.
        digest = hashlib.sha256(f"{account.strip().upper()}\n{address}".encode()).hexdigest()
        return cls(f"sign-in:{digest}")

    def allowed(self) -> bool:
        return int(cache.get(self.key) or 0) < TRIES

    def failed(self) -> None:
        cache.add(self.key, 0, WAIT_SECONDS)
        try:
            cache.incr(self.key)
        except ValueError:  # it expired in between, or the cache is away
            cache.set(self.key, 1, WAIT_SECONDS)

    def succeeded(self) -> None:
        cache.delete(self.key)
