"""The outbox in a real Postgres, also while that one is silent, stopped or full."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections, transaction

from apps.intake import outbox
from apps.intake.models import OutboxRow
from apps.intake.outbox import OutboxAwayError, OutboxFullError, PostgresStore
from apps.intake.tests.test_keep import a_row
from deploy.local.postgres import Postgres
from deploy.local.process import with_children
from formhub.core.envelope import decode

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

Make = Callable[..., PostgresStore]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[PostgresStore] = []

    def make(seconds: float = 20.0, rows: int = 1000, size: int = 10_000_000) -> PostgresStore:
        made.append(PostgresStore(seconds, rows, size))
        return made[-1]

    yield make
    for store in made:
        store.close()


@contextmanager
def standing_still(service: Postgres) -> Iterator[None]:
    """Every process of the server stopped, its connections open."""
    pids = with_children([service.process.pid])
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def stopped(service: Postgres) -> Iterator[None]:
    service.stop()
    try:
        yield
    finally:
        service.start()
        connections.close_all()


def kept() -> set[UUID]:
    return set(OutboxRow.objects.values_list("pk", flat=True))


def held() -> tuple[int, int]:
    state = outbox.state()
    return state.rows, state.bytes


def test_a_row_is_there_for_everybody_as_it_will_lie_in_the_log(make: Make) -> None:
    row = a_row(name="Zoë")
    make().insert([row])

    found = OutboxRow.objects.get()
    envelope = decode(bytes(found.value), row.headers)
    assert (found.id, found.form_id, found.accepted_at) == (row.id, row.form_id, row.accepted_at)
    assert (envelope.id, envelope.accepted_at, envelope.late) == (row.id, row.accepted_at, True)
    with transaction.atomic():
        assert outbox.oldest(row.partition, 10, 1_000) == [row]


def test_a_repeat_is_passed_over(make: Make) -> None:
    store, rows = make(), [a_row(), a_row()]
    store.insert(rows)
    store.insert([rows[0], rows[0], a_row()])

    assert len(kept()) == 3
    assert held() == (3, sum(OutboxRow.objects.values_list("size", flat=True)))


@pytest.mark.parametrize("bounds", [{"rows": 2}, {"size": 1_100}], ids=["rows", "bytes"])
def test_what_is_over_a_bound_is_not_kept_and_repeats_still_are(make: Make, bounds: dict[str, int]) -> None:
    store, rows = make(**bounds), [a_row(), a_row()]
    store.insert(rows)

    with pytest.raises(OutboxFullError) as failed:
        store.insert([a_row()])
    assert not failed.value.ambiguous
    store.insert(rows)
    assert kept() == {row.id for row in rows}
    assert held()[0] == 2


def test_processes_that_keep_the_same_ids_in_another_order_do_not_wait_for_each_other(make: Make) -> None:
    rows = [a_row() for _ in range(200)]
    stores = [make() for _ in range(4)]
    orders = [rows, rows[::-1], rows[100:] + rows[:100], rows[::2] + rows[1::2]]
    threads = [
        threading.Thread(target=store.insert, args=(order,)) for store, order in zip(stores, orders, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert kept() == {row.id for row in rows}
    assert held()[0] == 200


def test_an_insert_and_the_relays_drop_of_the_same_row_do_not_wait_for_each_other(make: Make) -> None:
    row, store = a_row(), make()
    store.insert([row])
    again = threading.Thread(target=store.insert, args=([row],))
    with transaction.atomic():
        outbox.drop([row.id])
        again.start()
        again.join(0.2)
        assert again.is_alive()
    again.join()

    assert kept() == {row.id}
    assert held() == (1, row.size)


@pytest.mark.parametrize("code", ["disk_full", "out_of_memory", "read_only_sql_transaction", "undefined_table"])
def test_whatever_the_server_says_is_a_door_that_is_away(make: Make, code: str) -> None:
    with refusing(code), pytest.raises(OutboxAwayError) as failed:
        make().insert([a_row()])
    assert not failed.value.ambiguous
    assert kept() == set()


@contextmanager
def refusing(code: str) -> Iterator[None]:
    """The server itself raises this error at every row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"
        )
        cursor.execute("CREATE TRIGGER refuse BEFORE INSERT ON intake_outboxrow EXECUTE FUNCTION refuse()")
        try:
            yield
        finally:
            cursor.execute("DROP FUNCTION refuse CASCADE")


