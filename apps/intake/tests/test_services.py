"""The intake against a real broker, a real Redis and a real Postgres."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import uuid4

import orjson
import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.forms import definition as form_definition
from apps.forms import published
from apps.forms.models import Form
from apps.intake import process
from apps.intake.accept import accept
from apps.intake.batch import GROUP_LINES
from apps.intake.commit import Bounds, Committer
from apps.intake.gate.gate import Gate
from apps.intake.gate.redis import RedisStore
from apps.intake.keep import Keeper
from apps.intake.models import OutboxRow
from apps.intake.outbox import PostgresStore
from apps.intake.parsing import reserved
from apps.intake.parsing.body import Content
from apps.intake.parsing.reserved import Payload
from apps.intake.parsing.strict_json import parse
from apps.intake.tests.conftest import Forms
from apps.intake.tests.forms import DEFINITION, a_form
from apps.intake.tests.outboxes import MemoryStore as MemoryOutbox
from apps.intake.tests.test_batch import answers
from apps.intake.tests.test_batch import send as send_batch
from apps.intake.tests.test_form_page import GOOD, Shown, opened, send
from apps.intake.tests.test_gate import GatePromises
from apps.intake.tests.test_outbox import refusing, standing_still, stopped
from apps.intake.tests.test_strict_json import DOCUMENTS
from apps.intake.tests.test_submit import post
from apps.intake.ticket import NotCommittedError
from apps.orgs import keys
from apps.orgs.models import Organization
from deploy.local.postgres import Postgres
from formhub.core.clock import ManualClock
from formhub.core.envelope import Envelope
from formhub.core.problem import Problem
from formhub.core.stream.kafka import KafkaPublisher, TopicSettings, ensure_topic
from tests.topic import envelopes

pytestmark = [pytest.mark.services, pytest.mark.urls("apps.intake.tests.urls")]

PARTITIONS = 6  # as in the settings for tests
KAFKA_SECONDS = 2.0
BUDGET = 7.0
BACK_AGAIN = 60.0
WARM_UP = uuid4()


def eventually(call: Callable[[], Any]) -> Any:
    """What the call returns once it no longer raises."""
    until = time.monotonic() + BACK_AGAIN
    while True:
        try:
            return call()
        except (NotCommittedError, AssertionError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


class Log:
    """A topic of its own, read from its start."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.name = f"submissions-{uuid4().hex}"
        ensure_topic([server], self.name, TopicSettings(PARTITIONS, 1, 1, 1), seconds=60)

    def envelopes(self) -> list[Envelope]:
        found = envelopes(self.server, self.name)
        return [envelope for envelope in found if envelope.form != WARM_UP]


@pytest.fixture
def log(kafka_service: Any) -> Log:
    return Log(kafka_service.url)


@pytest.fixture
def committer(log: Log) -> Iterator[Committer]:
    publisher = KafkaPublisher([log.server], log.name, PARTITIONS)
    committer = Committer(publisher, Bounds(items=10_000, bytes=50_000_000, seconds=KAFKA_SECONDS))
    before = process.committer.install(committer)
    # The first receipt waits for connection, metadata and producer id: on a busy machine longer than this budget.
    eventually(lambda: accept(a_form(id=WARM_UP), {}).result())
    yield committer
    process.committer.install(before)
    committer.close(1)


@pytest.fixture
def outbox_in_postgres(outbox: MemoryOutbox) -> Iterator[None]:
    """In the place of the one in memory."""
    keeper = Keeper(PostgresStore(2.0, 10_000, 50_000_000), Bounds(items=10_000, bytes=50_000_000, seconds=2.0))
    before = process.keeper.install(keeper)
    yield
    process.keeper.install(before)
    keeper.close(5)


@pytest.fixture
def redis_gate(valkey_service: Any) -> Iterator[Gate]:
    gate = Gate(RedisStore(valkey_service.url, timeout=2, keep_seconds=60))
    before = process.gate.install(gate)
    yield gate
    process.gate.install(before)


class TestRedisGate(GatePromises):
    @pytest.fixture
    def gate(self, valkey_service: Any) -> Iterator[Gate]:
        gate = Gate(RedisStore(valkey_service.url, timeout=2, keep_seconds=60))
        yield gate
        gate.close(5)


def timed_post(client: Client, **headers: str) -> tuple[Any, float]:
    started = time.monotonic()
    return post(client, **headers), time.monotonic() - started


