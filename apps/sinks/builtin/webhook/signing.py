"""Signatures as of Standard Webhooks 1.0: HMAC-SHA256 of id, time and body under each secret of the action."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
BYTES_LEAST, BYTES_MOST, BYTES_MADE = 24, 64, 32


class SecretUnfitError(ValueError):
    """Not `whsec_` and 24 to 64 bytes in base64."""


def make_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES_MADE)).decode()


def key_of(secret: str) -> bytes:
    """Raises SecretUnfitError."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SecretUnfitError from None
    if not secret.startswith(PREFIX) or not BYTES_LEAST <= len(key) <= BYTES_MOST:
        raise SecretUnfitError
    return key


def signed(id: str, seconds: int, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """The three headers. While two secrets sign, a receiver may know either."""
    content = f"{id}.{seconds}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key_of(secret), content, hashlib.sha256)) for secret in secrets]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{signature.decode()}" for signature in signatures),
    }
