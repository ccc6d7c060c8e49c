"""Real processes for tests, ended by id whatever happens."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

WAIT_SECONDS = 20


@contextmanager
def a_child(code: str, inherit: Sequence[int] = ()) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", code], pass_fds=inherit)
    try:
        yield child
    finally:
        child.kill()
        child.wait(10)


def wait_until(done: Callable[[], object], seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)
