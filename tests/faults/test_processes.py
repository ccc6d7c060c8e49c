"""Our own processes: killed, paused, doubled, ended at the worst moment."""

import pytest

from tests.faults.harness.case import Case

PAUSE_SECONDS = 12


@pytest.mark.few
def test_web_killed(case: Case) -> None:
    """web server killed (SIGKILL) under load"""
    with case.load() as load:
        load.more(60)
        case.world.kill("web")
        case.healed()
        load.more(60)

    case.judge()


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


def test_worker_killed(case: Case) -> None:
    """worker killed under load"""
    with case.load() as load:
        load.more(60)
        case.world.kill("worker")
        load.more(60)
        case.healed()
        load.more(60)

    case.judge()


def test_beat_killed(case: Case) -> None:
    """beat killed under load"""
    with case.load() as load:
        load.more(60)
        case.world.kill("beat")
        load.more(60)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.parametrize("role", ["web", "consumer", "worker", "beat"])
def test_paused(case: Case, role: str) -> None:
    """{id} paused (SIGSTOP) for 12 s under load"""
    with case.load() as load:
        load.more(60)
        with case.world.paused(role):
            case.stand(PAUSE_SECONDS)
        case.healed()
        load.more(60)

    case.judge()


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


def test_everything_killed_at_once(case: Case) -> None:
    """web, consumer, worker and beat killed at once"""
    with case.load() as load:
        load.more(60)
        for role in ("web", "consumer", "worker", "beat"):
            case.world.kill(role)
        case.healed()
        load.more(60)

    case.judge()


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
def test_worker_ends(case: Case, point: str) -> None:
    """worker killed {id}"""
    with case.load() as load:
        load.more(40)
        case.world.arm(point)
        case.world.wait_ended("worker")
        case.healed()
        load.more(60)

    case.judge()
