"""Answers and keys are planted wherever they pass or something fails over them: none may turn up in a log.

The end of every session looks for them too, in all that its tests and their processes have logged.
"""

import logging
import subprocess
import sys
from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import uuid4

import orjson
import pytest
import requests
from celery import shared_task
from django.core.exceptions import ValidationError
from django.db import Error, connection, transaction
from django.test import Client
from kafka.errors import KafkaError
from redis.exceptions import ResponseError
from rest_framework import exceptions

from apps.archive.models import UnreadRecord
from apps.intake import attempt
from apps.intake.tests.conftest import Forms, client, committer, forms, gate, outbox, topic
from apps.intake.tests.outboxes import MemoryStore
from apps.orgs import keys
from apps.sinks.contract import AmbiguousError, ConfigurationError, PermanentError, RetryableError
from apps.sinks.tests.kinds import Shelf, raising
from formhub.core import logs
from formhub.core.stream.memory import MemorySource, MemoryTopic
from formhub.core.tests.test_logs import SET_UP
from tests.canary import ANSWER, EMAIL, KEY, NEEDLE, Watch, leaks_in
from workers.archiving import ArchiveHandler
from workers.consumer import Consumer, ConsumerFailedError, Taken
from workers.tests.conftest import Cast, cast
from workers.tests.log import an_envelope, publish, publish_raw

__all__ = ["cast", "client", "committer", "forms", "gate", "outbox", "topic"]
URL = "/api/v1/forms/k7m2qhx4w9tc/submissions"
logger = logging.getLogger("apps.canary")


@pytest.fixture(autouse=True)
def watched(canary_watch: Watch) -> Any:
    """What a test here gives away fails it at once, and not only the session."""
    before = len(canary_watch.leaks)
    yield canary_watch
    assert canary_watch.leaks[before:] == []


def test_the_watch_hears_a_canary_and_reads_it_in_files(tmp_path: Any) -> None:
    watch = Watch()
    watch.handle(logging.makeLogRecord({"msg": "took %s", "args": (ANSWER,)}))
    (tmp_path / "web.txt").write_text(f"fine\nmail to {EMAIL.upper()}\n")

    assert [NEEDLE in leak for leak in watch.leaks] == [True]
    assert leaks_in(tmp_path.glob("*.txt")) == [f"web.txt: mail to {EMAIL.upper()}"]


