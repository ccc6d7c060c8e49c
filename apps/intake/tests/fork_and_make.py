"""Forks while the lock is held, as another thread of the parent may; ends with 0 if the child could make its own."""

import os
import sys

from apps.intake.once import OncePerProcess


def main() -> int:
    made_by = OncePerProcess(os.getpid)
    assert made_by() == os.getpid()
    with made_by._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if made_by() == os.getpid() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
