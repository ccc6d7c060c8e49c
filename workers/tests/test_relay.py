"""The outbox of a real Postgres into the log: each submission once in the archive, in order, whatever happens."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from apps.archive import queries
from apps.intake import outbox, process
from apps.intake.accept import accept
from apps.intake.commit import Bounds, Committer
from apps.intake.keep import Keeper
from apps.intake.models import OutboxRow
from apps.intake.outbox import PostgresStore, Row
from apps.intake.tests.forms import a_form
from apps.intake.ticket import NotCommittedError
from deploy.local.kafka import Kafka
from formhub.core.clock import ManualClock, SystemClock
from formhub.core.envelope import Envelope, decode
from formhub.core.ids import uuid7
from formhub.core.stream import base
from formhub.core.stream.base import Message, Outcome, StreamError, partition_of
from formhub.core.stream.kafka import KafkaPublisher, KafkaSource, TopicSettings, ensure_topic
from formhub.core.stream.memory import MemoryPublisher, MemorySource, MemoryTopic
from workers import tasks, wiring
from workers.archiving import ArchiveHandler
from workers.consumer import Consumer
from workers.relay import REST_SECONDS, Relay, Turn
from workers.tests.log import FORM, ORGANIZATION, an_envelope, publish

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

PARTITIONS = 6
MOMENT = datetime(2026, 11, 23, 8, tzinfo=UTC)
SOON = 30.0


def keep(form: UUID = FORM, count: int = 1, since: datetime = MOMENT, **answers: object) -> list[Row]:
    """Rows of a form, a second between them."""
    envelopes = [
        Envelope(uuid7(), ORGANIZATION, form, 1, since + timedelta(seconds=number), dict(answers) or {"age": number})
        for number in range(count)
    ]
    rows = [Row.of(envelope, partition_of(envelope.key, PARTITIONS)) for envelope in envelopes]
    store = PostgresStore(20, 100_000, 100_000_000)
    store.insert(rows)
    store.close()
    return rows


def ids(rows: Sequence[Row]) -> list[UUID]:
    return [row.id for row in rows]


def left() -> set[UUID]:
    return set(OutboxRow.objects.values_list("pk", flat=True))


def relayed(topic: MemoryTopic, form: UUID = FORM) -> list[UUID]:
    """What the log has of the form, in its order and with repeats."""
    found = [decode(record.value, record.headers) for record in topic.records()]
    return [envelope.id for envelope in found if envelope.form == form]


def archive(topic: MemoryTopic) -> None:
    def open_source(listener: Consumer) -> MemorySource:
        return MemorySource(topic, "archive", listener)

    consumer = Consumer(open_source, ArchiveHandler(), topic.name)
    consumer.turn()
    consumer.turn()


def archived(form: UUID = FORM) -> list[UUID]:
    return [row.id for row in queries.after(form, -1, None, 10_000)]


@pytest.fixture(autouse=True)
def _empty_archive() -> Iterator[None]:
    """What was committed goes with the test; the archive's table is none of Django's."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE archive_submission")


@pytest.fixture
def topic() -> MemoryTopic:
    return MemoryTopic(partitions=PARTITIONS)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def relay(topic: MemoryTopic, clock: ManualClock) -> Relay:
    return Relay(MemoryPublisher(topic), PARTITIONS, clock)


class Odd(MemoryPublisher):
    """Does something of the test's choosing instead of taking the group, for as long as it says so."""

    def __init__(
        self, topic: MemoryTopic, instead: Callable[[Sequence[Message]], list[Outcome] | None] = lambda messages: None
    ) -> None:
        super().__init__(topic)
        self.instead = instead

    def publish(self, messages: Sequence[Message], done: Callable[[list[Outcome]], None]) -> None:
        outcomes = self.instead(messages)
        if outcomes is None:
            super().publish(messages, done)
        else:
            done(outcomes)


def test_rows_reach_the_log_oldest_first_as_they_were_accepted(relay: Relay, topic: MemoryTopic) -> None:
    newer = keep(count=3, since=MOMENT + timedelta(minutes=1))
    older = keep(count=3)
    relay.run(SOON)

    assert relayed(topic) == ids(older) + ids(newer)
    found = [decode(record.value, record.headers) for record in topic.records()]
    assert [envelope.accepted_at for envelope in found] == [row.accepted_at for row in older + newer]
    assert all(envelope.late for envelope in found)
    assert {record.partition for record in topic.records()} == {partition_of(str(FORM).encode(), PARTITIONS)}
    assert outbox.state() == outbox.State(0, 0, None, 0)


