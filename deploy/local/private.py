"""Files that only their owner may read."""

import os
from collections.abc import Callable
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Private from the first byte on. A reader finds the former text or the new one, never a part."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def keep(path: Path, make: Callable[[], str]) -> str:
    """What the file holds; made once, when it is first asked for."""
    if not path.exists():
        write(path, make() + "\n")
    return path.read_text().strip()
