import platform
import subprocess
import sys

import pytest

# Bodies come and go while small things between them stay; prints by how many MiB the process has grown.
PROGRAM = """
import psutil
from formhub.core import heap

assert heap.tame()
process, kept = psutil.Process(), []
before = process.memory_info().rss
for _ in range(4):
    bodies = []
    for _ in range(64):
        bodies.append(bytes(1_000_000))
        kept.append(bytearray(1000))
    del bodies
print((process.memory_info().rss - before) / 2**20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator can be told")
def test_memory_of_bodies_that_are_gone_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)

    assert float(done.stdout) < 8
