"""Clocks that step, of one process and never of the machine."""

import pytest

from tests.faults.harness.case import Case
from tests.faults.harness.clock import DAY, HOUR, SteppingClock
from tests.faults.harness.preload import COMPILER
from tests.faults.harness.signs import late, nowhere
from tests.stack import wait_until

UP_SECONDS = 60
# Of each time that a clock shows: for what happens once a second to happen, and to be seen.
STEP_SECONDS = 5
OF_THE_MACHINE = nowhere("nothing of ours hangs on this clock; that it is wrong is for the machine's own watch to tell")


@pytest.mark.skipif(not COMPILER, reason="a clock that steps is a library of ours: needs a C compiler")
@pytest.mark.parametrize(
    "role",
    [
        pytest.param("web", marks=pytest.mark.shows(OF_THE_MACHINE)),
        pytest.param("consumer", marks=pytest.mark.shows(OF_THE_MACHINE)),
        pytest.param("worker", marks=pytest.mark.shows(late("formhub_tick_last_timestamp_seconds", 30, "TicksNotRun"))),
        pytest.param(
            "beat", marks=pytest.mark.shows(late("formhub_beat_last_tick_timestamp_seconds", 30, "BeatSilent"))
        ),
    ],
)
def test_clock(case: Case, role: str) -> None:
    """the clock of {id} an hour ahead, then an hour behind, three days ahead, and right again"""
    clock = SteppingClock(case.folder)
    case.world.stack.extra[role] = clock.environment
    try:
        with case.load() as load:
            case.world.restart(role)
            wait_until(lambda: case.world.stack.scrape(role), UP_SECONDS, f"{role} is at work")
            for seconds in (HOUR, -HOUR, 3 * DAY):
                clock.step(seconds)
                case.stand(STEP_SECONDS)
                load.more(40)
            # Set right under the same processes: none of them may wait for a time that it believed in.
            clock.step(0)
            case.healed()
            load.more(40)
        case.judge()
    finally:
        del case.world.stack.extra[role]
        case.world.restart(role)
