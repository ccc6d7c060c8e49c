import threading
import time

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from apps.sinks.contract import Policy
from apps.sinks.models import BatchItem
from apps.sinks.tests.kinds import Shelf
from workers import lease
from workers.freeze import freeze
from workers.tests.conftest import Cast, ids

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def test_flushers_that_race_deliver_everything_once_and_in_order(cast: Cast) -> None:
    shelves = ("oak", "elm", "ash")
    actions = [cast.action(shelf) for shelf in shelves]
    rows = cast.archive.add(cast.form, 120)
    trouble: list[BaseException] = []

    def work(holder: str) -> None:
        try:
            for _ in range(8):
                for action in actions:
                    cast.flusher(holder).flush(action.destination_id)
        except BaseException as error:  # noqa: BLE001 - shown by the main thread
            trouble.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(f"worker {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cast.flush(*actions)

    assert trouble == []
    assert [Shelf.rows(shelf) for shelf in shelves] == [ids(rows)] * 3


def test_a_lease_is_renewed_while_a_call_lasts(cast: Cast) -> None:
    action = cast.action()
    held = lease.acquire(action.destination_id, "one", seconds=0.3)
    assert held is not None

    with lease.kept(held, longest=5, every=0.1):
        time.sleep(0.6)
        assert lease.acquire(action.destination_id, "two") is None


def test_a_call_that_hangs_loses_the_lease_in_the_end(cast: Cast) -> None:
    action = cast.action()
    held = lease.acquire(action.destination_id, "one", seconds=0.1)
    assert held is not None

    with lease.kept(held, longest=0, every=0.05):
        time.sleep(0.3)
        assert lease.acquire(action.destination_id, "two") is not None


def test_freezing_a_thousand_takes_no_more_queries_than_freezing_one(cast: Cast) -> None:
    action = cast.action()
    cast.archive.add(cast.form, 3000)
    held = lease.acquire(action.destination_id, "one")
    assert held is not None
    asked = []
    for items in (1, 1, 1000):  # late batches are looked for every other time
        with CaptureQueriesContext(connection) as queries:
            assert freeze(held, Policy(max_items=items), cast.archive, [action.pk]).batch is not None
        asked.append(len(queries))

    assert BatchItem.objects.count() == 1002
    assert asked[2] == asked[0]
