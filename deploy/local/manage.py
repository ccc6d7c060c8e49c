"""`python -m deploy.local.manage COMMAND ...`: Django's command line in the environment of the demo."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from deploy.local.process import ServiceError, ask_loopback_directly
from deploy.local.roles import ROOT, inherited

FOLDER = ROOT / ".formhub"
ENVIRONMENT = "environment.json"
SECONDS = 600


def environment_of(folder: Path) -> dict[str, str]:
    """Raises ServiceError if there never was a demo."""
    try:
        kept: dict[str, str] = json.loads((folder / ENVIRONMENT).read_text())
    except FileNotFoundError:
        raise ServiceError(f"There is no demo in {folder}: start one with `make demo`.") from None
    return inherited(kept)


def manage(folder: Path, *arguments: str) -> str:
    """Run a command and return what it printed. Raises ServiceError with what it said if it fails."""
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    environment = environment_of(folder)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        raise ServiceError(f"manage.py {arguments[0]} failed.\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy.local.manage", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the demo keeps its data")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="COMMAND ...")
    options = parser.parse_args()
    ask_loopback_directly()
    try:
        environment = environment_of(options.folder.resolve())
    except ServiceError as error:
        print(error, file=sys.stderr)
        return 1
    # In its own place: an interactive shell has the terminal to itself, and Ctrl-C is its own.
    command = [sys.executable, str(ROOT / "manage.py"), *options.arguments]
    return os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    sys.exit(main())