def test_a_table_that_is_locked_is_waited_for_only_for_so_long(make: Make) -> None:
    store = make(seconds=0.3)
    with transaction.atomic():
        connection.cursor().execute("LOCK TABLE intake_outboxrow")
        with pytest.raises(OutboxAwayError):
            store.insert([a_row()])
    assert kept() == set()
    store.insert([a_row()])
    assert len(kept()) == 1


def test_a_server_that_stands_still_is_waited_for_only_for_so_long(make: Make, postgres_service: Postgres) -> None:
    store, fresh = make(seconds=0.3), make(seconds=0.3)
    store.insert([a_row()])
    with standing_still(postgres_service):
        for each in (store, fresh, store):
            with pytest.raises(OutboxAwayError):
                each.insert([a_row()])
    late = a_row()
    make().insert([late])
    assert late.id in kept()


def test_a_connection_that_died_between_two_groups_costs_nobody_an_answer(
    make: Make, postgres_service: Postgres
) -> None:
    store, rows = make(), [a_row(), a_row()]
    store.insert(rows[:1])
    with stopped(postgres_service):
        pass
    store.insert(rows[1:])

    assert kept() == {row.id for row in rows}


class TestCheck:
    def test_it_takes_writes(self, make: Make) -> None:
        make().check()

    def test_it_is_full(self, make: Make) -> None:
        make().insert([a_row(), a_row()])
        with pytest.raises(OutboxFullError):
            make(rows=1).check()

    def test_the_server_is_away(self, make: Make, postgres_service: Postgres) -> None:
        store = make()
        store.check()
        with stopped(postgres_service), pytest.raises(OutboxAwayError):
            store.check()
        store.check()


def test_the_partitions_that_wait_are_told_with_their_oldest(make: Make) -> None:
    rows = [replace(a_row(), partition=partition) for partition in (5, 0, 5, 2, 2)]
    older = replace(rows[2], accepted_at=rows[0].accepted_at - timedelta(hours=1))
    make().insert([*rows[:2], older, *rows[3:]])

    assert outbox.waiting() == {5: older.accepted_at, 0: rows[1].accepted_at, 2: rows[3].accepted_at}
    assert outbox.state().oldest == older.accepted_at


def test_a_batch_is_bounded_in_bytes_and_never_empty(make: Make) -> None:
    rows = [a_row(text="x" * 2_000) for _ in range(5)]
    make().insert(rows)

    with transaction.atomic():
        assert outbox.oldest(3, 10, 1) == rows[:1]
        assert outbox.oldest(3, 10, rows[0].size + 1) == rows[:2]
        assert outbox.oldest(3, 4, 1_000_000) == rows[:4]


def test_one_is_found_by_its_id_under_its_form_alone(make: Make) -> None:
    row = a_row(name="Zoë")
    make().insert([row, a_row()])

    assert outbox.find(row.form_id, row.id) == row
    assert outbox.find(uuid4(), row.id) is None


def test_rows_that_went_another_way_are_counted_anew(make: Make) -> None:
    rows = [a_row(), a_row(), a_row()]
    make().insert(rows)
    OutboxRow.objects.filter(pk=rows[0].id).delete()
    outbox.recount()

    assert held() == (2, rows[1].size + rows[2].size)


def test_a_fresh_outbox_is_empty() -> None:
    assert outbox.state() == outbox.State(0, 0, None, 0)