def accepted(client: Client, **options: str) -> Any:
    response = post(client, **options)
    assert response.status_code == 202
    return response


def test_a_202_means_that_the_broker_has_it(client: Client, log: Log) -> None:
    body = eventually(lambda: accepted(client)).json()

    assert [str(envelope.id) for envelope in log.envelopes()] == [body["id"]]


def test_a_forms_submissions_lie_in_the_log_as_they_were_accepted(committer: Committer, log: Log) -> None:
    pending = [accept(a_form(), {"age": number}) for number in range(500)]
    receipts = [each.result(timeout=20).receipt for each in pending]

    offsets = [receipt.offset for receipt in receipts if receipt]
    assert offsets == sorted(offsets)
    assert len(offsets) == len(pending)
    assert [envelope.id for envelope in log.envelopes()] == [each.id for each in pending]


@contextmanager
def away(service: Any, fault: str) -> Iterator[None]:
    service.pause() if fault == "paused" else service.kill()
    try:
        yield
    finally:
        service.resume() if fault == "paused" else service.start()


FAULTS = pytest.mark.parametrize("fault", ["paused", "killed"])


@FAULTS
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("outbox_in_postgres")
def test_a_silent_or_dead_broker_means_202_from_the_outbox_and_from_the_log_once_it_is_back(
    client: Client, forms: Forms, kafka_service: Any, log: Log, fault: str
) -> None:
    # Who asks until the broker is back may ask often.
    forms.put(rates={"per_address": "100000/minute"})
    ids = [eventually(lambda: accepted(client)).json()["id"]]
    with away(kafka_service, fault):
        answers = [timed_post(client) for _ in range(5)]

    assert [response.status_code for response, _ in answers] == [202] * 5
    assert all(seconds < BUDGET for _, seconds in answers)
    assert {response.json()["id"] for response, _ in answers} == kept()
    wait_until(lambda: post(client).json()["id"] not in kept())
    assert set(ids) <= {str(envelope.id) for envelope in log.envelopes()}


@FAULTS
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("outbox_in_postgres")
def test_with_both_stores_silent_the_answer_is_503_in_time(
    client: Client, kafka_service: Any, postgres_service: Postgres, fault: str
) -> None:
    eventually(lambda: accepted(client))
    with away(kafka_service, fault), standing_still(postgres_service):
        answers = [timed_post(client) for _ in range(4)]

    assert [response.status_code for response, _ in answers] == [503] * 4
    assert all(seconds < BUDGET for _, seconds in answers)
    assert all(int(response["Retry-After"]) > 0 for response, _ in answers)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("outbox_in_postgres")
