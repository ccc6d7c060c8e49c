import threading
from collections.abc import Callable

import pytest
from django.db import connections, transaction

from apps.archive import offsets
from apps.archive.models import LogEpoch
from apps.archive.offsets import OffsetMovedError

pytestmark = [pytest.mark.services, pytest.mark.django_db]
TOPIC = "submissions.v1"


def at(partitions: dict[int, int], group: str = "archive", topic_id: str = "A") -> None:
    offsets.place(group, TOPIC, topic_id, offsets.epoch(TOPIC, topic_id), partitions)


def test_a_topic_met_for_the_first_time_is_epoch_0_and_stays_it() -> None:
    assert offsets.epoch(TOPIC, "A") == 0
    assert offsets.epoch(TOPIC, "A") == 0
    assert LogEpoch.objects.count() == 1


def test_a_topic_made_anew_comes_after_the_one_before() -> None:
    offsets.epoch(TOPIC, "A")

    assert offsets.epoch(TOPIC, "B") == 1
    assert offsets.epoch(TOPIC, "A") == 0


def test_another_topic_has_numbers_of_its_own() -> None:
    offsets.epoch(TOPIC, "A")

    assert offsets.epoch("other.v1", "B") == 0


def test_a_log_that_was_set_back_gets_a_further_epoch() -> None:
    at({0: 500})

    assert offsets.open_epoch(TOPIC, "A") == 1
    assert offsets.epoch(TOPIC, "A") == 1


def test_the_readers_of_one_log_that_was_set_back_share_the_further_epoch() -> None:
    at({0: 500})
    first = offsets.open_epoch(TOPIC, "A")

    # Nobody stands in it yet, so whoever notices next joins it instead of opening another.
    assert offsets.open_epoch(TOPIC, "A") == first


def test_once_somebody_stands_in_it_another_set_back_opens_another() -> None:
    at({0: 500})
    offsets.place("archive", TOPIC, "A", offsets.open_epoch(TOPIC, "A"), {0: 0})

    assert offsets.open_epoch(TOPIC, "A") == 2


def test_a_group_is_placed_where_it_is_told_wherever_it_stood() -> None:
    at({0: 10, 1: 20})
    at({1: 5, 2: 30})

    assert offsets.stored("archive", "A") == {0: 10, 1: 5, 2: 30}


def test_groups_and_topics_stand_apart() -> None:
    at({0: 10})
    at({0: 20}, group="deliver")
    at({0: 30}, topic_id="B")

    assert offsets.stored("archive", "A") == {0: 10}
    assert offsets.stored("nobody", "A") == {}


def test_partitions_advance_together() -> None:
    at({0: 10, 1: 20, 2: 30})

    offsets.advance("archive", "A", {0: (10, 15), 2: (30, 31)})

    assert offsets.stored("archive", "A") == {0: 15, 1: 20, 2: 31}


def test_nothing_to_move_is_no_work() -> None:
    offsets.advance("archive", "A", {})


@pytest.mark.parametrize(
    "spans",
    [
        pytest.param({0: (9, 15)}, id="before it"),
        pytest.param({0: (11, 15)}, id="after it"),
        pytest.param({0: (10, 15), 1: (21, 25)}, id="one of two"),
        pytest.param({7: (0, 5)}, id="never placed"),
    ],
)
def test_an_offset_moves_only_from_where_the_reader_stood(spans: dict[int, tuple[int, int]]) -> None:
    at({0: 10, 1: 20})

    with pytest.raises(OffsetMovedError), transaction.atomic():
        offsets.advance("archive", "A", spans)

    assert offsets.stored("archive", "A") == {0: 10, 1: 20}


def race(work: Callable[[], None], threads: int = 2) -> list[BaseException]:
    """Run `work` in threads that begin together; what went wrong in them."""
    trouble: list[BaseException] = []
    start = threading.Barrier(threads)

    def run() -> None:
        try:
            start.wait(timeout=10)
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            trouble.append(error)
        finally:
            connections.close_all()

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(timeout=30)
    return trouble


@pytest.mark.usefixtures("committed")
def test_of_two_readers_at_one_place_one_moves_the_offset() -> None:
    at({0: 10, 1: 20})
    inside = threading.Barrier(2)

    def advance() -> None:
        with transaction.atomic():
            inside.wait(timeout=10)
            offsets.advance("archive", "A", {0: (10, 15), 1: (20, 25)})

    [lost] = race(advance)

    assert isinstance(lost, OffsetMovedError)
    assert offsets.stored("archive", "A") == {0: 15, 1: 25}


@pytest.mark.usefixtures("committed")
def test_readers_that_meet_a_new_topic_at_once_agree_on_its_epoch() -> None:
    offsets.epoch(TOPIC, "A")
    found: list[int] = []

    assert race(lambda: found.append(offsets.epoch(TOPIC, "B")), threads=4) == []

    assert found == [1, 1, 1, 1]
    assert LogEpoch.objects.count() == 2
