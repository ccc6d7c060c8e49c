from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from formhub.core.clock import ManualClock
from formhub.core.stream.base import Record
from workers.lag import Lag

GROUP = "test-lag"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def lag(clock: ManualClock) -> Iterator[Lag]:
    made = Lag(GROUP, clock)
    yield made
    made.close()


def exported(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"formhub_consumer_{name}", {"group": GROUP, **labels})


def record(clock: ManualClock, offset: int, age: float, partition: int = 0) -> Record:
    written = int(1000 * (clock.now().timestamp() - age))
    return Record("topic", partition, offset, b"k", b"v", (), written)


def test_what_was_read_and_not_taken_ages_without_the_loop_saying_so(lag: Lag, clock: ManualClock) -> None:
    lag.measured({0: 10}, {0: 4})
    lag.saw([record(clock, 4, age=30), record(clock, 5, age=1)])
    clock.advance(60)

    assert exported("lag_records", partition="0") == 6
    assert exported("lag_seconds", partition="0") == 90


def test_records_nobody_could_read_yet_age_from_when_they_were_known_of(lag: Lag, clock: ManualClock) -> None:
    lag.measured({0: 10}, {0: 10})
    lag.measured({0: 12}, {0: 10})
    clock.advance(45)
    lag.measured({0: 13}, {0: 10})

    assert (lag.records(0), lag.seconds(0)) == (3, 45)


def test_who_has_caught_up_is_not_behind(lag: Lag, clock: ManualClock) -> None:
    lag.measured({0: 6}, {0: 4})
    lag.saw([record(clock, 4, age=30), record(clock, 5, age=20)])

    lag.took([record(clock, 4, age=30), record(clock, 5, age=20)], {0: 6})

    assert (lag.records(0), lag.seconds(0)) == (0, 0)


def test_until_the_next_record_is_seen_it_counts_as_old_as_the_last(lag: Lag, clock: ManualClock) -> None:
    lag.measured({0: 9}, {0: 4})
    lag.took([record(clock, 4, age=30), record(clock, 5, age=20)], {0: 6})
    assert lag.seconds(0) == 20

    lag.saw([record(clock, 6, age=5)])
    assert lag.seconds(0) == 5


def test_a_record_without_a_time_counts_from_now_and_one_of_the_future_is_not_old(lag: Lag, clock: ManualClock) -> None:
    lag.saw([replace(record(clock, 4, age=0), timestamp_ms=-1), record(clock, 4, age=-60, partition=1)])
    clock.advance(7)

    assert (lag.seconds(0), lag.seconds(1)) == (7, 0)


def test_a_partition_that_another_reader_has_is_no_longer_exported(lag: Lag, clock: ManualClock) -> None:
    lag.measured({0: 5, 1: 5}, {0: 5, 1: 2})
    assert exported("lag_records", partition="1") == 3

    lag.measured({0: 5}, {0: 5})

    assert exported("lag_records", partition="1") is None
    assert exported("lag_seconds", partition="1") is None
    assert exported("lag_records", partition="0") == 0


def test_since_the_last_turn_that_ended_well_time_passes(lag: Lag, clock: ManualClock) -> None:
    clock.advance(12)
    assert exported("commit_age_seconds") == 12

    lag.done()
    assert exported("commit_age_seconds") == 0

    lag.close()
    assert exported("commit_age_seconds") is None