def test_a_full_disk_behind_the_second_door_is_no_defect(client: Client, kafka_service: Any) -> None:
    eventually(lambda: accepted(client))
    with away(kafka_service, "paused"), refusing("disk_full"):
        answers = [post(client) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [503] * 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("outbox_in_postgres")
def test_a_batch_takes_the_second_door_as_a_whole(client: Client, forms: Forms, kafka_service: Any, log: Log) -> None:
    forms.put(rates={"per_address": "100000/minute"})
    lines = [{"name": "Ada", "age": number % 100} for number in range(300)]
    eventually(lambda: accepted(client))
    with away(kafka_service, "paused"):
        started = time.monotonic()
        found = answers(send_batch(client, lines))
        seconds = time.monotonic() - started

    assert {answer["status"] for answer in found} == {202}
    assert seconds < 10
    in_order = OutboxRow.objects.order_by("accepted_at").values_list("pk", flat=True)
    assert [str(id) for id in in_order] == [answer["id"] for answer in found]


class TestPostgresStopped:
    """Kafka alone serves what this process has seen, for minutes."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> ManualClock:
        """Of the caches of forms and keys."""
        clock = ManualClock()
        monkeypatch.setattr(published, "_cache", published.Cache(published.Database(), clock))
        monkeypatch.setattr(keys, "_cache", keys.KeyCache(clock))
        return clock

    @pytest.fixture
    def form(self, clock: ManualClock) -> Form:
        organization = Organization.objects.create(name="Acme", slug="acme")
        form = Form.objects.create(organization=organization, title="Student data", slug="student-data")
        form_definition.load(form, DEFINITION)
        form_definition.publish(form)
        return form

    @pytest.fixture
    def token(self, form: Form) -> str:
        return keys.create(organization=form.organization, name="A server", scopes=["submit"])[1]

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.usefixtures("committer", "redis_gate")
    def test_a_form_and_a_key_seen_before_are_served(
        self, form: Form, token: str, clock: ManualClock, postgres_service: Postgres, log: Log
    ) -> None:
        url = f"/api/v1/forms/{form.public_id}/submissions"
        taken = [eventually(lambda: accepted(Client(), url=url, Authorization=f"Bearer {token}"))]
        with stopped(postgres_service):
            for _ in range(5):
                clock.advance(60)
                taken.append(post(Client(), url=url, Authorization=f"Bearer {token}"))
                assert opened(Client(), f"/f/{form.public_id}/").title

        assert [answer.status_code for answer in taken] == [202] * 6
        assert {answer.json()["id"] for answer in taken} <= {str(envelope.id) for envelope in log.envelopes()}

    @pytest.mark.django_db
    @pytest.mark.usefixtures("committer", "redis_gate")
    def test_in_the_steady_state_the_database_is_not_asked(
        self, form: Form, token: str, django_assert_num_queries: Any
    ) -> None:
        url = f"/api/v1/forms/{form.public_id}/submissions"
        eventually(lambda: accepted(Client(), url=url, Authorization=f"Bearer {token}"))

        with django_assert_num_queries(0):
            codes = [post(Client(), url=url, Authorization=f"Bearer {token}").status_code for _ in range(5)]
        assert codes == [202] * 5


def kept() -> set[str]:
    return {str(id) for id in OutboxRow.objects.values_list("pk", flat=True)}


def test_a_broker_silent_beyond_the_clients_patience_is_found_again(
    client: Client, kafka_service: Any, committer: Committer, outbox: MemoryOutbox
) -> None:
    eventually(lambda: accepted(client))
    kafka_service.pause()
    outbox.broken = True
    try:
        assert post(client).status_code == 503
        # The client gives its record up after eight seconds, and with it the id that it sends under.
        time.sleep(9)
    finally:
        kafka_service.resume()

    eventually(lambda: accepted(client))
    assert committer.pending == 0


def test_the_same_key_from_many_threads_is_one_record(
    client: Client, redis_gate: Gate, log: Log, committer: Committer
) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(post(Client(), Idempotency_Key="k-1"))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = eventually(lambda: answered_202(client))

    (envelope,) = log.envelopes()
    assert {answer.json()["id"] for answer in [*answers, last] if answer.status_code == 202} == {str(envelope.id)}
    assert {answer.status_code for answer in answers} <= {202, 409}


def answered_202(client: Client) -> Any:
    response = post(client, Idempotency_Key="k-1")
    assert response.status_code == 202
    return response


class TestFormPage:
    @pytest.mark.usefixtures("redis_gate")
    def test_clicks_at_the_same_time_are_one_record(self, client: Client, log: Log) -> None:
        page = opened(client)
        answers: list[Any] = []
        clicks = [threading.Thread(target=lambda: answers.append(send(Client(), page, GOOD))) for _ in range(6)]
        for click in clicks:
            click.start()
        for click in clicks:
            click.join()
        last = eventually(lambda: sent_on(client, page))

        (envelope,) = log.envelopes()
        assert envelope.answers == {"name": "Ada", "age": 36}
        assert {answer["Location"] for answer in answers if answer.status_code == 303} <= {last["Location"]}
        assert {answer.status_code for answer in answers} <= {303, 503}

    @pytest.mark.usefixtures("redis_gate")
    def test_with_both_doors_away_the_answers_stay_and_the_same_page_is_taken_once_the_log_is_back(
        self, client: Client, kafka_service: Any, log: Log, outbox: MemoryOutbox
    ) -> None:
        outbox.broken = True
        page = opened(client)
        kafka_service.pause()
        try:
            started = time.monotonic()
            refused = send(client, page, GOOD)
            seconds = time.monotonic() - started
        finally:
            kafka_service.resume()
        again = Shown(refused)

        assert refused.status_code == 503
        assert seconds < BUDGET
        assert {"name": "Ada", "age": "36", "_key": page.key}.items() <= dict(again.sends).items()
        eventually(lambda: sent_on(client, again))
        assert len({envelope.id for envelope in log.envelopes()}) == 1

    @pytest.mark.django_db
    @pytest.mark.usefixtures("committer", "redis_gate")
    def test_a_form_seen_lately_is_shown_and_taken_without_the_database(
        self, django_assert_num_queries: Any, log: Log
    ) -> None:
        organization = Organization.objects.create(name="Acme", slug="acme")
        form = Form.objects.create(organization=organization, title="Student data", slug="student-data")
        form_definition.load(form, DEFINITION)
        form_definition.publish(form)
        visitor = Client()
        address = f"/f/{form.public_id}/"
        page = opened(visitor, address)

        with django_assert_num_queries(0):
            opened(visitor, address)
            ending = visitor.get(send(visitor, page, GOOD)["Location"])
        published.clear()
        assert ending.status_code == 200
        assert [envelope.form for envelope in log.envelopes()] == [form.pk]


def sent_on(client: Client, page: Shown) -> Any:
    response = send(client, page, GOOD)
    assert response.status_code == 303
    return response


class TestBatch:
    LINES: ClassVar = [{"name": "Ada", "age": number % 100, "_key": f"k-{number}"} for number in range(300)]

    @pytest.fixture(autouse=True)
    def generous(self, forms: Forms) -> None:
        forms.put(rates={"per_address": "100000/minute"})

    @pytest.mark.usefixtures("redis_gate")
    def test_a_batch_lies_in_the_log_as_it_was_sent(self, client: Client, log: Log) -> None:
        found = answers(send_batch(client, self.LINES))

        assert {answer["status"] for answer in found} == {202}
        assert [str(envelope.id) for envelope in log.envelopes()] == [answer["id"] for answer in found]
        assert answers(send_batch(client, self.LINES)) == found
        assert len(log.envelopes()) == len(found)

    @pytest.mark.usefixtures("redis_gate")
    def test_a_broker_that_goes_away_in_the_middle_refuses_what_it_has_not_got(
        self,
        client: Client,
        kafka_service: Any,
        log: Log,
        committer: Committer,
        outbox: MemoryOutbox,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        outbox.broken = True
        # Of a group all are read, and ask the gate, before the first is sent; the next one is when it has begun.
        sent = GROUP_LINES
        lines = iter(range(len(self.LINES)))

        def split(content: Content) -> Payload:
            if next(lines) == sent + 1:
                wait_until(lambda: committer.pending == 0)
                kafka_service.pause()
            return split_as_ever(content)

        split_as_ever = reserved.split
        try:
            with monkeypatch.context() as patch:
                patch.setattr(reserved, "split", split)
                started = time.monotonic()
                first = answers(send_batch(client, self.LINES))
                seconds = time.monotonic() - started
        finally:
            kafka_service.resume()

        assert [answer["status"] for answer in first] == [202] * sent + [503] * (len(self.LINES) - sent)
        assert seconds < 10
        second = eventually(lambda: all_accepted(client, self.LINES))
        assert second[:sent] == first[:sent]
        # What was silent may be in the log all the same: under the id that it got again.
        assert {str(envelope.id) for envelope in log.envelopes()} == {answer["id"] for answer in second}
        assert len({answer["id"] for answer in second}) == len(self.LINES)


def all_accepted(client: Client, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = answers(send_batch(client, lines))
    assert {answer["status"] for answer in found} == {202}
    return found


def wait_until(done: Callable[[], bool]) -> None:
    until = time.monotonic() + BACK_AGAIN
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.usefixtures("redis_gate")
def test_limits_hold_in_redis(client: Client, forms: Forms) -> None:
    forms.put(id=uuid4(), rates={"per_address": "2/hour"})
    codes = [post(client).status_code for _ in range(3)]
    assert codes[2] == 429


@pytest.mark.usefixtures("redis_gate")
def test_with_redis_stopped_submissions_are_taken_and_a_key_is_one_submission(
    client: Client, log: Log, valkey_service: Any
) -> None:
    ids = {eventually(lambda: answered_202(client)).json()["id"]}
    valkey_service.stop()
    try:
        ids |= {answered_202(client).json()["id"] for _ in range(3)}
    finally:
        valkey_service.start()

    assert len(ids) == 1
    assert {str(envelope.id) for envelope in log.envelopes()} == ids


@pytest.mark.django_db
def test_whatever_the_parser_lets_through_postgres_can_hold() -> None:
    with connection.cursor() as cursor:

        @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
        @given(DOCUMENTS.map(written) | st.binary(max_size=40))
        def holds(body: bytes) -> None:
            try:
                answers = parse(body)
            except Problem:
                return
            cursor.execute("SELECT %s::jsonb", [orjson.dumps(answers).decode()])

        holds()


def written(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
