"""Three brokers that are controllers too: three copies of everything, two before a record is acknowledged."""

from formhub.core.stream.kafka import _admin
from tests.faults.harness.case import Case
from tests.faults.harness.world import still

ASK_MS = 10_000


def leader(case: Case) -> int:
    """The broker that leads the first partition."""
    with _admin(case.world.bootstrap.split(","), ASK_MS) as admin:
        [found] = admin.describe_topics([case.world.topic])
    return int(found["partitions"][0]["leader_id"])


def test_one_broker_down(trio: Case) -> None:
    """three brokers: the leader of a partition killed, back after 15 s"""
    assert trio.world.cluster
    with trio.load() as load:
        load.more(60)
        trio.world.cluster.brokers[leader(trio)].kill()
        load.more(60)
        trio.healed()
        load.more(60)

    trio.judge()


def test_two_brokers_down(trio: Case) -> None:
    """three brokers: two killed, back after 10 s; no quorum, nothing may be acknowledged by one copy"""
    assert trio.world.cluster
    with trio.load() as load:
        load.more(60)
        for node in (2, 3):
            trio.world.cluster.brokers[node].kill()
        trio.stand(10)
        trio.healed()
        load.more(60)

    trio.judge()


def test_followers_paused(trio: Case) -> None:
    """three brokers: both followers paused for 6 s, so that receipts come late or not at all, then woken"""
    assert trio.world.cluster
    brokers = trio.world.cluster.brokers
    with trio.load() as load:
        load.more(60)
        first, second = (node for node in brokers if node != leader(trio))
        with still(brokers[first].process.pid), still(brokers[second].process.pid):
            trio.stand(6)
        trio.healed()
        load.more(60)

    trio.judge()


def test_brokers_restarted_in_turn(trio: Case) -> None:
    """three brokers: each stopped in order and started again, one after the other"""
    assert trio.world.cluster
    with trio.load() as load:
        for broker in trio.world.cluster.brokers.values():
            load.more(40)
            broker.stop()
            load.more(20)
            broker.start()
        trio.healed()
        load.more(40)

    trio.judge()
