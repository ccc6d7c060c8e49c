from uuid import uuid4

import pytest
from django.conf import settings
from pytest_django import DjangoAssertNumQueries

from apps.archive import offsets, queries, writer
from apps.archive.tests.rows import FORM, a_row
from formhub.core.position import position
from formhub.core.stream.base import partition_of

pytestmark = [pytest.mark.services, pytest.mark.django_db]
OTHER = uuid4()


def filled(*positions: int) -> None:
    """The form's submissions among those of another, which are never met."""
    writer.write([a_row(number, form=form) for form in (FORM, OTHER) for number in positions])


def page(beyond: int | None, *, newest_first: bool, limit: int = 3) -> list[int]:
    with queries.page(FORM, beyond=beyond, limit=limit, newest_first=newest_first) as found:
        rows = list(found)
    assert {row.form_id for row in rows} <= {FORM}
    return [row.position for row in rows]


def test_a_submission_is_found_by_form_and_id() -> None:
    row = a_row()
    writer.write([row])

    found = queries.get(FORM, row.id)

    assert found is not None
    assert (found.id, found.answers) == (row.id, row.answers)
    assert queries.get(OTHER, row.id) is None
    assert queries.get(FORM, uuid4()) is None


def test_of_many_ids_those_that_are_there_are_found() -> None:
    batch = [a_row(number) for number in range(3)]
    writer.write(batch)

    found = queries.by_ids(FORM, [batch[0].id, uuid4(), batch[2].id])

    assert {row.id for row in found} == {batch[0].id, batch[2].id}
    assert queries.by_ids(FORM, []) == []


@pytest.mark.parametrize(
    ("after", "below", "limit", "found"),
    [
        pytest.param(0, None, 10, [1, 2, 5, 9], id="all"),
        pytest.param(2, None, 10, [5, 9], id="after a place"),
        pytest.param(0, 5, 10, [1, 2], id="below a place"),
        pytest.param(0, None, 2, [1, 2], id="so many"),
        pytest.param(9, None, 10, [], id="after the last"),
    ],
)
def test_rows_after_a_place_come_in_the_order_of_the_log(
    after: int, below: int | None, limit: int, found: list[int]
) -> None:
    filled(9, 1, 5, 2)

    assert [row.position for row in queries.after(FORM, after, below, limit)] == found


def test_pages_go_both_ways_from_any_place() -> None:
    filled(*range(10, 80, 10))

    assert page(None, newest_first=True) == [70, 60, 50]
    assert page(50, newest_first=True) == [40, 30, 20]
    assert page(20, newest_first=True) == [10]
    assert page(None, newest_first=False) == [10, 20, 30]
    assert page(35, newest_first=False) == [40, 50, 60]
    assert page(70, newest_first=False) == []


def test_a_reader_may_stop_in_the_middle_of_a_page() -> None:
    filled(*range(1, 101))

    with queries.page(FORM, beyond=None, limit=100, newest_first=False) as rows:
        first = next(iter(rows))

    assert first.position == 1
    assert page(None, newest_first=False) == [1, 2, 3]


def test_a_page_is_one_query_that_the_server_keeps_open(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    filled(*range(1, 201))

    with django_assert_num_queries(3) as asked:
        assert len(page(None, newest_first=True, limit=200)) == 200

    assert [query["sql"].split()[0] for query in asked.captured_queries] == ["SAVEPOINT", "DECLARE", "RELEASE"]


def test_the_oldest_row_after_each_place_tells_how_long_it_waits() -> None:
    filled(1, 5)
    [first, second] = queries.after(FORM, 0, None, 2)

    found = queries.oldest_after([(FORM, 1), (OTHER, 9), (FORM, 0)])

    assert found == [second.archived_at, None, first.archived_at]
    assert queries.oldest_after([]) == []


def test_a_group_has_consumed_up_to_its_newest_epoch() -> None:
    partition = partition_of(str(FORM).encode(), settings.SUBMISSIONS_PARTITIONS)
    assert queries.archived_below(FORM) == 0

    offsets.place("archive", settings.SUBMISSIONS_TOPIC, "A", 0, {partition: 500})
    offsets.place("archive", settings.SUBMISSIONS_TOPIC, "B", 1, {partition: 7, (partition + 1) % 6: 99})
    offsets.place("deliver", settings.SUBMISSIONS_TOPIC, "A", 0, {partition: 3})

    assert queries.archived_below(FORM) == position(1, 7)
    assert queries.consumed_below("deliver", FORM) == 3


def test_submissions_are_counted_without_counting_rows(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    filled(1, 2, 3)

    with django_assert_num_queries(1):
        assert queries.count(FORM) == 3
    assert queries.count(uuid4()) == 0
