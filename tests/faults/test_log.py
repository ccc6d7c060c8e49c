"""What the log itself may do to its readers: repeat, hold what nobody can read, forget; and a ledger asked again."""

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from formhub.core.envelope import encode
from tests.faults.harness.case import Case
from tests.faults.harness.records import PARTITIONS, an_envelope, form_of, producer, put, put_accepted
from tests.faults.harness.signs import nowhere, rises
from tests.stack import wait_until

KNOWN = pytest.mark.shows(nowhere("what is delivered again is known: it is left out"))
REWIND = "UPDATE archive_streamoffset SET next_offset = greatest(0, next_offset - 1000)"


def unread(case: Case) -> int:
    return int(case.world.sql("SELECT count(*) FROM archive_unreadrecord")[0][0])


@pytest.mark.few
@pytest.mark.shows(rises("formhub_consumer_unread_total"))
def test_poison(case: Case) -> None:
    """records in the log that cannot be read, are of another version, of 900 KiB, or refused by PostgreSQL"""
    before = unread(case)
    with case.load() as load, producer(case) as kafka:
        load.more(40)
        key = str(form_of(case)[1]).encode()
        strange, names = encode(an_envelope(case, "strange"))
        put(kafka, case, b"\xff\x00 no envelope", names, key)
        put(kafka, case, strange, [("v", b"99"), *names[1:]], key)
        refused, names = encode(an_envelope(case, "refused", essay="\u0000"))
        put(kafka, case, refused, names, key)
        put_accepted(kafka, case, an_envelope(case, "large", essay="x" * 900 * 1024))
        case.healed()
        load.more(60)

    case.judge()
    assert unread(case) - before == 3, "each is kept aside, once"


@pytest.mark.few
@KNOWN
def test_offsets_rewound(case: Case) -> None:
    """the offsets of every group set back by 1,000: all of it delivered again"""
    with case.load() as load:
        load.more(100)
        case.world.sql(REWIND)
        case.healed()
        load.more(60)

    case.judge()


@KNOWN
def test_records_twice_in_the_log(case: Case) -> None:
    """every record a second time in the log, as after a try whose receipt was lost"""
    with case.load(), producer(case) as kafka:
        for number in range(40):
            put_accepted(kafka, case, an_envelope(case, f"twice-{number}"), times=2)
        case.healed()

    case.judge()


@pytest.mark.shows(nowhere("the one that stays goes on with all partitions at once"))
def test_rebalance_storm(case: Case) -> None:
    """a second consumer comes and is killed, six times"""
    with case.load() as load:
        for _ in range(6):
            case.world.start_roles("consumer2")
            load.more(40)
            case.world.kill("consumer2")
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(rises("formhub_consumer_lost_records_total", "RecordsLost"))
def test_retention_passed(case: Case) -> None:
    """records deleted from the log before they were read: what is gone is told, all else goes on"""
    with case.load() as load:
        load.more(60)
    case.judge()
    case.world.kill("consumer")
    before = case.accepted()
    with case.load() as load:
        load.more(60)
    case.forgotten = case.accepted() - before
    forget_all(case)
    case.world.revive()
    wait_until(lambda: case.world.stack.scrape("consumer"), 60, "the consumer is back")
    case.healed()
    with case.load() as load:
        load.more(60)

    case.judge()
    assert "left the log before they were read" in (case.world.folder / "consumer.log").read_text()


def forget_all(case: Case) -> None:
    admin = KafkaAdminClient(bootstrap_servers=case.world.bootstrap.split(","))
    try:
        admin.delete_records({TopicPartition(case.world.topic, number): -1 for number in range(PARTITIONS)})
    finally:
        admin.close()


@KNOWN
def test_ledger_asked_again(case: Case) -> None:
    """the actions' marks of what is settled set back to the beginning: the ledger knows each submission"""
    with case.load() as load:
        load.more(80)
        wait_until(lambda: all(map(case.world.sheet, case.targets)), 60, "rows stand in every Sheet")
        case.world.sql(
            "UPDATE sinks_binding SET settled_to = since, behind_at = since, updated_at = now() WHERE form_id IN"
            " (SELECT id FROM forms_form WHERE public_id = ANY(%s))",
            [target["form"] for target in case.targets],
        )
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(nowhere("a destination's lease lets one task work, the others end at once"))
def test_tasks_delivered_again(case: Case) -> None:
    """each task of a delivery ten times at once, to two workers"""
    case.world.start_roles("worker2")
    with case.load() as load:
        for _ in range(5):
            load.more(30)
            case.world.stack.manage("shell", "-c", AGAIN)
        case.healed()

    case.judge()


AGAIN = """
import formhub.celery
from apps.sinks.models import Destination
from workers.tasks import flush, queue
for destination, kind in Destination.objects.order_by("-delivered_at").values_list("pk", "kind")[:6]:
    for _ in range(10):
        flush.apply_async((destination,), queue=queue(kind))
"""
