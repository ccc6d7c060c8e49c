"""`python -m sheets_emulator`: the emulator as a process, its spreadsheets kept over restarts."""

import argparse
import json
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from sheets_emulator import switches
from sheets_emulator.emulator import SheetsEmulator


def main() -> None:
    parser = argparse.ArgumentParser(prog="sheets_emulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--data", type=Path, help="folder for the spreadsheets and keys")
    parser.add_argument(
        "--quota-scale", type=float, default=1.0, help="multiplies Google's quotas; 0 switches them off"
    )
    parser.add_argument(
        "--create", nargs="*", default=["Student data"], metavar="TITLE", help="spreadsheets that there should be"
    )
    parser.add_argument("--switches", type=Path, help="a file as --show-switches or a probe of the live API prints it")
    parser.add_argument(
        "--show-switches", action="store_true", help="print how the switches stand by default, and stop"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="how many seconds pass in one, for quotas and tokens")
    options = parser.parse_args()
    if options.show_switches:
        print(switches.dump(switches.DEFAULT), end="")
        return
    if options.data is None:
        parser.error("--data names the folder for the spreadsheets and keys.")
    options.data.mkdir(parents=True, exist_ok=True)
    journal = options.data / "journal.sqlite"
    emulator = SheetsEmulator(
        options.host,
        options.port,
        journal=journal,
        quota_scale=options.quota_scale,
        speed=options.speed,
        switches=switches.load(options.switches.read_text()) if options.switches else None,
    )
    describe(emulator, options.data, options.create)
    emulator.start()
    print(f"Emulated Google Sheets at {emulator.url}", flush=True)
    stop = threading.Event()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wanted, lambda *_: stop.set())
    stop.wait()
    emulator.stop()


def describe(emulator: SheetsEmulator, folder: Path, titles: Sequence[str]) -> None:
    """Make sure of the accounts and spreadsheets, and write down where they are: emulator.json in the data folder."""
    writer = _account(emulator, folder / "service-account.json", "formhub")
    reader = _account(emulator, folder / "reader-account.json", "reader")
    found = {each.title: each.id for each in reversed(emulator.service.spreadsheets.values())}  # the first of a title
    for title in titles:
        if title not in found:
            found[title] = emulator.create(title, {writer: "writer", reader: "reader"})
    description = {
        "url": emulator.url,
        "service_account_file": str(folder / "service-account.json"),
        "reader_service_account_file": str(folder / "reader-account.json"),
        "spreadsheets": {title: found[title] for title in titles},
    }
    (folder / "emulator.json").write_text(json.dumps(description, indent=2) + "\n")


def _account(emulator: SheetsEmulator, path: Path, name: str) -> str:
    """The account kept in the file, its token address brought up to date; a new one if there is none."""
    if path.exists():
        key = {**json.loads(path.read_text()), "token_uri": emulator.token_uri}
        emulator.accounts.register(key)
    else:
        # The readers of bench and tests have a project of their own, so that they never spend the writer's quota.
        project = "formhub-demo" if name == "formhub" else "formhub-readers"
        key = emulator.new_account(f"{name}@{project}.iam.gserviceaccount.com", project)
    path.touch(mode=0o600)
    path.write_text(json.dumps(key, indent=2) + "\n")
    email: str = key["client_email"]
    return email


if __name__ == "__main__":
    main()
