"""Identifiers: time-ordered ones (RFC 9562 UUIDv7), derived ones (UUIDv8) and short public ones."""

import hashlib
import os
import secrets
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no look-alikes: public ids are read out and typed


def uuid7() -> UUID:
    """A UUIDv7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80
    value |= 0x7 << 76
    value |= (random >> 62 & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random & (2**62 - 1)
    return UUID(int=value)


def canonical(answers: Mapping[str, Any]) -> bytes:
    """One spelling for equal answers: sorted keys, no spaces, UTF-8."""
    return orjson.dumps(answers, option=orjson.OPT_SORT_KEYS)


def derived_id(salt: bytes, key: str, body: bytes) -> UUID:
    """The UUIDv8 (RFC 9562 section 5.8) of SHA-256 over a form's salt, an idempotency key and canonical answers.

    The same key and answers give the same id even when no record of the first try is left; other answers never do.
    """
    digest = hashlib.sha256()
    for part in (salt, key.encode(), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    value = int.from_bytes(digest.digest()[:16], "big")
    value = value & ~(0xF << 76) | 0x8 << 76
    value = value & ~(0b11 << 62) | 0b10 << 62
    return UUID(int=value)


def public_id(length: int = 12) -> str:
    """A short unguessable name for a URL: 12 characters carry 59 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
