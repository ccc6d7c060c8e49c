import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.conf import settings as django_settings
from django.db import OperationalError
from django.db.utils import ConnectionHandler
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.archive import offsets, writer
from apps.archive.tests.rows import a_form
from apps.archive.writer import Unread
from apps.console import readers, status
from apps.console.parts import NEEDED
from apps.console.tests.cast import a_key, a_member
from apps.console.tests.test_figures import archived
from apps.intake.tests.outboxes import kept
from apps.orgs.models import Role
from apps.sinks import actions, rates
from apps.sinks.config import Settings as SinkSettings
from apps.sinks.models import Binding, Destination, Parked
from apps.sinks.registry import registry
from apps.sinks.tests.kinds import Shelf
from deploy.local.kafka import Kafka
from deploy.local.process import free_port
from deploy.local.valkey import Valkey
from formhub.core import presence
from formhub.core.clock import SystemClock
from formhub.core.presence import Pulse
from formhub.core.stream.base import Message
from formhub.core.stream.kafka import KafkaPublisher, TopicSettings, describe_topic, ensure_topic
from workers.limits import Charge, LocalLimiter, RedisLimiter

pytestmark = [pytest.mark.services, pytest.mark.django_db]
STATUS = reverse("status")
DURABLE = TopicSettings(partitions=2, replication=1, min_insync=1, retention_hours=1)


@pytest.fixture
def topic(kafka_service: Kafka, settings: Settings) -> str:
    """A topic of its own, flushed on every message as on one server."""
    name = f"status-{secrets.token_hex(4)}"
    ensure_topic([kafka_service.url], name, DURABLE)
    settings.KAFKA_BOOTSTRAP_SERVERS = [kafka_service.url]
    settings.SUBMISSIONS_TOPIC = name
    return name


@pytest.fixture
def operator() -> Client:
    return a_member(None, is_staff=True)


def asked(client: Client) -> tuple[int, dict[str, Any]]:
    answer = client.get(STATUS, {"format": "json"})
    return answer.status_code, answer.json()


def component(found: dict[str, Any], name: str) -> tuple[str, str]:
    [one] = [one for one in found["components"] if one["name"] == name]
    return one["state"], one["says"]


def publish(settings: Settings, *partitions: int) -> None:
    """A record into each of these partitions, on the broker's disk when this returns."""
    publisher = KafkaPublisher(settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, 2)
    taken: list[Any] = []
    publisher.publish([Message(b"key", b"value", (), partition) for partition in partitions], taken.extend)
    publisher.close(10)
    assert len(taken) == len(partitions)
    assert not any(isinstance(outcome, Exception) for outcome in taken)


@pytest.fixture
def everybody(valkey_service: Valkey) -> None:
    """Every part that is needed gives a sign of life."""
    forget_everybody()
    Pulse(dict.fromkeys(NEEDED, lambda: True)).say()


def forget_everybody() -> None:
    with presence._client() as client:
        client.delete(presence._KEY)


def caught_up(settings: Settings) -> None:
    """Both readers stand at the end of the log."""
    found = describe_topic(settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, 5)
    for group in readers.GROUPS:
        offsets.place(group, settings.SUBMISSIONS_TOPIC, found.id, 0, {n: end for n, (_, end) in found.bounds.items()})


@pytest.mark.usefixtures("topic", "everybody")
def test_with_every_service_there_all_is_well(operator: Client, settings: Settings) -> None:
    caught_up(settings)

    code, found = asked(operator)

    assert (code, found["good"], found["calm"]) == (200, True, True)
    assert [one["state"] for one in found["components"]] == ["good"] * 5
    assert "flushed to the disk of one broker" in found["durability"]
    assert "All is well" in operator.get(STATUS).content.decode()


@pytest.mark.usefixtures("valkey_service")
def test_a_service_that_is_away_is_a_finding_and_no_error_page(operator: Client, settings: Settings) -> None:
    settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{free_port()}"]
    settings.REDIS_BUFFER_URL = f"redis://127.0.0.1:{free_port()}/0"

    code, found = asked(operator)

    assert (code, found["good"], found["lags"]) == (503, False, [])
    assert component(found, "Kafka")[0] == "bad"
    assert "ensure_topics" in component(found, "Kafka")[1]
    assert component(found, "Valkey: buffer") == ("bad", "does not answer")
    assert component(found, "Valkey: cache and queues")[0] == "good"
    assert component(found, "PostgreSQL")[0] == "good"
    page = operator.get(STATUS)
    assert page.status_code == 200
    assert "Something needs you" in page.content.decode()


