"""This machine: space for what lies here, and folders that processes write to."""

import ipaddress
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import redis
from django.conf import settings
from django.db import Error, connection

from apps.console.doctor.log import DISK_BAD, DISK_WARN
from apps.console.doctor.verdict import Section, Verdict, bad, good, warn, worst
from formhub.core.redis import connect, hosts

SECONDS = 2.0


def section() -> Section:
    return Section("This machine", (("disk space", space), ("heartbeats", heartbeats), ("static files", static_files)))


def space() -> Verdict:
    """Of the data folders that lie on this machine; brokers tell of their own."""
    verdicts, told = [], []
    for name, folder in _folders():
        usage = shutil.disk_usage(folder)
        says = f"{name} has {100 * usage.free // usage.total} % free"
        told.append(says)
        remedy = f"Make room on the disk of {folder}: without any, its server stops taking writes."
        if usage.free < DISK_BAD * usage.total:
            verdicts.append(bad(says, remedy))
        elif usage.free < DISK_WARN * usage.total:
            verdicts.append(warn(says, remedy))
    return worst(verdicts, ", ".join(told) or "no data lies here")


def heartbeats() -> Verdict:
    folder: Path = settings.HEARTBEAT_DIR
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        return bad(f"{folder} cannot be written", "Set HEARTBEAT_DIR to a folder that this user may write to.")
    return good(str(folder))


def static_files() -> Verdict:
    if "Manifest" not in settings.STORAGES["staticfiles"]["BACKEND"]:
        return good("served as they lie")
    if not (Path(settings.STATIC_ROOT) / "staticfiles.json").is_file():
        return bad("not collected: every page fails", "Run manage.py collectstatic --no-input.")
    return good(str(settings.STATIC_ROOT))


def _folders() -> Iterator[tuple[str, Path]]:
    found = [("PostgreSQL", _postgres())]
    found += [("Valkey", _valkey(url)) for url in dict.fromkeys((settings.REDIS_BUFFER_URL, settings.REDIS_URL))]
    found.append(("this process", settings.HEARTBEAT_DIR if settings.HEARTBEAT_DIR.exists() else settings.BASE_DIR))
    seen: set[int] = set()
    for name, folder in found:
        # One line for each disk.
        if folder is not None and folder.exists() and (disk := folder.stat().st_dev) not in seen:
            seen.add(disk)
            yield name, folder


def _postgres() -> Path | None:
    if not _here(settings.DATABASES["default"]["HOST"]):
        return None
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW data_directory")
            return Path(cursor.fetchone()[0])
    except Error:  # away, or not for our eyes
        return None


def _valkey(url: str) -> Path | None:
    if not all(map(_here, hosts(url))):
        return None
    try:
        with connect(url, SECONDS) as client:
            return Path(client.config_get("dir")["dir"])
    except (redis.RedisError, KeyError):
        return None


def _here(host: str) -> bool:
    if host in {"", "localhost"} or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