def test_many_batches_of_many_forms_stay_in_order(
    relay: Relay, topic: MemoryTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.relay.ITEMS", 7)
    sent = {form: ids(keep(form, count=20)) for form in (uuid4() for _ in range(10))}
    relay.run(SOON)

    assert {form: relayed(topic, form) for form in sent} == sent
    assert left() == set()


def test_a_row_that_is_committed_late_is_found(relay: Relay, topic: MemoryTopic) -> None:
    first = keep(count=2, since=MOMENT + timedelta(hours=1))
    relay.run(SOON)
    late = keep(count=2)
    relay.run(SOON)

    assert relayed(topic) == ids(first) + ids(late)
    assert left() == set()


def test_only_what_has_a_receipt_is_dropped(topic: MemoryTopic, clock: ManualClock) -> None:
    def half(messages: Sequence[Message]) -> list[Outcome]:
        cut = len(messages) // 2
        taken: list[Outcome] = [topic.append(message) for message in messages[:cut]]
        return taken + [StreamError("gone")] * (len(messages) - cut)

    publisher = Odd(topic, half)
    relay, rows = Relay(publisher, PARTITIONS, clock), keep(count=10)
    assert relay.turn() == Turn(relayed=5, failed=1)
    assert left() == set(ids(rows[5:]))

    publisher.instead = lambda messages: None
    clock.advance(REST_SECONDS)
    relay.run(SOON)
    assert relayed(topic) == ids(rows)


def test_a_broker_that_is_away_leaves_everything_where_it_is(
    relay: Relay, topic: MemoryTopic, clock: ManualClock
) -> None:
    rows = keep(count=5)
    topic.broken = True
    assert not relay.run(SOON)
    assert left() == set(ids(rows))

    topic.broken = False
    assert relay.turn() == Turn()  # it rests
    clock.advance(REST_SECONDS)
    relay.run(SOON)
    assert relayed(topic) == ids(rows)


def test_a_broker_out_of_reach_is_asked_once_a_turn(topic: MemoryTopic, clock: ManualClock) -> None:
    asked: list[int] = []

    def away(messages: Sequence[Message]) -> list[Outcome]:
        asked.append(len(messages))
        return [StreamError("not handed over")] * len(messages)

    for _ in range(20):
        keep(uuid4())
    assert Relay(Odd(topic, away), PARTITIONS, clock).turn().failed > 1
    assert len(asked) == 1


def test_a_partition_without_a_leader_does_not_hold_up_the_others(
    topic: MemoryTopic, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.relay.PATIENCE_SECONDS", 0.05)
    dead, well = by_partition(2)
    silent = Silent(topic, partition_of(str(dead).encode(), PARTITIONS))
    relay = Relay(silent, PARTITIONS, clock)
    stays, goes = keep(dead, count=3), keep(well, count=3)
    relay.run(SOON)

    assert left() == set(ids(stays))
    assert relayed(topic, well) == ids(goes)


class Silent(MemoryPublisher):
    """Says nothing of what goes to one partition."""

    def __init__(self, topic: MemoryTopic, partition: int) -> None:
        super().__init__(topic)
        self.partition = partition

    def publish(self, messages: Sequence[Message], done: Callable[[list[Outcome]], None]) -> None:
        if messages[0].partition != self.partition:
            super().publish(messages, done)


def by_partition(count: int) -> list[UUID]:
    """Forms of different partitions."""
    found: dict[int, UUID] = {}
    while len(found) < count:
        form = uuid4()
        found[partition_of(str(form).encode(), PARTITIONS)] = form
    return list(found.values())


def test_a_relay_that_ends_between_publishing_and_dropping_repeats_and_the_archive_keeps_one_of_each(
    relay: Relay, topic: MemoryTopic, clock: ManualClock
) -> None:
    def taken_and_then_the_end(messages: Sequence[Message]) -> list[Outcome]:
        for message in messages:
            topic.append(message)
        raise SystemExit

    rows = keep(count=5)
    with pytest.raises(SystemExit):
        Relay(Odd(topic, taken_and_then_the_end), PARTITIONS, clock).turn()
    assert left() == set(ids(rows))
    more = keep(count=5, since=MOMENT + timedelta(minutes=1))
    relay.run(SOON)
    archive(topic)

    assert relayed(topic) == ids(rows) * 2 + ids(more)
    assert archived() == ids(rows) + ids(more)
    assert left() == set()


def test_what_the_log_had_already_is_archived_once_and_where_it_first_stood(relay: Relay, topic: MemoryTopic) -> None:
    """An outcome that was unknown when it went into the outbox."""
    (row,) = keep(count=1, name="Ada")
    publish(topic, an_envelope(submission=row.id, name="Ada"))
    other = an_envelope()
    publish(topic, other)
    relay.run(SOON)
    archive(topic)

    assert relayed(topic) == [row.id, other.id, row.id]
    assert archived() == [row.id, other.id]


def test_relays_at_the_same_time_share_the_partitions_and_repeat_nothing(
    topic: MemoryTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.relay.ITEMS", 5)
    sent = {form: ids(keep(form, count=30)) for form in by_partition(4)}
    failures: list[BaseException] = []

    def drain() -> None:
        relay = Relay(MemoryPublisher(topic), PARTITIONS, SystemClock())
        until = datetime.now(UTC) + timedelta(seconds=SOON)
        try:
            while outbox.waiting() and datetime.now(UTC) < until:
                relay.turn()
        except DatabaseError as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert {form: relayed(topic, form) for form in sent} == sent
    assert outbox.state() == outbox.State(0, 0, None, 0)


def test_a_relay_that_stands_still_loses_its_partitions_to_the_next(
    relay: Relay, topic: MemoryTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.intake.outbox.TURN_SECONDS", 1)
    rows, stands, go_on = keep(count=3), threading.Event(), threading.Event()
    ended: list[BaseException] = []

    def stand(messages: Sequence[Message]) -> None:
        stands.set()
        assert go_on.wait(SOON)

    def stalled() -> None:
        try:
            Relay(Odd(topic, stand), PARTITIONS, SystemClock()).turn()
        except DatabaseError as error:
            ended.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=stalled)
    thread.start()
    assert stands.wait(SOON)
    assert relay.turn() == Turn()  # held by the other
    wait_until(lambda: relay.turn().relayed == 3)
    go_on.set()
    thread.join()
    archive(topic)

    assert len(ended) == 1
    assert archived() == ids(rows)
    assert left() == set()


def test_what_the_log_refuses_is_set_aside_until_somebody_asks(
    relay: Relay, topic: MemoryTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = keep(text="x" * 5_000)
    rows = keep(count=3, since=MOMENT + timedelta(minutes=1))
    monkeypatch.setattr(base, "MAX_MESSAGE_BYTES", 4_000)
    relay.run(SOON)

    assert relayed(topic) == ids(rows)
    assert (outbox.state().rows, outbox.state().oldest, outbox.state().refused) == (1, None, 1)
    monkeypatch.undo()
    assert outbox.try_refused() == 1
    relay.run(SOON)
    assert relayed(topic) == ids(rows) + ids(large)
    assert outbox.state() == outbox.State(0, 0, None, 0)


def test_a_topic_with_more_partitions_gets_each_form_into_one(topic: MemoryTopic, clock: ManualClock) -> None:
    rows = keep(count=3)
    wider = MemoryTopic(partitions=24)
    Relay(MemoryPublisher(wider), 24, clock).run(SOON)

    assert relayed(wider) == ids(rows)
    assert {record.partition for record in wider.records()} == {partition_of(str(FORM).encode(), 24)}


def test_a_run_ends_in_time_and_says_that_there_is_more(
    topic: MemoryTopic, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.relay.ITEMS", 1)
    keep(count=5)
    relay = Relay(Odd(topic, lambda messages: clock.advance(10)), PARTITIONS, clock)

    assert relay.run(seconds=20)
    assert len(topic.records()) == 2
    assert not relay.run(seconds=1_000)
    assert left() == set()


def test_a_size_that_was_put_wrong_by_hand_is_right_once_nothing_is_left(relay: Relay) -> None:
    keep(count=3)
    OutboxRow.objects.all().delete()
    assert outbox.state().rows == 3
    relay.run(SOON)

    assert outbox.state().rows == 0


@pytest.fixture
def installed(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay of the process."""
    monkeypatch.setattr(wiring, "relay", lambda: relay)


@pytest.mark.usefixtures("installed")
class TestCommand:
    def test_it_drains_and_says_how_far_it_is(self, topic: MemoryTopic, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("workers.relay.ITEMS", 2)
        rows, out = keep(count=5), StringIO()
        call_command("relay", stdout=out)

        assert out.getvalue().splitlines() == [
            "2 relayed, 3 left",
            "4 relayed, 1 left",
            "5 relayed, 0 left",
            "Done: 5 relayed.",
        ]
        assert relayed(topic) == ids(rows)

    def test_it_fails_where_something_stays(self, topic: MemoryTopic) -> None:
        keep(count=5)
        topic.broken = True

        with pytest.raises(CommandError, match="5 stay in the outbox"):
            call_command("relay", stdout=StringIO())

    def test_it_says_what_the_log_refused(self, topic: MemoryTopic) -> None:
        rows, out = keep(count=2), StringIO()
        outbox.set_aside({rows[0].id: "too large"})
        call_command("relay", stdout=out)

        assert "1 were refused by the log and stay" in out.getvalue()
        assert relayed(topic) == [rows[1].id]

    def test_it_tries_again_what_was_refused(self, topic: MemoryTopic) -> None:
        rows = keep(count=2)
        outbox.set_aside({rows[0].id: "too large"})
        call_command("relay", "--refused", stdout=StringIO())

        assert relayed(topic) == ids(rows)


@pytest.mark.usefixtures("installed")
def test_the_task_calls_itself_while_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.relay, "apply_async", lambda **options: calls.append(options))
    keep(count=2)
    monkeypatch.setattr("workers.tasks.RELAY_SECONDS", 0.0)
    tasks.relay()
    assert calls == [{"expires": 0.0}]
    monkeypatch.setattr("workers.tasks.RELAY_SECONDS", SOON)
    tasks.relay()
    assert len(calls) == 1


def wait_until(done: Callable[[], bool]) -> None:
    until = datetime.now(UTC) + timedelta(seconds=60)
    while not done():
        assert datetime.now(UTC) < until
        threading.Event().wait(0.05)


class TestWholeWay:
    """Submissions, a real broker that goes away and comes back, the relay, and the archive's loop."""

    @pytest.fixture
    def log(self, kafka_service: Kafka) -> str:
        name = f"relay-{uuid4().hex}"
        ensure_topic([kafka_service.url], name, TopicSettings(PARTITIONS, 1, 1, 1), seconds=60)
        return name

    @pytest.fixture
    def doors(self, kafka_service: Kafka, log: str, settings: Any) -> Iterator[Committer]:
        settings.INTAKE_KAFKA_SECONDS = 1.0
        committer = Committer(KafkaPublisher([kafka_service.url], log, PARTITIONS), Bounds(10_000, 50_000_000, 1.0))
        keeper = Keeper(PostgresStore(20, 100_000, 100_000_000), Bounds(10_000, 50_000_000, 20))
        before = process.committer.install(committer), process.keeper.install(keeper)
        yield committer
        process.committer.install(before[0])
        process.keeper.install(before[1])
        committer.close(1)
        keeper.close(10)

    @pytest.mark.usefixtures("doors")
    @pytest.mark.parametrize("fault", ["killed", "paused"])
    def test_every_202_is_archived_once_and_in_order(self, kafka_service: Kafka, log: str, fault: str) -> None:
        forms = [a_form(id=uuid4()) for _ in range(3)]
        before = [submit(form, number) for number in range(5) for form in forms]
        kafka_service.kill() if fault == "killed" else kafka_service.pause()
        try:
            during = [submit(form, number) for number in range(5, 15) for form in forms]
        finally:
            kafka_service.start() if fault == "killed" else kafka_service.resume()
        assert {accepted.door for accepted in during} == {"outbox"}

        publisher = KafkaPublisher([kafka_service.url], log, PARTITIONS)
        relay = Relay(publisher, PARTITIONS, SystemClock())
        wait_until(lambda: relay.turn() == Turn() and not outbox.waiting())
        publisher.close(10)
        self.read(kafka_service, log, {form.id: 15 for form in forms})

        for form in forms:
            found = queries.after(form.id, -1, None, 100)
            assert sorted(row.answers["age"] for row in found) == list(range(15))
            late = [row.answers["age"] for row in found if row.late]
            assert late == sorted(late)
        accepted = {(each.id, each.accepted_at) for each in before + during}
        rows = [row for form in forms for row in queries.after(form.id, -1, None, 100)]
        assert {(row.id, row.accepted_at) for row in rows} == accepted

    def read(self, kafka_service: Kafka, log: str, wanted: dict[UUID, int]) -> None:
        def open_source(listener: Consumer) -> KafkaSource:
            return KafkaSource([kafka_service.url], log, f"archive-{log}", listener)

        consumer = Consumer(open_source, ArchiveHandler(), log)

        def enough() -> bool:
            consumer.turn()
            return all(len(archived(form)) >= count for form, count in wanted.items())

        wait_until(enough)
        consumer.close()


def submit(form: Any, number: int) -> Any:
    """Accepted, by whichever door; at first the log's needs a little to open."""
    until = datetime.now(UTC) + timedelta(seconds=60)
    while True:
        try:
            return accept(form, {"age": number}).result()
        except NotCommittedError:
            if datetime.now(UTC) > until:
                raise
