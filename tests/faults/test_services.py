"""Kafka, PostgreSQL and Valkey: killed, paused, emptied, out of space, behind a broken wire."""

from collections.abc import Callable

import pytest

from tests.faults.harness.case import Case
from tests.faults.harness.proxy import Proxy, Way
from tests.faults.harness.signs import Sign, above, nowhere, rises
from tests.faults.harness.world import small_disks, still

WIRES = ("kafka", "postgres", "valkey", "sheets")
BROKER_AWAY = above("formhub_intake_breaker_open", 0, "IntakeClosed", scope="broker")
ARCHIVE_FAILS = rises("formhub_consumer_failed_turns_total")
# The alert's five minutes are as long as any restart; what it looks at shows within seconds.
ARCHIVE_STANDS = above("formhub_consumer_commit_age_seconds", 5, "ConsumerStuck")
CACHE_AWAY = rises("formhub_intake_failed_open_total", "ChecksLeftOut")
# A look that failed, or a write of which nobody knows.
CALLS_FAIL = rises("formhub_flush_items_total", outcome="retryable|ambiguous")
SLOWER = nowhere("it is slower, and within every time that is given to it")


@pytest.mark.shows(BROKER_AWAY)
@pytest.mark.few
def test_kafka_killed(case: Case) -> None:
    """the only broker killed, back after 5 s"""
    with case.load() as load:
        load.more(60)
        case.world.kafka.kill()
        case.stand(5)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(BROKER_AWAY)
def test_kafka_paused(case: Case) -> None:
    """the only broker paused for 20 s"""
    with case.load() as load:
        load.more(60)
        with still(case.world.kafka.process.pid):
            case.stand(20)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(ARCHIVE_FAILS)
@pytest.mark.few
def test_postgres_killed(case: Case) -> None:
    """PostgreSQL killed, every backend with it, back after 3 s"""
    with case.load() as load:
        load.more(60)
        case.world.kill_postgres()
        case.stand(3)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(ARCHIVE_STANDS)
def test_postgres_paused(case: Case) -> None:
    """PostgreSQL paused for 10 s"""
    with case.load() as load:
        load.more(60)
        with still(case.world.postgres.process.pid):
            case.stand(10)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(CACHE_AWAY)
@pytest.mark.few
def test_valkey_killed(case: Case) -> None:
    """Valkey (cache, queues, buffer) killed, back after 3 s"""
    with case.load() as load:
        load.more(60)
        case.world.valkey.kill()
        case.stand(3)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(CACHE_AWAY)
def test_valkey_paused(case: Case) -> None:
    """Valkey paused for 10 s"""
    with case.load() as load:
        load.more(60)
        with still(case.world.valkey.process.pid):
            case.stand(10)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(nowhere("what is gone are hints and limits: the sweep finds what is owed, half a minute later"))
def test_valkey_flushed(case: Case) -> None:
    """FLUSHALL, twice, while submissions come in"""
    with case.load() as load:
        for _ in range(2):
            load.more(60)
            case.world.redis().flushall()
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(CACHE_AWAY)
def test_valkey_full(case: Case) -> None:
    """Valkey full (maxmemory, noeviction)"""
    with case.load() as load:
        load.more(60)
        server = case.world.redis()
        server.config_set("maxmemory", 1)
        load.more(60)
        server.config_set("maxmemory", 0)
        case.healed()
        load.more(60)

    case.judge()


def slow(proxy: Proxy) -> None:
    proxy.delay = 0.05


BREAK: dict[str, Callable[[Proxy], None]] = {"cut": Proxy.cut, "half open": Proxy.half_open, "slow (50 ms)": slow}
SPOILT: dict[str, dict[str, Sign]] = {
    "kafka": {"cut": BROKER_AWAY, "half open": BROKER_AWAY},
    "postgres": {"cut": ARCHIVE_FAILS, "half open": ARCHIVE_STANDS},
    "valkey": {"cut": CACHE_AWAY, "half open": CACHE_AWAY},
    "sheets": {"cut": CALLS_FAIL, "half open": CALLS_FAIL},
}


@pytest.mark.parametrize(
    ("wire", "how"),
    [
        pytest.param(wire, how, id=f"{wire} {how}", marks=pytest.mark.shows(SPOILT[wire].get(how, SLOWER)))
        for wire in WIRES
        for how in BREAK
    ],
)
def test_wire(case: Case, wire: str, how: str) -> None:
    """connections to {id} for 10 s"""
    with case.load() as load:
        load.more(60)
        BREAK[how](case.world.proxies[wire])
        case.stand(10)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.parametrize(
    ("role", "wire", "way"),
    [
        pytest.param(
            role,
            wire,
            way,
            id=f"from {role} to {wire}" if way is Way.THERE else f"from {wire} to {role}",
            marks=pytest.mark.shows(BROKER_AWAY if role == "web" else ARCHIVE_STANDS),
        )
        for role, wire in (("web", "kafka"), ("consumer", "kafka"), ("consumer", "postgres"))
        for way in Way
    ],
)
def test_one_way(case: Case, role: str, wire: str, way: Way) -> None:
    """nothing comes through {id} for 15 s, while the other direction stands"""
    with case.load() as load:
        load.more(60)
        case.world.proxies[wire].swallow(way, case.world.ports_of(role))
        case.stand(15)
        load.more(30)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.skipif(not small_disks(), reason="a small disk is a mount: needs root, and a system that allows it")
@pytest.mark.parametrize(
    "service",
    [
        pytest.param("postgres", marks=pytest.mark.shows(ARCHIVE_FAILS)),
        pytest.param("kafka", marks=pytest.mark.shows(BROKER_AWAY)),
        pytest.param("valkey", marks=pytest.mark.shows(CACHE_AWAY)),
    ],
)
def test_disk_full(case: Case, service: str) -> None:
    """{id}'s disk full for 10 s"""
    disk = case.world.disks[service]
    with case.load() as load:
        load.more(60)
        disk.fill()
        case.stand(10)
        disk.free()
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(rises("formhub_intake_refused_total", "SubmitErrors", reason="not_stored"))
def test_the_archive_and_its_log_both_away(case: Case) -> None:
    """Kafka and PostgreSQL killed together: neither door is open"""
    with case.load() as load:
        load.more(60)
        case.world.kafka.kill()
        case.world.kill_postgres()
        case.stand(5)
        case.healed()
        load.more(60)

    case.judge()
    assert set(load.statuses) <= {202, 409, 422, 503}