@pytest.mark.usefixtures("topic", "valkey_service")
def test_without_the_database_the_other_components_are_still_shown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = settings.DATABASES["default"] | {"PORT": str(free_port())}
    monkeypatch.setattr(status, "connection", ConnectionHandler({"default": address})["default"])

    found = status.Probe().status()

    states = {one.name: one.state for one in found.components}
    assert (states["PostgreSQL"], states["Kafka"]) == ("bad", "good")
    assert (found.lags, found.counts) == ([], {})


@pytest.mark.usefixtures("topic")
def test_a_buffer_that_forgets_is_no_buffer(operator: Client, settings: Settings, tmp_path: Any) -> None:
    cache = Valkey("cache", tmp_path / "cache", tmp_path / "cache.log", free_port())
    cache.start()
    settings.REDIS_BUFFER_URL = settings.REDIS_URL = cache.url

    try:
        _, found = asked(operator)
    finally:
        cache.stop()

    assert component(found, "Valkey: buffer")[0] == "bad"
    assert "noeviction" in component(found, "Valkey: buffer")[1]
    assert component(found, "Valkey: cache and queues")[0] == "good"


@pytest.mark.usefixtures("topic", "everybody")
def test_what_waits_in_the_outbox_is_told_and_calls_for_nobody_until_the_log_refuses_it(
    operator: Client, settings: Settings
) -> None:
    caught_up(settings)
    settings.OUTBOX_ROWS_MAX = 4
    assert component(asked(operator)[1], "Outbox") == ("good", "empty")

    kept(age=600)
    found = asked(operator)[1]
    assert component(found, "Outbox") == ("wait", "1 wait for the log, the oldest for 10 min; 25 % full")
    assert "1 wait for the log" in operator.get(STATUS).content.decode()

    kept(refused="too large")
    code, found = asked(operator)
    assert (code, component(found, "Outbox")[0]) == (503, "bad")
    assert "relay --refused" in component(found, "Outbox")[1]


@pytest.mark.usefixtures("topic", "valkey_service")
def test_how_far_each_reader_is_behind_is_counted_from_what_the_archive_stored(
    operator: Client, settings: Settings
) -> None:
    publish(settings, 0, 0, 0, 1)
    topic_id = describe_topic(settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, 5).id
    offsets.place("archive", settings.SUBMISSIONS_TOPIC, topic_id, 0, {0: 1, 1: 1})
    offsets.place("deliver", settings.SUBMISSIONS_TOPIC, "an earlier topic", 0, {0: 3, 1: 1})

    _, found = asked(operator)

    ages = [lag.pop("seconds") for lag in found["lags"]]
    assert found["lags"] == [
        {"group": "archive", "records": 2, "read": True, "state": "good"},
        {"group": "deliver", "records": 4, "read": False, "state": "bad"},
    ]
    assert all(0 <= age < readers.BEHIND_SECONDS for age in ages)
    page = operator.get(STATUS).content.decode()
    assert "reading" in page
    assert "Is its consumer running?" in page
    assert "Something needs you" in page


@pytest.mark.usefixtures("topic", "valkey_service")
def test_with_every_reader_at_work_and_nothing_failed_all_is_well(operator: Client, settings: Settings) -> None:
    topic_id = describe_topic(settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, 5).id
    for group in ("archive", "deliver"):
        offsets.place(group, settings.SUBMISSIONS_TOPIC, topic_id, 0, {0: 0, 1: 0})

    page = operator.get(STATUS).content.decode()

    assert "All is well" in page
    assert asked(operator)[1]["calm"]
    an_unread_record()
    assert not asked(operator)[1]["calm"]


def test_who_sees_everybodys_rows_is_led_to_them(operator: Client) -> None:
    an_unread_record()
    unread = reverse("admin:archive_unreadrecord_changelist")

    assert unread not in operator.get(STATUS).content.decode()
    assert unread in a_member(None, is_staff=True, is_superuser=True).get(STATUS).content.decode()


def an_unread_record() -> None:
    writer.keep_unread([Unread("t", "A", 0, 1, None, b"", [], "malformed", "not an envelope")])


def test_what_waits_and_what_failed_is_counted(operator: Client) -> None:
    form = a_form()
    first, second = (
        actions.create(
            organization_id=form.organization_id,
            form_id=form.pk,
            sink=Shelf,
            name=name,
            settings=SinkSettings({"shelf": name}, {}),
            position=0,
        )
        for name in ("oak", "elm")
    )
    actions.pause(second)
    Binding.objects.filter(pk=first.pk).update(behind_at=5)
    Destination.objects.filter(pk=first.destination_id).update(failures=2)
    Parked.objects.create(
        organization_id=form.organization_id,
        binding=first,
        form_id=form.pk,
        submission_id=uuid4(),
        position=1,
        code="too_long",
    )
    an_unread_record()

    _, found = asked(operator)

    assert found["counts"] == {
        "actions_on": 1,
        "actions_paused": 1,
        "actions_behind": 1,
        "destinations_failing": 1,
        "parked": 1,
        "unread": 1,
    }


