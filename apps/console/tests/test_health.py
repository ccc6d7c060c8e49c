import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django.fixtures import Settings

from apps.console import health
from apps.intake import process
from apps.intake.commit import Bounds, Committer
from apps.intake.keep import Keeper
from apps.intake.models import OutboxSize
from apps.intake.tests.outboxes import MemoryStore
from apps.intake.tests.test_keep import a_row, wait_for
from deploy.local.kafka import Kafka
from deploy.local.process import free_port
from formhub.core import stopping
from formhub.core.stream import cluster
from formhub.core.stream.base import Message
from formhub.core.stream.cluster import Partition
from formhub.core.stream.kafka import TopicSettings, ensure_topic


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    """An answer of the broker is remembered for two seconds."""
    health.forget()
    yield
    health.forget()


def ready() -> tuple[int, Any]:
    answer = Client().get("/readyz")
    return answer.status_code, answer.json()


def test_a_process_that_answers_lives_whatever_else_is_away() -> None:
    answer = Client().get("/livez")

    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert "no-cache" in answer.headers["Cache-Control"]


@pytest.fixture
def no_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Postgres where one should be."""
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", str(free_port()))


@pytest.mark.usefixtures("no_outbox")
class TestReadinessOfTheLog:
    def test_without_a_broker_no_submission_could_be_taken(self, settings: Settings) -> None:
        settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{free_port()}", f"[::1]:{free_port()}"]

        assert ready() == (503, {"ready": False, "log": "unreachable", "outbox": "unreachable"})

    @pytest.mark.services
    def test_one_broker_that_leads_the_topic_is_enough(self, kafka_service: Kafka, settings: Settings) -> None:
        settings.SUBMISSIONS_TOPIC = f"ready-{secrets.token_hex(4)}"
        settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{free_port()}", kafka_service.url]
        ensure_topic([kafka_service.url], settings.SUBMISSIONS_TOPIC, TopicSettings(2, 1, 1, 1))

        assert ready() == (200, {"ready": True, "log": "takes writes"})

    @pytest.mark.services
    def test_a_broker_without_the_topic_takes_none(self, kafka_service: Kafka, settings: Settings) -> None:
        settings.SUBMISSIONS_TOPIC = "nowhere"

        trouble = "the topic nowhere is not there"
        assert ready() == (503, {"ready": False, "log": trouble, "outbox": "unreachable"})

    @pytest.mark.services
    def test_a_broker_that_is_connected_and_silent_takes_none(self, kafka_service: Kafka) -> None:
        kafka_service.pause()
        try:
            assert ready() == (503, {"ready": False, "log": "unreachable", "outbox": "unreachable"})
        finally:
            kafka_service.resume()

    @pytest.mark.parametrize(
        ("partitions", "status"),
        [
            pytest.param([Partition(0, True, 3, 2), Partition(1, False, 3, 0)], 200, id="one partition of two"),
            pytest.param([Partition(0, True, 3, 1), Partition(1, False, 3, 2)], 503, id="too few copies, no leader"),
        ],
    )
    def test_what_matters_is_whether_some_partition_takes_writes(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, partitions: list[Partition], status: int
    ) -> None:
        settings.SUBMISSIONS_MIN_INSYNC = 2
        monkeypatch.setattr(cluster, "partitions", lambda *args: partitions)

        assert ready()[0] == status

    def test_many_callers_share_one_question(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = [[Partition(0, True, 1, 1)]]
        monkeypatch.setattr(cluster, "partitions", lambda *args: answers.pop())

        assert [ready()[0] for _ in range(5)] == [200] * 5

    def test_a_receipt_of_just_now_says_more_than_a_question(self, committer: Committer, settings: Settings) -> None:
        settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{free_port()}"]
        assert ready()[0] == 503

        committer.submit(Message(b"key", b"value", (), 0)).result(5)

        assert ready() == (200, {"ready": True, "log": "takes writes"})


class TestReadinessOfTheOutbox:
    @pytest.fixture(autouse=True)
    def _no_broker(self, settings: Settings) -> None:
        settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{free_port()}"]

    @pytest.mark.django_db
    def test_it_is_enough_while_the_log_takes_none(self) -> None:
        assert ready() == (200, {"ready": True, "log": "unreachable", "outbox": "takes writes"})

    @pytest.mark.django_db(transaction=True)
    def test_a_full_one_takes_none(self, settings: Settings) -> None:
        settings.OUTBOX_ROWS_MAX = 2
        OutboxSize.objects.create(rows=3)

        assert ready() == (503, {"ready": False, "log": "unreachable", "outbox": "full"})

    @pytest.mark.usefixtures("no_outbox")
    def test_a_row_of_just_now_says_more_than_a_question(self) -> None:
        keeper = Keeper(MemoryStore(), Bounds(10, 1_000_000, 5))
        before = process.keeper.install(keeper)
        try:
            wait_for(keeper.keep(a_row()))
            assert ready()[0] == 200
        finally:
            process.keeper.install(before)
            keeper.close(5)


class TestMetrics:
    def test_without_a_token_they_are_closed_and_the_answer_says_how_to_open_them(self) -> None:
        answer = Client().get("/metrics")

        assert answer.status_code == 403
        assert "METRICS_TOKEN" in answer.content.decode()
        assert "METRICS_PORT" in answer.content.decode()

    @pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic right-token", "right-token", "Bearer ünsinn"])
    def test_whoever_does_not_hold_the_token_sees_nothing(self, settings: Settings, header: str | None) -> None:
        settings.METRICS_TOKEN, settings.METRICS_PUBLIC = "right-token", True

        answer = Client().get("/metrics", headers={"Authorization": header} if header else None)

        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")

    def test_the_holder_of_the_token_sees_them(self, settings: Settings) -> None:
        settings.METRICS_TOKEN = "right-token"

        answer = Client().get("/metrics", headers={"Authorization": "Bearer right-token"})

        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert b"django_http_requests_before_middlewares_total" in answer.content

    def test_on_a_laptop_everybody_does(self, settings: Settings) -> None:
        settings.METRICS_PUBLIC = True

        assert Client().get("/metrics").status_code == 200


@pytest.mark.parametrize("address", ["/livez", "/readyz", "/metrics"])
def test_probes_are_only_asked(address: str) -> None:
    assert Client().post(address).status_code == 405


def test_a_server_that_was_told_to_stop_lives_but_takes_nobody_more_and_closes_connections() -> None:
    stopping.tell()
    try:
        status, says = ready()
        alive = Client().get("/livez")
    finally:
        stopping.forget()

    assert (status, says["ready"]) == (503, False)
    assert (alive.status_code, alive["Connection"]) == (200, "close")
    assert "Connection" not in Client().get("/livez")
