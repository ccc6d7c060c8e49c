"""API keys: made once, shown once, kept as SHA-256, and looked up without SQL in the steady state.

A token is `fh_live_` and 32 random bytes in urlsafe base64. It has so much chance in it that a plain hash is safe to
keep: there is nothing to guess.
"""

import hashlib
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone

from apps.orgs.models import ApiKey, Organization, User
from formhub.core.clock import Clock, SystemClock

PREFIX = "fh_live_"
SCOPES = ("submit", "read", "manage")
# A key is looked up again after FRESH_SECONDS, by one caller, while the others go on with what is there for as long
# again: so a revoked one stops within twice that. While the database is away, one that was good is honoured for
# STALE_SECONDS, so that submissions go on.
FRESH_SECONDS = 1.0
STALE_SECONDS = 600.0
CACHE_MAX = 10_000
USED_EVERY = timedelta(minutes=1)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeyGrant:
    """What a good key allows. `form`: the one form it is bound to, or None for all of the organization's."""

    id: int
    organization: UUID
    scopes: frozenset[str]
    form: UUID | None
    expires_at: datetime | None

    def allows(self, scope: str) -> bool:
        return scope in self.scopes

    # What DRF and Django ask of a caller.
    is_active = True
    is_authenticated = True
    is_anonymous = False
    is_staff = False
    is_superuser = False


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the database said `at` a time; when it was `asked` later, it did not answer."""

    grant: KeyGrant | None
    at: float
    asked: float

    def serves(self, now: float, seconds: float) -> bool:
        return now - self.asked <= seconds and now - self.at <= STALE_SECONDS


def create(
    *,
    organization: Organization,
    name: str,
    scopes: Iterable[str],
    form_id: UUID | None = None,
    expires_at: datetime | None = None,
    created_by: User | None = None,
) -> tuple[ApiKey, str]:
    """The key and its token, which is nowhere kept. Raises ValueError for an unknown scope."""
    wanted = sorted(set(scopes))
    if not wanted or not set(wanted) <= set(SCOPES):
        raise ValueError(f"Choose from {', '.join(SCOPES)}.")
    token = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        organization=organization,
        name=name,
        prefix=token[: len(PREFIX) + 6],
        hash=hash_of(token),
        scopes=wanted,
        form_id=form_id,
        expires_at=expires_at,
        created_by=created_by,
    )
    return key, token


def revoke(key: ApiKey) -> None:
    """It stops working within two seconds in every process."""
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])


def grant_of(key: ApiKey, now: datetime | None = None) -> KeyGrant | None:
    """What the key allows as it is stored; None if it was revoked or has expired."""
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= (now or timezone.now())):
        return None
    return KeyGrant(key.pk, key.organization_id, frozenset(key.scopes), key.form_id, key.expires_at)


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class NotCached(Exception):  # noqa: N818 - an answer, not a failure
    """Only the database can tell: ask again where SQL is allowed."""


class KeyCache:
    """Grants by token hash, bounded; unknown tokens are remembered as briefly as known ones."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._renewing: set[str] = set()
        self._lock = threading.Lock()

    def grant(self, token: str) -> KeyGrant | None:
        """None for a token that is unknown, revoked or expired. Raises DatabaseError only if it was never seen."""
        try:
            return self.peek(token)
        except NotCached:
            pass
        digest, now = hash_of(token), self._clock.monotonic()
        with self._lock:
            self._renewing.add(digest)
        try:
            return self._unexpired(self._look_up(digest, self._seen.get(digest), now))
        finally:
            with self._lock:
                self._renewing.discard(digest)

    def peek(self, token: str) -> KeyGrant | None:
        """`grant` without any SQL, as on an event loop. Raises NotCached where only the database can tell."""
        if not token.startswith(PREFIX) or len(token) > 100:
            return None
        digest, now = hash_of(token), self._clock.monotonic()
        with self._lock:
            seen = self._seen.get(digest)
            renewed = digest in self._renewing
        if seen is None or not seen.serves(now, 2 * FRESH_SECONDS if renewed else FRESH_SECONDS):
            raise NotCached
        return self._unexpired(seen)

    def honoured(self, token: str) -> KeyGrant | None:
        """What the database said last, for whoever waited for it in vain. Raises NotCached where that is too old."""
        digest, now = hash_of(token), self._clock.monotonic()
        with self._lock:
            seen = self._seen.get(digest)
            if seen is None or now - seen.at > STALE_SECONDS:
                raise NotCached
            # Nobody else waits for it so soon.
            self._seen[digest] = replace(seen, asked=now)
        logger.warning("the database is silent: a key seen %.0f s ago is still honoured", now - seen.at)
        return self._unexpired(seen)

    def clear(self) -> None:
        with self._lock:
            self._seen.clear()

    def _unexpired(self, seen: _Seen) -> KeyGrant | None:
        grant = seen.grant
        expired = grant is not None and grant.expires_at is not None and grant.expires_at <= self._clock.now()
        return None if expired else grant

    def _look_up(self, digest: str, seen: _Seen | None, now: float) -> _Seen:
        try:
            found = _Seen(_load(digest, self._clock.now()), now, now)
        except DatabaseError:
            if seen is None or now - seen.at > STALE_SECONDS:
                raise
            logger.warning("the database is away: a key seen %.0f s ago is still honoured", now - seen.at)
            # Asked no more often than when it answers: to wait for a connection can take seconds, for every request.
            found = replace(seen, asked=now)
        with self._lock:
            if found.at < now and self._seen.get(digest) is not seen:
                return found  # somebody else had an answer meanwhile
            self._seen[digest] = found
            self._seen.move_to_end(digest)
            while len(self._seen) > CACHE_MAX:
                self._seen.popitem(last=False)
        return found


def _load(digest: str, now: datetime) -> KeyGrant | None:
    key = ApiKey.objects.filter(hash=digest, revoked_at__isnull=True).first()
    found = None if key is None else grant_of(key, now)
    if key is None or found is None:
        return None
    if key.last_used_at is None or now - key.last_used_at > USED_EVERY:
        _note_use(key.pk, now)
    return found


def _note_use(id: int, now: datetime) -> None:
    """At most once a minute and key, so that a busy key costs no write per request, however many processes see it."""
    long_ago = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - USED_EVERY)
    try:
        ApiKey.objects.filter(long_ago, pk=id).update(last_used_at=now)
    except DatabaseError:
        # It reads and takes no writes (a standby, a full disk): the key is good all the same.
        logger.warning("the use of key %d could not be written down", id)


_cache = KeyCache(SystemClock())


def grant(token: str) -> KeyGrant | None:
    return _cache.grant(token)


def peek(token: str) -> KeyGrant | None:
    return _cache.peek(token)


def honoured(token: str) -> KeyGrant | None:
    return _cache.honoured(token)


def clear_cache() -> None:
    _cache.clear()