@pytest.mark.usefixtures("topic", "everybody")
def test_a_part_that_fell_silent_or_was_never_seen_needs_somebody(operator: Client, settings: Settings) -> None:
    caught_up(settings)
    with presence._client() as client:
        beat, web = (member for member in client.zrange(presence._KEY, 0, -1) if member[:4] in {b"beat", b"web "})
        client.zincrby(presence._KEY, -300, beat)
        client.zrem(presence._KEY, web)
        client.zadd(presence._KEY, {"egress there 7": float(client.time()[0]) - 600})

    code, found = asked(operator)

    states = {part["name"]: part["state"] for part in found["parts"]}
    assert (code, found["good"]) == (503, False)
    assert states == dict.fromkeys(NEEDED, "good") | {"beat": "bad", "web": "bad", "egress": "wait"}
    page = operator.get(STATUS).content.decode()
    assert "silent for 5 min" in page
    assert "not running" in page
    assert "Nothing is accepted." in page
    assert "Celery worker “egress”" in page


@pytest.mark.usefixtures("topic", "valkey_service")
def test_the_oldest_record_that_a_reader_has_not_taken_is_dated_by_the_log(
    operator: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    caught_up(settings)
    publish(settings, 0)
    monkeypatch.setattr("django.utils.timezone.now", lambda: datetime.now(UTC) + timedelta(minutes=15))

    _, found = asked(operator)

    assert [lag["state"] for lag in found["lags"]] == ["bad", "bad"]
    assert 900 <= found["lags"][0]["seconds"] < 960
    assert "15 min" in operator.get(STATUS).content.decode()


@pytest.mark.usefixtures("topic")
def test_a_rate_that_is_used_up_is_shown_with_its_busiest_key(operator: Client, valkey_service: Valkey) -> None:
    [rate] = [rate for rate in registry.get("google_sheets").policy.rates if rate.name == "write"]
    with redis.Redis.from_url(django_settings.REDIS_URL) as client:
        client.delete(*client.keys(f"{rates.PREFIX}:*") or ["none"])
        limiter = RedisLimiter(client, LocalLimiter(SystemClock()))
        limiter.spend([Charge("quiet@example.org", rate)])
        for _ in range(rates.bucket(rate)):
            limiter.spend([Charge("busy@example.org", rate)])

        _, found = asked(operator)

        client.delete(*client.keys(f"{rates.PREFIX}:*"))
    quotas = {quota["rate"]: quota for quota in found["quotas"]}
    assert quotas["write"]["percent"] >= 90
    assert (quotas["write"]["calls"], quotas["write"]["seconds"]) == (rate.calls, rate.seconds)
    assert quotas["read"]["percent"] == 0


def test_how_long_the_oldest_submission_waits_is_said_in_words(operator: Client) -> None:
    form = a_form()
    actions.create(
        organization_id=form.organization_id,
        form_id=form.pk,
        sink=Shelf,
        name="oak",
        settings=SinkSettings({"shelf": "oak"}, {}),
        position=0,
    )
    assert "none waits" in operator.get(STATUS).content.decode()
    archived(form.pk, 3, age=420)

    _, found = asked(operator)

    assert 420 <= found["waiting"]["shelf"] < 480
    assert "7 min" in operator.get(STATUS).content.decode()


@pytest.mark.usefixtures("topic", "valkey_service")
def test_what_goes_away_while_it_is_looked_at_is_not_known(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise OperationalError

    monkeypatch.setattr("apps.console.figures.read", gone)
    monkeypatch.setattr(presence, "seen", lambda: (_ for _ in ()).throw(redis.ConnectionError))

    _, found = asked(operator)

    assert (found["counts"], found["parts"]) == ({}, [])
    assert "Not known while Valkey does not answer." in operator.get(STATUS).content.decode()


def test_it_is_for_operators_alone() -> None:
    form = a_form()

    assert a_member(form, Role.OWNER).get(STATUS).status_code == 403
    assert a_member(None, is_staff=True, is_active=False).get(STATUS).status_code == 302
    for client in (Client(), a_key(form, "manage")):
        assert client.get(STATUS).headers["Location"] == f"{reverse('admin:login')}?next={STATUS}"
        assert client.get(STATUS, {"format": "json"}).status_code == 302
