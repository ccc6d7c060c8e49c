"""Secrets at rest: Fernet tokens (AES-128-CBC with HMAC-SHA256) under the keys of ENCRYPTION_KEYS, newest first."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class SecretUnreadableError(Exception):
    """No key of ENCRYPTION_KEYS opens the secret. Remedy: put the key it was written with back into the list."""


@lru_cache(maxsize=4)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured("Each of ENCRYPTION_KEYS must be 32 bytes in urlsafe base64.") from error


def encrypt(secrets: Mapping[str, Any]) -> str:
    """A token holding the mapping; an empty mapping gives an empty text."""
    if not secrets:
        return ""
    return _box(tuple(settings.ENCRYPTION_KEYS)).encrypt(orjson.dumps(dict(secrets))).decode()


def decrypt(token: str) -> dict[str, Any]:
    """Raises SecretUnreadableError."""
    if not token:
        return {}
    try:
        opened: dict[str, Any] = orjson.loads(_box(tuple(settings.ENCRYPTION_KEYS)).decrypt(token.encode()))
    except InvalidToken as error:
        raise SecretUnreadableError("The secret was encrypted with a key that is not in ENCRYPTION_KEYS.") from error
    return opened
