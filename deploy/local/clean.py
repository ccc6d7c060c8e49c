"""`make clean-demo`: removes what the demo keeps. The jars of Apache Kafka stay: they are no data."""

import argparse
import shutil
import sys
from pathlib import Path

from deploy.local.lock import NAME, Lock, TakenError

FOLDER = Path(__file__).resolve().parents[2] / ".formhub"
KEPT = {"kafka-jars", NAME}


def clean(folder: Path) -> list[str]:
    """The names of what was removed. Raises TakenError while a demo runs."""
    if not folder.exists():
        return []
    lock = Lock(folder)
    try:
        found = [path for path in sorted(folder.iterdir()) if path.name not in KEPT]
        for path in found:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        return [path.name for path in found]
    finally:
        lock.release()


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy.local.clean", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the demo keeps its data")
    folder: Path = parser.parse_args().folder.resolve()
    try:
        removed = clean(folder)
    except TakenError as error:
        print(f"{error} Stop it first (Ctrl-C).", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename} could not be removed: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"Removed from {folder}: {', '.join(removed)}." if removed else f"There is no data in {folder}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
