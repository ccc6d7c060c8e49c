"""Valkey or Redis: the server of the buffer, which must forget nothing, and the one of cache and queues."""

from typing import Any

import redis
from django.conf import settings
from django.utils import timezone

from apps.console.doctor.database import skewed
from apps.console.doctor.verdict import Section, Verdict, bad, good, warn, worst
from formhub.core.redis import connect

SECONDS = 2.0
FULL = 0.8
MEMORY = 1024 * 1024


def buffer_section() -> Section:
    return Section(
        "Valkey: buffer",
        (("eviction", eviction), ("append-only file", append_only), ("memory", memory), ("a server of its own", apart)),
        first=("server", lambda: server(settings.REDIS_BUFFER_URL)),
        away="Look at REDIS_BUFFER_URL, and whether the server runs and lets this machine in.",
    )


def cache_section() -> Section:
    return Section(
        "Valkey: cache and queues",
        (("clock", clock),),
        first=("server", lambda: server(settings.REDIS_URL)),
        away="Look at REDIS_URL, and whether the server runs and lets this machine in.",
    )


def server(url: str) -> Verdict:
    found = _info(url)
    return good(str(found.get("valkey_version") or found.get("redis_version")))


def eviction() -> Verdict:
    policy = _info(settings.REDIS_BUFFER_URL)["maxmemory_policy"]
    if policy != "noeviction":
        return bad(
            f"{policy}: a full server would drop what waits", "Set maxmemory-policy noeviction on the buffer's server."
        )
    return good("never")


def append_only() -> Verdict:
    found = _info(settings.REDIS_BUFFER_URL)
    if not found.get("aof_enabled"):
        return warn(
            "off: a restart empties the buffer, and deliveries wait for the next sweep",
            "Set appendonly yes and appendfsync everysec on the buffer's server.",
        )
    if found.get("aof_last_write_status") != "ok":
        return bad("cannot be written", "Look at the disk of the buffer's server.")
    return good("on")


def memory() -> Verdict:
    found = _info(settings.REDIS_BUFFER_URL)
    used, most = int(found["used_memory"]), int(found["maxmemory"])
    wanted: int = settings.BUFFER_MAX_BYTES
    if not most:
        return good(f"{used // MEMORY} MB used, no limit of the server's; ours is {wanted // MEMORY} MB")
    verdicts = []
    if most < wanted:
        verdicts.append(
            warn(
                f"the server's limit of {most // MEMORY} MB is below ours of {wanted // MEMORY} MB",
                "Raise maxmemory, or lower BUFFER_MAX_BYTES.",
            )
        )
    if used > FULL * most:
        verdicts.append(warn(f"{100 * used // most} % used", "Raise maxmemory; see which action does not deliver."))
    return worst(verdicts, f"{used // MEMORY} of {most // MEMORY} MB used")


def apart() -> Verdict:
    try:
        same = _info(settings.REDIS_BUFFER_URL)["run_id"] == _info(settings.REDIS_URL)["run_id"]
    except redis.RedisError:
        same = False  # the cache's own section says that it is away
    if same:
        return warn(
            "the cache uses it too: one that fills up takes the other with it",
            "Run a second server, and set REDIS_BUFFER_URL to it.",
        )
    return good("yes")


def clock() -> Verdict:
    with _client(settings.REDIS_URL) as client:
        seconds, microseconds = client.time()
    return skewed(timezone.now().timestamp() - (seconds + microseconds / 1_000_000), "the server's")


def _info(url: str) -> dict[str, Any]:
    with _client(url) as client:
        found: dict[str, Any] = client.info()
    return found


def _client(url: str) -> Any:
    return connect(url, SECONDS)
