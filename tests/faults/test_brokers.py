"""Three brokers that are controllers too: three copies of everything, two before a record is acknowledged."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import NotEnoughReplicasError

from formhub.core.stream.base import StreamError, partition_of
from formhub.core.stream.kafka import _admin
from tests.faults.harness.case import Case
from tests.faults.harness.signs import nowhere, rises
from tests.faults.harness.world import still
from tests.stack import wait_until

ASK_MS = 5_000
OUTBOX_TAKES = rises("formhub_intake_accepted_total", door="outbox")
ASK_SECONDS = 60


def partitions(case: Case) -> Sequence[Mapping[str, Any]]:
    """Of the topic, as a broker tells them that answers."""
    found: list[Mapping[str, Any]] = []

    def ask() -> bool:
        with suppress(StreamError), _admin(case.world.bootstrap.split(","), ASK_MS) as admin:
            [topic] = admin.describe_topics([case.world.topic])
            found.extend(topic["partitions"])
        return bool(found)

    wait_until(ask, ASK_SECONDS, "a broker answers")
    return sorted(found, key=lambda each: int(each["partition_index"]))


def leader(case: Case) -> int:
    """The broker that leads the first partition."""
    return int(partitions(case)[0]["leader_id"])


def in_sync(case: Case, number: int) -> set[int]:
    return set(partitions(case)[number]["isr_nodes"])


def end(case: Case, number: int) -> int:
    """The offset up to which the partition's records are on as many copies as are wanted.

    Of one alone: a leader that was just chosen and is short of copies does not tell it.
    """
    partition = TopicPartition(case.world.topic, number)
    with _admin(case.world.bootstrap.split(","), ASK_MS) as admin:
        return int(admin.list_partition_offsets({partition: OffsetSpec.LATEST})[partition].offset)


@pytest.mark.shows(nowhere("the next leader is chosen before a submission has waited its time"))
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


@pytest.mark.shows(OUTBOX_TAKES)
def test_leader_paused(trio: Case) -> None:
    """three brokers: the leader of a partition paused for 20 s, then woken: others lead meanwhile, and it comes back"""
    assert trio.world.cluster
    with trio.load() as load:
        load.more(60)
        first = leader(trio)
        with still(trio.world.cluster.brokers[first].process.pid):
            trio.stand(20)
            load.more(30)
            assert leader(trio) not in {first, -1}
        trio.healed()
        wait_until(lambda: in_sync(trio, 0) == {1, 2, 3}, ASK_SECONDS, "the woken broker has all that it missed")
        load.more(60)

    trio.judge()


@pytest.mark.shows(OUTBOX_TAKES)
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


@pytest.mark.shows(OUTBOX_TAKES)
def test_too_few_copies(trio: Case) -> None:
    """three brokers, a topic of two copies: one copy stopped, so that the log refuses; accepted goes to the outbox"""
    assert trio.world.cluster
    with trio.world.topic_of(SUBMISSIONS_REPLICATION="2", SUBMISSIONS_MIN_INSYNC="2"):
        [(form,)] = trio.world.sql("SELECT id::text FROM forms_form WHERE public_id = %s", trio.targets[0]["form"])
        number = partition_of(form.encode(), len(partitions(trio)))
        with trio.load() as load:
            load.more(60)
            place = partitions(trio)[number]
            [other] = {*place["replica_nodes"]} - {place["leader_id"]}
            trio.world.cluster.brokers[other].kill()
            wait_until(lambda: in_sync(trio, number) == {place["leader_id"]}, ASK_SECONDS, "one copy is left")
            with pytest.raises(NotEnoughReplicasError):
                put(trio, number)
            before, told = end(trio, number), len(accepted_for(trio, form=0))
            wait_until(lambda: len(accepted_for(trio, form=0)) > told + 20, ASK_SECONDS, "more are accepted for it")

            assert end(trio, number) == before, "nothing was acknowledged by one copy"
            assert trio.world.outbox() > 20
            trio.healed()
            load.more(60)

        trio.judge()


def put(case: Case, number: int) -> None:
    """A record of nobody's, tried once."""
    producer = KafkaProducer(bootstrap_servers=case.world.bootstrap, acks="all", retries=0, enable_idempotence=False)
    try:
        producer.send(case.world.topic, b"", partition=number).get(timeout=ASK_SECONDS)
    finally:
        producer.close(timeout=0)


def accepted_for(case: Case, form: int) -> set[str]:
    """The ids that clients were told for this one of the case's forms."""
    calls = case.journal.history().values()
    return {submission for call in calls if call.form == case.targets[form]["form"] for submission in call.ids}


@pytest.mark.shows(OUTBOX_TAKES)
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


@pytest.mark.shows(nowhere("each hands over what it leads before it ends"))
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