@pytest.mark.urls("apps.intake.tests.urls")
class TestSubmitting:
    @pytest.fixture(autouse=True)
    def _no_key_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keys, "grant", lambda token: None)

    @pytest.mark.parametrize(
        ("answers", "status"),
        [
            pytest.param({"name": ANSWER, "age": 36}, 202, id="accepted"),
            pytest.param({"name": ANSWER, "age": EMAIL, NEEDLE: ANSWER}, 422, id="refused"),
            pytest.param({"name": ANSWER, "_meta": ANSWER, f"_{NEEDLE}": 1}, 422, id="reserved"),
            pytest.param([ANSWER], 400, id="no object"),
        ],
    )
    def test_answers(self, client: Client, answers: Any, status: int) -> None:
        body, sent = orjson.dumps(answers), f"{URL}?name={ANSWER}"

        assert client.post(sent, body, content_type="application/json").status_code == status

    def test_a_body_that_cannot_be_read(self, client: Client) -> None:
        for body in (
            f'{{"name": "{ANSWER}",}}'.encode(),
            f'{{"{NEEDLE}": 1, "{NEEDLE}": 2}}'.encode(),
            b"\xff" + KEY.encode(),
        ):
            assert client.post(URL, body, content_type="application/json").status_code == 400

    def test_a_key_in_the_header_and_where_it_does_not_belong(self, client: Client) -> None:
        for headers, address in (
            ({"Authorization": f"Bearer {KEY}"}, URL),
            ({}, f"{URL}{KEY}"),
            ({}, f"{URL}?key={KEY}"),
        ):
            answer = client.post(address, b"{}", content_type="application/json", headers=headers)
            assert answer.status_code in {401, 404, 422}

    def test_a_defect_of_ours_that_fails_over_an_answer(
        self, client: Client, forms: Forms, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(form: Any, answers: Any, **options: Any) -> None:
            raise ValueError(answers)

        monkeypatch.setattr(attempt, "accept", fail)

        answer = client.post(URL, orjson.dumps({"name": ANSWER}), content_type="application/json")

        assert answer.status_code == 500
        assert NEEDLE not in answer.content.decode()

    def test_both_doors_away(self, client: Client, topic: MemoryTopic, outbox: MemoryStore) -> None:
        topic.broken = outbox.broken = True

        assert client.post(URL, orjson.dumps({"name": ANSWER}), content_type="application/json").status_code == 503


class FailsOver(ArchiveHandler):
    """Fails over what it was handed, as a bug would."""

    def handle(self, taken: Taken) -> None:
        raise ValueError([decoded.envelope.answers for decoded in taken.decoded])


def consumer(topic: MemoryTopic, handler: ArchiveHandler) -> Consumer:
    return Consumer(lambda listener: MemorySource(topic, "archive", listener), handler, topic.name)


@pytest.mark.django_db
class TestReading:
    def test_records_that_cannot_be_read_or_held(self) -> None:
        log = MemoryTopic(partitions=1)
        publish_raw(log, f'{{"answers": "{ANSWER}"}}'.encode())
        publish_raw(log, b"{}", version=ANSWER.encode())
        publish(log, an_envelope(name=ANSWER, broken="\x00"))
        publish(log, an_envelope(name=f"{ANSWER}\x00"))
        publish(log, an_envelope(name=ANSWER))
        loop = consumer(log, ArchiveHandler())

        loop.turn()
        loop.turn()

        assert UnreadRecord.objects.count() == 4

    def test_a_handler_that_fails_over_an_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("workers.consumer.BACK_OFF_SECONDS", (0.0,))
        log = MemoryTopic(partitions=1)
        publish(log, an_envelope(name=ANSWER))
        loop = consumer(log, FailsOver())

        with pytest.raises(ConsumerFailedError) as failed:
            loop.run(Event())

        logger.error("the loop failed for good", exc_info=failed.value)


@pytest.mark.django_db(transaction=True)
class TestDelivering:
    @pytest.mark.parametrize(
        "error",
        [
            RuntimeError(ANSWER),
            KeyError(ANSWER),
            RetryableError(ANSWER),
            AmbiguousError(ANSWER),
            PermanentError(ANSWER, code="too_long"),
            ConfigurationError(ANSWER, remedy="Look."),
            requests.ConnectionError(f"https://hook.example/?name={ANSWER}"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_a_sink_that_fails_over_an_answer(self, cast: Cast, error: Exception) -> None:
        action = cast.action()
        cast.archive.add(cast.form, 2, name=ANSWER)
        Shelf.script = [raising(error)] * 5

        for _ in range(5):
            cast.flush(action)

        assert Shelf.offers

    def test_an_engine_that_fails_over_an_answer(self, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any) -> None:
            raise LookupError(ANSWER)

        @shared_task(name="canary.flush")
        def flush(destination: int) -> None:
            cast.flusher().flush(destination)

        action = cast.action()
        cast.archive.add(cast.form, 1, name=ANSWER)
        monkeypatch.setattr("workers.flush.freeze", fail)

        assert flush.apply((action.destination_id,)).state == "FAILURE"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(exceptions.ValidationError({"email": [f"{EMAIL} is taken"]}), id="DRF"),
        pytest.param(ValidationError(f"{EMAIL} is taken"), id="Django"),
        pytest.param(KafkaError(ANSWER), id="Kafka"),
        pytest.param(ResponseError(f"unknown command, with args beginning with: {ANSWER}"), id="Redis"),
        pytest.param(UnicodeDecodeError("utf-8", ANSWER.encode(), 0, 1, ANSWER), id="Python"),
    ],
)
def test_an_exception_of_a_library_whatever_way_it_is_logged(error: Exception) -> None:
    try:
        raise error
    except type(error):
        logger.exception("failed")
    logger.error("failed: %s", error)
    logger.error("failed: %r %s", error, {"nested": error})
    logger.error(error)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "values"),
    [
        pytest.param("SELECT %s::int", [ANSWER], id="of another type"),
        pytest.param("SELECT %s::jsonb", [f'{{"name": "{ANSWER}'], id="no JSON"),
        pytest.param(
            "INSERT INTO archive_tombstone (form_id, submission_id) VALUES (%s, %s)", [ANSWER, None], id="no id"
        ),
        pytest.param("SELECT %s FROM nowhere", [ANSWER], id="a wrong statement"),
        pytest.param(
            "INSERT INTO django_session VALUES (%s, %s, now()), (%s, %s, now())", [NEEDLE, ANSWER] * 2, id="twice"
        ),
        pytest.param("INSERT INTO django_session VALUES (%s, %s, now())", [ANSWER * 40, ANSWER], id="too long"),
    ],
)
def test_a_row_or_statement_that_postgres_refuses(query: str, values: list[Any]) -> None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(query, values)
    except Error as error:
        logger.exception("refused: %s", error)
    else:
        pytest.fail("it was taken")


@pytest.mark.parametrize(
    "say",
    [
        pytest.param(lambda: logger.warning("GET /f/x/?name=%s", NEEDLE), id="a query string"),
        pytest.param(lambda: logger.warning("headers: Authorization: Bearer %s", KEY), id="a header"),
        pytest.param(lambda: logger.warning("new key %s", KEY), id="a key"),
        pytest.param(lambda: logger.warning("%s", {"error": ValueError(ANSWER), "id": uuid4()}), id="within a mapping"),
        pytest.param(lambda: logger.warning("%d", ANSWER), id="arguments that do not fit"),
    ],
)
def test_a_careless_line(say: Callable[[], None]) -> None:
    say()


@pytest.mark.parametrize(
    "code",
    [
        f"{SET_UP}raise ValueError('{ANSWER}')",
        f"{SET_UP}import threading\nt = threading.Thread(target=lambda: int('{ANSWER}')); t.start(); t.join()",
        "import django; django.setup()\nfrom django.core.management import call_command\n"
        f"call_command('probe', '{NEEDLE}', '--nothing')",
        f"{SET_UP}import warnings; warnings.warn('naive time {ANSWER}', RuntimeWarning)",
    ],
    ids=["uncaught", "in a thread", "in a command", "a warning"],
)
def test_a_process_that_ends_over_an_answer(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stderr, "it said nothing"
    assert NEEDLE not in done.stderr + done.stdout


ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "formhub.settings.local",
    "SECRET_KEY": "canary",
    "ENCRYPTION_KEYS": "dGVzdC1vbmx5LXRlc3Qtb25seS10ZXN0LW9ubHktdGU=",
    "DATABASE_URL": "postgres://test@127.0.0.1:9/test",
    "REDIS_URL": "redis://127.0.0.1:9/0",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
}


def test_ids_do_reach_the_log(watched: Watch, caplog: pytest.LogCaptureFixture) -> None:
    """What the lines are for: without answers they still say what they are about."""
    submission = uuid4()
    with logs.context(submission=submission):
        logger.warning("kept aside")
        line = watched.format(caplog.records[-1])

    assert str(submission) in line
