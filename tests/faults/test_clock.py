"""Clocks that step, of one process and never of the machine: libfaketime, from Debian's package of that name."""

from pathlib import Path

import pytest

from tests.faults.harness.case import Case

LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]


@pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime: apt-get install libfaketime")
@pytest.mark.parametrize("role", ["web", "consumer", "worker", "beat"])
def test_clock(case: Case, role: str) -> None:
    """the clock of {id} an hour ahead, then an hour behind, then three days ahead"""
    clock = case.folder / "clock"
    stepped(clock, "+0")
    case.world.stack.extra[role] = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    try:
        with case.load() as load:
            case.world.restart(role)
            for step in ("+1h", "-1h", "+3d"):
                stepped(clock, step)
                load.more(40)
    finally:
        del case.world.stack.extra[role]
        case.world.kill(role)
    case.healed()
    with case.load() as load:
        load.more(40)

    case.judge()


def stepped(clock: Path, to: str) -> None:
    new = clock.with_suffix(".new")
    new.write_text(f"{to}\n")
    new.replace(clock)
