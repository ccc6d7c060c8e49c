"""Service accounts and tokens: the JWT bearer grant of RFC 7523, signatures verified for real."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import exceptions, jwt

from sheets_emulator.errors import unauthenticated

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES = {
    "https://www.googleapis.com/auth/spreadsheets",
    "https://www.googleapis.com/auth/drive",
    "https://www.googleapis.com/auth/drive.file",
    "https://www.googleapis.com/auth/spreadsheets.readonly",
}
TOKEN_SECONDS = 3600
TOKENS_MAX = 10_000
TIMEFRAME = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)


class GrantError(Exception):
    """What a token endpoint answers with 400."""

    def __init__(self, description: str, error: str = "invalid_grant") -> None:
        super().__init__(description)
        self.body = {"error": error, "error_description": description}


@dataclass(frozen=True, slots=True)
class Account:
    email: str
    project: str
    key_id: str
    public_key: bytes


@dataclass
class Accounts:
    """Registered accounts, and the tokens given to them."""

    accounts: dict[str, Account] = field(default_factory=dict)
    clock: Callable[[], float] = time.time
    _tokens: dict[str, tuple[str, float, bool]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def register(self, key: dict[str, Any]) -> Account:
        """Take a service account's JSON key; only its public half is kept."""
        private = serialization.load_pem_private_key(key["private_key"].encode(), None)
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        account = Account(key["client_email"], key["project_id"], key["private_key_id"], public)
        self.accounts[account.email] = account
        return account

    def grant(self, form: dict[str, str]) -> dict[str, Any]:
        """A token for a signed assertion. `aud` is Google's fixed address, whatever ours is. Raises GrantError."""
        if form.get("grant_type") != GRANT:
            raise GrantError("Invalid grant_type", "unsupported_grant_type")
        claims = self._verified(form.get("assertion", ""))
        asked = set(str(claims.get("scope", "")).split())
        if not asked & SCOPES:
            raise GrantError("Invalid OAuth scope or ID token audience provided.", "invalid_scope")
        token = "ya29." + secrets.token_urlsafe(32)
        read_only = asked & SCOPES == {"https://www.googleapis.com/auth/spreadsheets.readonly"}
        with self._lock:
            if len(self._tokens) >= TOKENS_MAX:
                self._tokens.clear()
            self._tokens[token] = (claims["iss"], self.clock() + TOKEN_SECONDS, read_only)
        return {"access_token": token, "expires_in": TOKEN_SECONDS - 1, "token_type": "Bearer"}

    def caller(self, header: str) -> Account:
        """Raises ApiError 401."""
        scheme, _, token = header.partition(" ")
        email, expires, _ = self._tokens.get(token, ("", 0.0, False))
        if scheme.lower() != "bearer" or expires < self.clock() or email not in self.accounts:
            raise unauthenticated()
        return self.accounts[email]

    def forget_tokens(self) -> None:
        with self._lock:
            self._tokens.clear()

    def remove(self, email: str) -> None:
        """As deleting the key in Google's console does."""
        self.accounts.pop(email, None)

    def _verified(self, assertion: str) -> dict[str, Any]:
        try:
            issuer = str(jwt.decode(assertion, verify=False).get("iss"))  # type: ignore[no-untyped-call]
            account = self.accounts[issuer]
            claims: dict[str, Any] = jwt.decode(  # type: ignore[no-untyped-call]
                assertion, certs=account.public_key, clock_skew_in_seconds=60
            )
        except KeyError:
            raise GrantError("Invalid grant: account not found") from None
        except exceptions.InvalidValue:  # of its times: the caller's clock is wrong
            raise GrantError(TIMEFRAME) from None
        except (ValueError, exceptions.GoogleAuthError):
            raise GrantError("Invalid JWT Signature.") from None
        if claims["exp"] - claims["iat"] > TOKEN_SECONDS:
            raise GrantError(TIMEFRAME)
        return claims


def make_key(email: str, project: str, token_uri: str) -> dict[str, Any]:
    """A new service account's JSON key, as Google's console would hand it out."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": secrets.token_hex(20),
        "private_key": pem.decode(),
        "client_email": email,
        "client_id": str(secrets.randbelow(10**21)),
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
    }
