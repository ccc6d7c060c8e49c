"""A disk that is slow or hangs, for one service: a library of ours stands before its calls of fsync and fdatasync.

What the file system does with written bytes is left as it is; only when the service hears of it changes.
"""

from collections.abc import Mapping
from pathlib import Path

from tests.faults.harness import preload

SOURCE = Path(__file__).with_name("fsync.c")


class SlowDisk:
    """As fast as the machine's until told otherwise. `environment`: what a service is started with.

    `folder`: one that the service's user may read. A library that it may not is left out without a word.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"
        self.folder.mkdir(parents=True)
        library = preload.built(SOURCE, self.folder)
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(library), "FSYNC_FOLDER": str(self.folder)}

    def serves(self, pid: int) -> bool:
        """Whether the process has taken the library in."""
        return self.environment["LD_PRELOAD"] in Path(f"/proc/{pid}/maps").read_text()

    def slow(self, seconds: float) -> None:
        """Each call takes so much longer."""
        preload.tell(self.folder / "slow", str(int(seconds * 1_000_000)))

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
