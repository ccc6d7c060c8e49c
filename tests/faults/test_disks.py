"""Disks that are slow or stand still, and what is on them when a submission is answered."""

from collections.abc import Callable

import pytest

from tests.faults.harness.case import Case
from tests.faults.harness.disk import SlowDisk
from tests.faults.harness.preload import COMPILER
from tests.faults.harness.signs import above, nowhere
from tests.stack import wait_until

pytestmark = pytest.mark.skipif(not COMPILER, reason="needs a C compiler: apt-get install gcc libc6-dev")
SERVICES = ("kafka", "postgres", "valkey")
SHOWS = {
    "kafka": above("formhub_intake_breaker_open", 0, "IntakeClosed", scope="broker"),
    "postgres": above("formhub_consumer_commit_age_seconds", 5, "ConsumerStuck"),
    "valkey": nowhere("it writes its file down behind its back, and answers all the while"),
}


@pytest.mark.shows(nowhere("it is slower, and within every time that is given to it"))
@pytest.mark.parametrize("service", SERVICES)
def test_disk_slow(case: Case, service: str) -> None:
    """{id}'s disk takes half a second longer for each flush, for 15 s"""
    stand(case, service, lambda disk: disk.slow(0.5))


@pytest.mark.parametrize("service", [pytest.param(name, marks=pytest.mark.shows(SHOWS[name])) for name in SERVICES])
def test_disk_hung(case: Case, service: str) -> None:
    """{id}'s disk hangs: no flush returns for 15 s"""
    stand(case, service, SlowDisk.hang)


def stand(case: Case, service: str, ail: Callable[[SlowDisk], None]) -> None:
    disk = SlowDisk(case.world.data / case.name)
    with case.world.on(disk, service):
        with case.load() as load:
            load.more(60)
            ail(disk)
            case.stand(15)
            load.more(30)
            disk.heal()
            case.healed()
            load.more(60)

        case.judge()


@pytest.mark.shows(nowhere("nothing fails here: it is a look at what the broker does"))
def test_flushed_before_it_is_acknowledged(case: Case) -> None:
    """one client, each of whose records the only broker has flushed to its disk before the answer"""
    disk = SlowDisk(case.world.data / case.name)
    with case.world.on(disk, "kafka"):
        with case.load(clients=1) as load:
            load.more(20)
        wait_until(lambda: not case.world.outbox(), 60, "all goes into the log again")
        before = case.accepted()
        disk.count()
        with case.load(clients=1) as load:
            load.more(60)
        accepted = case.accepted() - before
        flushed = [name for name in disk.calls() if f"/{case.world.topic}-" in name and name.endswith(".log")]
        case.healed()

        case.judge()
    assert len(flushed) >= len(accepted) > 0
