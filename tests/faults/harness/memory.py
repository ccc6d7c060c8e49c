"""A bound on the memory of a process and all that it starts, kept by the kernel: a control group, which needs root."""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

# The first version has a tree for each thing that it bounds, the second one for all.
ONE, TWO = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
LIMIT = {ONE: "memory.limit_in_bytes", TWO: "memory.max"}
USED = {ONE: "memory.usage_in_bytes", TWO: "memory.current"}


class Memory:
    """`prefix`: put before a command, it runs within."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self.prefix: Sequence[str] = ("sh", "-c", f'echo $$ > {folder}/cgroup.procs; exec "$@"', "sh")

    def used(self) -> int:
        return int((self._folder / USED[self._root]).read_text())

    def limit(self, size: int) -> None:
        (self._folder / LIMIT[self._root]).write_text(str(size))


@cache
def root() -> Path | None:
    """The tree in which this machine lets us make groups that bound memory."""
    for each in (ONE, TWO):
        folder = each / f"formhub-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        bounds = (folder / LIMIT[each]).exists()
        folder.rmdir()
        if bounds:
            return each
    return None


@contextmanager
def bounded() -> Iterator[Memory]:
    """Whoever runs in it has to be gone at the end."""
    found = root()
    assert found, "no control group can be made here"
    folder = found / f"formhub-{os.getpid()}-{random.randrange(10**9)}"
    folder.mkdir()
    try:
        yield Memory(found, folder)
    finally:
        folder.rmdir()
