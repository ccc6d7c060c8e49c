"""One writer per destination: a lease in Postgres with a token that grows.

Its time is the database's, so that workers with other clocks agree. Whoever is overtaken notices by the token: every
write to the ledger locks the destination's row and checks it, so a holder that slept through its lease changes nothing.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, connection, transaction

from apps.sinks.models import Destination

logger = logging.getLogger(__name__)
SECONDS = 60.0


class LeaseLostError(Exception):
    """Somebody else holds the destination now."""


@dataclass(frozen=True, slots=True)
class Lease:
    """wake: what `next_attempt_at` was when it was taken, so that a later wake is told apart from it."""

    destination: int
    token: int
    wake: datetime | None = None


_ACQUIRE = """
UPDATE sinks_destination SET token = token + 1, holder = %s, leased_until = now() + make_interval(secs => %s)
WHERE id = %s AND (leased_until IS NULL OR leased_until < now())
RETURNING token, next_attempt_at
"""
_RENEW = "UPDATE sinks_destination SET leased_until = now() + make_interval(secs => %s) WHERE id = %s AND token = %s"


def acquire(destination: int, holder: str, seconds: float = SECONDS) -> Lease | None:
    """None while somebody else holds it."""
    with connection.cursor() as cursor:
        cursor.execute(_ACQUIRE, [holder[:100], seconds, destination])
        row = cursor.fetchone()
    return None if row is None else Lease(destination, *row)


def renew(lease: Lease, seconds: float = SECONDS) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, [seconds, lease.destination, lease.token])
        return bool(cursor.rowcount)


def release(lease: Lease) -> None:
    Destination.objects.filter(pk=lease.destination, token=lease.token).update(holder="", leased_until=None)


@contextmanager
def fenced(lease: Lease) -> Iterator[Destination]:
    """A transaction of the holder's, with the destination's row locked. Raises LeaseLostError."""
    with transaction.atomic():
        destination = Destination.objects.select_for_update().filter(pk=lease.destination, token=lease.token).first()
        if destination is None:
            raise LeaseLostError(f"destination {lease.destination} has another holder than token {lease.token}")
        yield destination


@contextmanager
def kept(lease: Lease, longest: float, every: float = SECONDS / 3) -> Iterator[None]:
    """Renew the lease while a call runs, for `longest` seconds at most: one that hangs must not keep it for ever.

    The thread touches the database only if the call outlasts the first interval.
    """
    done = threading.Event()
    thread = threading.Thread(target=_renew_until, args=(lease, done, longest, every), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _renew_until(lease: Lease, done: threading.Event, longest: float, every: float) -> None:
    try:
        for _ in range(int(longest / every)):
            if done.wait(every) or not renew(lease):
                return
    except DatabaseError as error:
        # The fence decides what the call was worth, not this thread.
        logger.warning("lease of destination %s not renewed: %s", lease.destination, type(error).__name__)
    finally:
        connection.close()
