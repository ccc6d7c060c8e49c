"""A disk that is slow or hangs, for one service: a library of ours stands before its calls of fsync and fdatasync.

What the file system does with written bytes is left as it is; only when the service hears of it changes.
"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("fsync.c")
COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


class SlowDisk:
    """As fast as the machine's until told otherwise. `environment`: what a service is started with.

    `folder`: one that the service's user may read. A library that it may not is left out without a word.
    """

    def __init__(self, folder: Path) -> None:
        assert COMPILER, "no C compiler"
        self.folder = folder / "disk"
        self.folder.mkdir(parents=True)
        library = self.folder / "fsync.so"
        subprocess.run([COMPILER, "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True, timeout=60)
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "FSYNC_FOLDER": str(self.folder)}

    def serves(self, pid: int) -> bool:
        """Whether the process has taken the library in."""
        return self.environment["LD_PRELOAD"] in Path(f"/proc/{pid}/maps").read_text()

    def slow(self, seconds: float) -> None:
        """Each call takes so much longer."""
        new = self.folder / "slow.new"
        new.write_text(str(int(seconds * 1_000_000)))
        new.replace(self.folder / "slow")

    def hang(self) -> None:
        """No call returns until `heal`."""
        (self.folder / "hung").touch()

    def heal(self) -> None:
        for name in ("slow", "hung"):
            (self.folder / name).unlink(missing_ok=True)

    def count(self) -> None:
        """From here on `calls` are written down."""
        (self.folder / "calls").touch()

    def calls(self) -> list[str]:
        """The files whose bytes are on disk, one for each call that said so."""
        return (self.folder / "calls").read_text().splitlines()
