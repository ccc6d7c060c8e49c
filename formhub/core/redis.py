"""Clients of Redis (or Valkey), of one server or of whichever Sentinel names as the master.

An address is `redis://[user:password@]host:port/db`, as redis-py takes it, or

    redis+sentinel://[user:password@]host:port,host:port,host:port/service/db?sentinel_password=...

which names the sentinels, the service that they watch, and what its servers and the sentinels themselves want to hear.
A client asks them for the master with every new connection, so one that is lost leads to the next master by itself.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
from django.core.exceptions import ImproperlyConfigured
from django_redis.pool import ConnectionFactory
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

SENTINEL = "redis+sentinel://"
SENTINEL_PORT = 26379
_FORM = "redis+sentinel://[user:password@]host:port,host:port/service/db?sentinel_username=...&sentinel_password=..."
_SERVICE = re.compile(r"[A-Za-z0-9._-]+")

# Celery's waits. A master that stands still, or is cut off, keeps its connections: without these whoever waits for it
# would wait for ever, and a worker would not follow the failover.
BROKER_TIMEOUTS = {"socket_connect_timeout": 2.0, "socket_timeout": 5.0, "health_check_interval": 5}


class UnusableAddressError(ValueError):
    """An address that cannot be read; the message says what is wrong without repeating it, for it holds passwords."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A service that sentinels watch. `login` is for its servers, `sentinel_login` for them."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    db: int
    login: dict[str, str] = field(repr=False)
    sentinel_login: dict[str, str] = field(repr=False)


def checked(name: str, url: str) -> str:
    """The address as it stands. Raises ImproperlyConfigured, which names the setting and the remedy."""
    try:
        if watched(url) is None:
            _check_plain(url)
    except UnusableAddressError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None
    return url


def watched(url: str) -> Watched | None:
    """None for the address of one server. Raises UnusableAddressError."""
    if not url.startswith(SENTINEL):
        return None
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    service, _, db = parts.path.strip("/").partition("/")
    options = dict(parse_qsl(parts.query))
    if not _SERVICE.fullmatch(service) or not (db or "0").isdecimal():
        raise UnusableAddressError(f"name the service that the sentinels watch, and a database's number: {_FORM}.")
    if unknown := options.keys() - {"sentinel_username", "sentinel_password"}:
        raise UnusableAddressError(f"there is no option {', '.join(sorted(unknown))}: {_FORM}.")
    return Watched(
        tuple(_address(host) for host in hosts.split(",")),
        service,
        int(db or 0),
        _login(unquote(user), unquote(password)),
        _login(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
    )


def pool(url: str, seconds: float, *, retries: int = 0, decode: bool = False) -> Any:
    """Connections to the server, or to the master of now.

    `seconds` bounds each wait for it and for each sentinel; `retries` how often a command is tried again at once, for a
    connection that went stale. Longer waits are the caller's to plan.
    """
    waits: dict[str, Any] = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    options = {**waits, "retry": Retry(NoBackoff(), retries), "decode_responses": decode}
    found = watched(url)
    if found is None:
        return redis.ConnectionPool.from_url(url, **options)
    # A sentinel that does not answer is passed over for the next one: it is not asked twice.
    asking = {**waits, "retry": Retry(NoBackoff(), 0), **found.sentinel_login}
    sentinel = Sentinel(found.sentinels, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
    return SentinelConnectionPool(found.service, sentinel, db=found.db, **found.login, **options)  # type: ignore[no-untyped-call]


def connect(url: str, seconds: float, *, retries: int = 0, decode: bool = False) -> Any:
    """As `pool`. Closing it closes its connections."""
    return redis.Redis.from_pool(pool(url, seconds, retries=retries, decode=decode))


def broker(name: str, url: str) -> tuple[str, dict[str, Any]]:
    """Celery's broker_url and broker_transport_options. A broker of another kind is left to Celery."""
    if not url.startswith(("redis", "unix")):
        return url, {}
    found = watched(checked(name, url))
    if found is None:
        return url, {**BROKER_TIMEOUTS}
    # Kombu reads login and database from the first address alone.
    login, at, _ = urlsplit(url).netloc.rpartition("@")
    addresses = [f"sentinel://{login}{at}{_written(address)}/{found.db}" for address in found.sentinels]
    asking = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0, **found.sentinel_login}
    return ";".join(addresses), {**BROKER_TIMEOUTS, "master_name": found.service, "sentinel_kwargs": asking}


def hosts(url: str) -> list[str]:
    """Of the server, or of the sentinels."""
    found = watched(url)
    return [urlsplit(url).hostname or ""] if found is None else [host for host, _ in found.sentinels]


class CacheConnections(ConnectionFactory):  # type: ignore[misc]
    """Django's cache through the same pools: OPTIONS["CONNECTION_FACTORY"] of its settings."""

    def get_connection_pool(self, params: dict[str, Any]) -> Any:
        return pool(params["url"], params["socket_timeout"], retries=1)


def _check_plain(url: str) -> None:
    try:
        parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        raise UnusableAddressError(
            f"it must be redis://host:port/db, rediss:// for TLS, unix:// for a socket, or {_FORM}."
        ) from None


def _address(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or (not port and ":" in text.rpartition("]")[2]):
        raise UnusableAddressError(f"it must name each sentinel as host:port, separated by commas: {_FORM}.")
    return host, port or SENTINEL_PORT


def _login(username: str, password: str) -> dict[str, str]:
    given = {"username": username, "password": password}
    return {name: value for name, value in given.items() if value}


def _written(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
