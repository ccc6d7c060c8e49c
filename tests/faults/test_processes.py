"""Our own processes: killed, paused, doubled, ended at the worst moment."""

import os
import signal
from collections.abc import Callable

import pytest

from sheets_emulator.faults import Fault
from tests.faults.harness.case import Case
from tests.faults.harness.signs import absent, nowhere
from tests.stack import wait_until

PAUSE_SECONDS = 12
WRITES = "spreadsheets.batchUpdate"
MISSING = {
    "web": absent("formhub_processes", "WebMissing", role="web"),
    "consumer": absent("formhub_consumer_commit_age_seconds", "ConsumerMissing"),
    "worker": absent("formhub_tick_last_timestamp_seconds", "TicksNotRun"),
    "beat": absent("formhub_beat_last_tick_timestamp_seconds", "BeatSilent"),
}


@pytest.mark.shows(MISSING["web"])
@pytest.mark.few
def test_web_killed(case: Case) -> None:
    """web server killed (SIGKILL) under load"""
    with case.load() as load:
        load.more(60)
        case.world.kill("web")
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(MISSING["consumer"])
@pytest.mark.few
def test_consumer_killed(case: Case) -> None:
    """consumer killed under load"""
    with case.load() as load:
        load.more(60)
        case.world.kill("consumer")
        load.more(60)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(MISSING["worker"])
def test_worker_killed(case: Case) -> None:
    """worker killed under load"""
    with case.load() as load:
        load.more(60)
        case.world.kill("worker")
        load.more(60)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(MISSING["beat"])
def test_beat_killed(case: Case) -> None:
    """beat killed under load"""
    with case.load() as load:
        load.more(60)
        case.world.kill("beat")
        load.more(60)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.parametrize("role", [pytest.param(role, marks=pytest.mark.shows(MISSING[role])) for role in MISSING])
def test_paused(case: Case, role: str) -> None:
    """{id} paused (SIGSTOP) for 12 s under load"""
    with case.load() as load:
        load.more(60)
        with case.world.paused(role):
            case.stand(PAUSE_SECONDS)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(MISSING["worker"])
def test_worker_paused_beyond_its_lease(case: Case) -> None:
    """worker paused for longer than its lease while another one delivers, then woken"""
    with case.load(clients=4) as load:
        load.more(40)
        with case.world.paused("worker"):
            case.world.start_roles("worker2")
            case.stand(75)
        load.more(40)
        case.healed()

    case.judge()


@pytest.mark.shows(MISSING["web"])
def test_everything_killed_at_once(case: Case) -> None:
    """web, consumer, worker and beat killed at once"""
    with case.load() as load:
        load.more(60)
        for role in MISSING:
            case.world.kill(role)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(nowhere("two of each do what one does: the ledger decides, and nothing is the worse for it"))
@pytest.mark.few
def test_beat_twice(case: Case) -> None:
    """two beats, two workers and two consumers at a time"""
    with case.load() as load:
        case.world.start_roles("beat2", "worker2", "consumer2")
        load.more(200)
        case.healed()

    case.judge()


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("archive-before-write", id="before the archive write", marks=pytest.mark.few),
        pytest.param("archive-before-commit", id="after the archive write, before its commit"),
        pytest.param("archive-after-commit", id="after the archive's commit"),
        pytest.param("deliver-before-commit", id="after the buffer, before the offsets move"),
        pytest.param("deliver-after-commit", id="after the offsets of delivery have moved"),
    ],
)
@pytest.mark.shows(MISSING["consumer"])
def test_consumer_ends(case: Case, point: str) -> None:
    """consumer killed {id}"""
    with case.load() as load:
        load.more(40)
        case.world.arm(point)
        case.world.wait_ended("consumer")
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("sheet-before-call", id="before the call to Google"),
        pytest.param("sheet-after-call", id="after the call, before it is written down"),
        pytest.param("ledger-after-mark", id="after it is written down"),
    ],
)
@pytest.mark.shows(MISSING["worker"])
def test_worker_ends(case: Case, point: str) -> None:
    """worker killed {id}"""
    with case.load() as load:
        load.more(40)
        case.world.arm(point)
        case.world.wait_ended("worker")
        case.healed()
        load.more(60)

    case.judge()


def answers_slowly(case: Case) -> None:
    case.world.proxies["sheets"].delay = 2


def does_not_answer(case: Case) -> None:
    case.world.emulator.faults.hang_seconds = 60
    case.world.emulator.faults.plan(WRITES, Fault.HANG)


SENDING = "SELECT 1 FROM sinks_batch WHERE state = 'sending'"
HELD = "SELECT count(*) FROM sinks_destination WHERE leased_until > now()"


@pytest.mark.shows(MISSING["worker"])
@pytest.mark.parametrize(
    "google",
    [
        pytest.param(answers_slowly, id="it ends the batch"),
        pytest.param(does_not_answer, id="Google does not answer, and it hands the batch back"),
    ],
)
def test_worker_told_to_stop(case: Case, google: Callable[[Case], None]) -> None:
    """worker told to stop (SIGTERM) with a batch under way: {id}"""
    with case.load() as load:
        load.more(40)
        google(case)
        wait_until(lambda: case.world.sql(SENDING), 60, "a batch is under way")
        os.kill(case.world.stack.processes["worker"].pid, signal.SIGTERM)
        case.world.wait_ended("worker")  # within the time that docs/operations.md asks to be given to it
        assert case.world.sql(HELD) == [(0,)], "what it had is free for the next one"
        case.healed()
        load.more(40)

    case.judge()
