"""Libraries of ours that stand before the system's in a process, and the files by which they are told what to do."""

import shutil
import subprocess
from pathlib import Path

COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def built(source: Path, folder: Path) -> Path:
    """The library of a C file."""
    assert COMPILER, "no C compiler"
    library = folder / f"{source.stem}.so"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O2", "-o", library, source], check=True, timeout=60)
    return library


def tell(file: Path, text: str) -> None:
    """Whoever reads the file finds the former text or this one, whole."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)
