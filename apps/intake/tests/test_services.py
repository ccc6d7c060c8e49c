"""The intake against a real broker, a real Redis and a real Postgres."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from uuid import uuid4

import orjson
import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kafka import KafkaConsumer, TopicPartition

from apps.forms import definition as form_definition
from apps.forms import published
from apps.forms.models import Form
from apps.intake import process
from apps.intake.accept import accept
from apps.intake.commit import Bounds, Committer
from apps.intake.gate.gate import Gate
from apps.intake.gate.redis import RedisStore
from apps.intake.parsing import reserved
from apps.intake.parsing.body import Content
from apps.intake.parsing.reserved import Payload
from apps.intake.parsing.strict_json import parse
from apps.intake.tests.conftest import Forms
from apps.intake.tests.forms import DEFINITION, a_form
from apps.intake.tests.test_batch import answers
from apps.intake.tests.test_batch import send as send_batch
from apps.intake.tests.test_form_page import GOOD, Shown, opened, send
from apps.intake.tests.test_gate import GatePromises
from apps.intake.tests.test_strict_json import DOCUMENTS
from apps.intake.tests.test_submit import post
from apps.intake.ticket import NotCommittedError
from apps.orgs.models import Organization
from formhub.core.envelope import Envelope, decode
from formhub.core.problem import Problem
from formhub.core.stream.kafka import KafkaPublisher, TopicSettings, ensure_topic

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
        partitions = [TopicPartition(self.name, number) for number in range(PARTITIONS)]
        consumer = KafkaConsumer(bootstrap_servers=[self.server], auto_offset_reset="earliest", group_id=None)
        try:
            consumer.assign(partitions)
            left = sum(consumer.end_offsets(partitions).values())
            found: list[Envelope] = []
            until = time.monotonic() + 20
            while len(found) < left and time.monotonic() < until:
                taken = consumer.poll(timeout_ms=500)
                found += [decode(record.value, record.headers) for records in taken.values() for record in records]
            return [envelope for envelope in found if envelope.form != WARM_UP]
        finally:
            consumer.close()


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


def accepted(client: Client) -> Any:
    response = post(client)
    assert response.status_code == 202
    return response


def test_a_202_means_that_the_broker_has_it(client: Client, log: Log) -> None:
    body = eventually(lambda: accepted(client)).json()

    assert [str(envelope.id) for envelope in log.envelopes()] == [body["id"]]


def test_a_forms_submissions_lie_in_the_log_as_they_were_accepted(committer: Committer, log: Log) -> None:
    pending = [accept(a_form(), {"age": number}) for number in range(500)]
    offsets = [each.result(timeout=20).receipt.offset for each in pending]

    assert offsets == sorted(offsets)
    assert [envelope.id for envelope in log.envelopes()] == [each.id for each in pending]


@pytest.mark.parametrize("fault", ["paused", "killed"])
def test_a_silent_or_dead_broker_means_503_in_time_and_202_once_it_is_back(
    client: Client, kafka_service: Any, log: Log, fault: str
) -> None:
    ids = [eventually(lambda: accepted(client)).json()["id"]]
    kafka_service.pause() if fault == "paused" else kafka_service.kill()
    try:
        answers = [timed_post(client) for _ in range(5)]
    finally:
        kafka_service.resume() if fault == "paused" else kafka_service.start()

    assert [response.status_code for response, _ in answers] == [503] * 5
    assert all(seconds < BUDGET for _, seconds in answers)
    assert all(int(response["Retry-After"]) > 0 for response, _ in answers)
    ids.append(eventually(lambda: accepted(client)).json()["id"])
    assert set(ids) <= {str(envelope.id) for envelope in log.envelopes()}


def test_a_broker_silent_beyond_the_clients_patience_is_found_again(
    client: Client, kafka_service: Any, committer: Committer
) -> None:
    eventually(lambda: accepted(client))
    kafka_service.pause()
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
    def test_a_silent_broker_keeps_the_answers_and_the_same_page_is_taken_once_it_is_back(
        self, client: Client, kafka_service: Any, log: Log
    ) -> None:
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
        self, client: Client, kafka_service: Any, log: Log, committer: Committer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        half = len(self.LINES) // 2
        lines = iter(range(len(self.LINES)))

        def split(content: Content) -> Payload:
            if next(lines) == half:
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

        assert [answer["status"] for answer in first] == [202] * half + [503] * half
        assert seconds < 10
        second = eventually(lambda: all_accepted(client, self.LINES))
        assert second[:half] == first[:half]
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


def test_without_redis_submissions_are_taken(client: Client, log: Log) -> None:
    before = process.gate.install(Gate(RedisStore("redis://127.0.0.1:9/0", timeout=0.2, keep_seconds=60)))
    try:
        ids = {eventually(lambda: answered_202(client)).json()["id"] for _ in range(3)}
    finally:
        process.gate.install(before)

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
