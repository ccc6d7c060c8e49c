"""The only reader of the environment. Every helper names the variable and the remedy when a value is unusable."""

import os
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    """The variable as it stands. Raises ImproperlyConfigured if it is unset and has no default."""
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(f"Set {name} in the environment.")
    return value


def secret(name: str, default: str | None = None) -> str:
    """A secret from NAME, or from the file named by NAME_FILE (as mounted by an orchestrator)."""
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        return text(name, default)
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE={path} cannot be read: {error.strerror}.") from error


def flag(name: str, default: bool) -> bool:
    value = text(name, "on" if default else "off").strip().lower()
    if value in {"1", "on", "true", "yes"}:
        return True
    if value in {"0", "off", "false", "no", ""}:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is neither on nor off.")


def choice(name: str, default: str, options: Sequence[str]) -> str:
    value = text(name, default)
    if value not in options:
        raise ImproperlyConfigured(f"{name}={value!r} is none of {', '.join(options)}.")
    return value


def folder(name: str) -> str:
    """A folder that is there, or an empty text if none is named."""
    path = text(name, "")
    if path and not Path(path).is_dir():
        raise ImproperlyConfigured(f"{name}={path} is no folder: make it, empty, before the process starts.")
    return path


def file(name: str) -> str:
    """A file that is there, or an empty text if none is named."""
    path = text(name, "")
    if path and not Path(path).is_file():
        raise ImproperlyConfigured(f"{name}={path} is no file.")
    return path


def pair(certificate: str, key: str, *, needs: str) -> tuple[str, str]:
    """A certificate and its key: both files or neither, and none without the authority of the other side."""
    found = file(certificate), file(key)
    if bool(found[0]) != bool(found[1]):
        raise ImproperlyConfigured(f"Set {certificate} and {key} together, or neither.")
    if found[0] and not file(needs):
        raise ImproperlyConfigured(f"{certificate} is of use over TLS only: set {needs} too.")
    return found


def number(name: str, default: float, *, at_least: float = 0) -> float:
    value = text(name, str(default))
    try:
        parsed = float(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={value!r} is not a number.") from error
    if parsed < at_least:
        raise ImproperlyConfigured(f"{name}={value} must be at least {at_least:g}.")
    return parsed


def integer(name: str, default: int, *, at_least: int = 0) -> int:
    value = number(name, default, at_least=at_least)
    if value != int(value):
        raise ImproperlyConfigured(f"{name}={value} must be a whole number.")
    return int(value)


def items(name: str, default: str = "") -> list[str]:
    """A comma-separated list, empty entries left out."""
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def integers(name: str, default: str = "") -> list[int]:
    """A comma-separated list of whole numbers."""
    try:
        return [int(item) for item in items(name, default)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={text(name, default)!r} is not a list of whole numbers.") from error


def networks(name: str, default: str = "") -> list[IPv4Network | IPv6Network]:
    """A comma-separated list of blocks such as 10.1.0.0/16; an address alone is a block of one."""
    try:
        return [ip_network(item) for item in items(name, default)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}. Write blocks such as 10.1.0.0/16.") from error
