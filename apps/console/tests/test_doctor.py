"""Each check meets the trouble that it is for, in real services wherever those can be brought into it."""

import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import ConnectionHandler
from kafka import KafkaAdminClient, KafkaProducer
from pytest_django import Settings

from apps.archive import offsets, writer
from apps.archive.writer import Unread
from apps.console import parts, readers
from apps.console.doctor import buffers, database, installation, log, machine, report, verdict, work
from apps.console.doctor.verdict import Level, Section, Verdict, bad, good, warn
from apps.console.tests.test_figures import an_action, archived, parked
from apps.intake.tests.outboxes import kept
from apps.sinks import actions
from apps.sinks.models import Binding, Destination
from apps.sinks.registry import Registry, registry
from deploy.local.kafka import Kafka
from deploy.local.postgres import USER, Postgres
from deploy.local.process import free_port
from deploy.local.valkey import Valkey
from formhub.core import presence
from formhub.core.presence import Pulse
from formhub.core.secrets import encrypt
from formhub.core.stream import cluster
from formhub.core.stream.cluster import Disk, Partition
from formhub.core.stream.kafka import TopicSettings, describe_topic, ensure_topic

FERNET = "dGVzdC1vbmx5LXRlc3Qtb25seS10ZXN0LW9ubHktdGU="


def level(found: Verdict) -> str:
    """What was found; a trouble has to name a remedy."""
    assert found.says
    assert bool(found.remedy) == (found.level is not Level.GOOD)
    return found.level.value


class TestSettings:
    @pytest.mark.parametrize(
        "key", ["short", "a" * 80, "django-insecure-" + "0123456789" * 6], ids=["short", "one letter", "Django's first"]
    )
    def test_a_secret_key_that_can_be_guessed(self, settings: Settings, key: str) -> None:
        settings.SECRET_KEY = key
        assert level(installation.secret_key()) == "bad"

        settings.SECRET_KEY = secrets.token_urlsafe(50)
        assert level(installation.secret_key()) == "good"

    @pytest.mark.parametrize("keys", [[], ["no key"], [FERNET, "no key"]])
    def test_encryption_keys_that_cannot_be_used(self, settings: Settings, keys: list[str]) -> None:
        settings.ENCRYPTION_KEYS = keys
        assert level(installation.encryption_keys()) == "bad"

    def test_one_key_for_two_purposes(self, settings: Settings) -> None:
        settings.ENCRYPTION_KEYS, settings.SECRET_KEY = [FERNET], FERNET
        assert level(installation.encryption_keys()) == "warn"

        settings.SECRET_KEY = "another"
        assert level(installation.encryption_keys()) == "good"

    def test_debug(self, settings: Settings) -> None:
        assert level(installation.debug()) == "good"
        settings.DEBUG = True
        assert level(installation.debug()) == "bad"

    @pytest.mark.parametrize(("hosts", "found"), [([], "bad"), (["*"], "bad"), (["forms.example.org"], "good")])
    def test_host_names(self, settings: Settings, hosts: list[str], found: str) -> None:
        settings.ALLOWED_HOSTS = hosts
        assert level(installation.hosts()) == found

    def test_plain_http_towards_the_world(self, settings: Settings) -> None:
        assert level(installation.tls()) == "good"
        settings.ALLOWED_HOSTS = ["forms.example.org"]
        assert level(installation.tls()) == "bad"

        settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
        assert level(installation.tls()) == "warn"

        settings.SECURE_SSL_REDIRECT = True
        assert level(installation.tls()) == "good"
        settings.PUBLIC_URL = "http://forms.example.org"
        assert level(installation.tls()) == "warn"

    def test_metrics_for_everybody(self, settings: Settings) -> None:
        assert level(installation.metrics()) == "good"
        settings.ALLOWED_HOSTS, settings.METRICS_PUBLIC = ["forms.example.org"], True
        assert level(installation.metrics()) == "warn"

        settings.METRICS_TOKEN = "short"
        assert level(installation.metrics()) == "warn"
        settings.METRICS_TOKEN = secrets.token_urlsafe(50)
        assert level(installation.metrics()) == "good"

    def test_what_the_checks_of_the_rooms_complain_of(self, settings: Settings) -> None:
        settings.INTAKE_PER_KEY = "often"

        found = installation.system_checks()

        assert (level(found), found.remedy) == ("bad", "Write it as 60/minute.")
        assert "intake.E001" in found.says


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A connection to a server whose settings lose and tell what they should not."""

    class Careless(Postgres):
        def _options(self) -> list[str]:
            changed = ("fsync=off", "full_page_writes=off", "log_min_messages=warning", "log_min_duration_statement=5")
            return [*super()._options(), *(part for name in changed for part in ("-c", name))]

    folder = tmp_path_factory.mktemp("careless")
    server = Careless(folder / "data", folder / "postgres.log", free_port())
    server.start()
    address = {
        **connection.settings_dict,
        "HOST": "127.0.0.1",
        "PORT": str(server.port),
        "USER": USER,
        "NAME": "postgres",
    }
    made = ConnectionHandler({"default": address})["default"]
    yield made
    made.close()
    server.stop()


@pytest.mark.services
class TestPostgres:
    @pytest.mark.django_db
    def test_a_server_that_is_away(self, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
        address = {**settings.DATABASES["default"], "PORT": str(free_port())}
        monkeypatch.setattr(database, "connection", ConnectionHandler({"default": address})["default"])

        [found] = report.examine(database.section())

        assert (found.check, found.level) == ("server", Level.BAD)
        assert "DATABASE_URL" in found.remedy

    @pytest.mark.django_db
    def test_one_that_is_too_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert level(database.server()) == "good"
        monkeypatch.setattr(database, "VERSION_LEAST", 99)
        assert level(database.server()) == "bad"

    @pytest.mark.django_db
    def test_migrations_that_are_missing_or_ahead(self) -> None:
        assert level(database.migrations()) == "good"
        MigrationRecorder(connection).record_applied("sinks", "9999_of_tomorrow")
        assert level(database.migrations()) == "warn"

        newest = MigrationRecorder(connection).migration_qs.filter(app="sinks").exclude(name="9999_of_tomorrow")
        newest.order_by("-pk")[:1].get().delete()
        found = database.migrations()
        assert level(found) == "bad"
        assert "manage.py migrate" in found.remedy

    @pytest.mark.django_db
    def test_what_is_committed_and_not_on_disk(self, careless: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        assert level(database.durability()) == "good"
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
        assert level(database.durability()) == "bad"

        monkeypatch.setattr(database, "connection", careless)
        found = database.durability()
        assert level(found) == "bad"
        assert "fsync is off" in found.says
        assert len(found.remedy.splitlines()) == 2

    @pytest.mark.django_db
    def test_a_log_that_repeats_answers(self, careless: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        assert level(database.its_log()) == "good"
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL log_statement = 'all'")
        assert level(database.its_log()) == "warn"

        monkeypatch.setattr(database, "connection", careless)
        found = database.its_log()
        assert level(found) == "warn"
        assert "errors are logged" in found.says
        assert "slow statements are logged" in found.says
        assert "SET log_min_messages = 'log';" in found.remedy

    @pytest.mark.django_db
    def test_connections_that_are_nearly_all_in_use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert level(database.connections()) == "good"
        monkeypatch.setattr(database, "FULL", 0.0)
        assert level(database.connections()) == "warn"

    @pytest.mark.django_db
    def test_what_waits_in_the_outbox_too_long(self) -> None:
        assert database.its_outbox() == good("empty")
        kept()
        assert database.its_outbox() == good("1 wait for the log")

        kept(age=600)

        found = database.its_outbox()
        assert level(found) == "warn"
        assert found.says == "2 wait, the oldest for 10 min"

    @pytest.mark.django_db
    def test_an_outbox_that_fills_up(self, settings: Settings) -> None:
        settings.OUTBOX_ROWS_MAX = 4
        kept()
        kept()
        assert level(database.its_outbox()) == "good"

        kept()

        found = database.its_outbox()
        assert level(found) == "bad"
        assert "75 % full" in found.says
        assert "OUTBOX_ROWS_MAX" in found.remedy

    @pytest.mark.django_db
    def test_what_the_log_refuses(self) -> None:
        kept(age=600, refused="too large")

        found = database.its_outbox()

        assert level(found) == "warn"
        assert found.says == "the log refuses 1"
        assert "relay --refused" in found.remedy

    @pytest.mark.django_db
    def test_secrets_whose_key_is_gone(self, settings: Settings) -> None:
        action = an_action()
        Binding.objects.filter(pk=action.pk).update(secrets=encrypt({"token": "hush"}))
        assert level(database.stored_secrets()) == "good"

        settings.ENCRYPTION_KEYS = ["b3RoZXItb25seS1vdGhlci1vbmx5LW90aGVyLW9ubHk="]

        found = database.stored_secrets()
        assert level(found) == "bad"
        assert f"action {action.pk}" in found.says

    @pytest.mark.django_db
    @pytest.mark.parametrize(("seconds", "found"), [(0, "good"), (5, "warn"), (-60, "bad")])
    def test_clocks_that_disagree(self, monkeypatch: pytest.MonkeyPatch, seconds: int, found: str) -> None:
        monkeypatch.setattr("django.utils.timezone.now", lambda: datetime.now(UTC) + timedelta(seconds=seconds))

        assert level(database.clock()) == found


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Valkey]:
    """A server set up as a cache: it evicts, and keeps nothing on disk."""
    server = Valkey("cache", tmp_path / "valkey", tmp_path / "valkey.log", free_port())
    server.start()
    yield server
    server.stop()


def configure(server: Valkey, **settings: str) -> None:
    with redis.Redis.from_url(server.url) as client:
        for name, value in settings.items():
            client.config_set(name.replace("_", "-"), value)


@pytest.mark.services
class TestValkey:
    def test_servers_that_are_away(self, settings: Settings) -> None:
        settings.REDIS_URL = settings.REDIS_BUFFER_URL = f"redis://127.0.0.1:{free_port()}/0"

        for section, name in ((buffers.buffer_section(), "REDIS_BUFFER_URL"), (buffers.cache_section(), "REDIS_URL")):
            [found] = report.examine(section)
            assert (found.level, name in found.remedy) == (Level.BAD, True)

    def test_a_buffer_that_evicts_or_is_not_on_disk(
        self, settings: Settings, other: Valkey, valkey_service: Valkey
    ) -> None:
        assert (level(buffers.eviction()), level(buffers.append_only())) == ("good", "good")
        settings.REDIS_BUFFER_URL = other.url
        assert level(buffers.eviction()) == "bad"
        assert level(buffers.append_only()) == "warn"

        configure(other, maxmemory_policy="noeviction", appendonly="yes")
        assert (level(buffers.eviction()), level(buffers.append_only())) == ("good", "good")

    def test_an_append_only_file_that_cannot_be_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(buffers, "_info", lambda url: {"aof_enabled": 1, "aof_last_write_status": "err"})

        assert level(buffers.append_only()) == "bad"

    def test_a_buffer_without_room(self, settings: Settings, other: Valkey) -> None:
        settings.REDIS_BUFFER_URL = other.url
        configure(other, maxmemory="0")
        assert level(buffers.memory()) == "good"

        configure(other, maxmemory="100mb")
        found = buffers.memory()
        assert level(found) == "warn"
        assert "BUFFER_MAX_BYTES" in found.remedy

        settings.BUFFER_MAX_BYTES = 1024 * 1024
        assert level(buffers.memory()) == "good"
        configure(other, maxmemory_policy="noeviction", maxmemory="1mb")
        assert "% used" in buffers.memory().says

    def test_one_server_for_both(self, settings: Settings, valkey_service: Valkey, other: Valkey) -> None:
        assert level(buffers.apart()) == "warn"
        settings.REDIS_BUFFER_URL = other.url
        assert level(buffers.apart()) == "good"

    @pytest.mark.usefixtures("valkey_service")
    def test_clocks_that_disagree(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert level(buffers.clock()) == "good"
        monkeypatch.setattr("django.utils.timezone.now", lambda: datetime.now(UTC) + timedelta(seconds=90))
        assert level(buffers.clock()) == "bad"


@pytest.fixture
def topic(kafka_service: Kafka, settings: Settings) -> str:
    """A topic as one broker's promises need it."""
    name = f"doctor-{secrets.token_hex(4)}"
    settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC = [kafka_service.url], name
    settings.SUBMISSIONS_PARTITIONS = 2
    ensure_topic([kafka_service.url], name, TopicSettings(2, 1, 1, settings.SUBMISSIONS_RETENTION_HOURS))
    return name


def send(settings: Settings, count: int = 1, ahead: timedelta = timedelta()) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.KAFKA_BOOTSTRAP_SERVERS)
    moment = int(1000 * (datetime.now(UTC) + ahead).timestamp())
    for _ in range(count):
        producer.send(settings.SUBMISSIONS_TOPIC, b"x", partition=0, timestamp_ms=moment).get(10)
    producer.close()


@pytest.mark.services
class TestKafka:
    def test_a_broker_that_is_away(self, settings: Settings) -> None:
        settings.KAFKA_BOOTSTRAP_SERVERS = [f"127.0.0.1:{free_port()}"]

        [found] = report.examine(log.section())

        assert (found.check, found.level) == ("topic", Level.BAD)
        assert "KAFKA_BOOTSTRAP_SERVERS" in found.remedy

    def test_a_topic_that_is_missing(self, settings: Settings, kafka_service: Kafka) -> None:
        settings.SUBMISSIONS_TOPIC = "nowhere"

        [found] = report.examine(log.section())

        assert found.level is Level.BAD
        assert "ensure_topics" in found.remedy

    @pytest.mark.parametrize(("partitions", "found"), [(2, "good"), (1, "warn"), (6, "bad")])
    def test_other_partitions_than_are_sent_to(
        self, settings: Settings, topic: str, partitions: int, found: str
    ) -> None:
        settings.SUBMISSIONS_PARTITIONS = partitions
        assert level(log.topic()) == found

    @pytest.mark.usefixtures("topic")
    def test_a_topic_as_it_should_be(self) -> None:
        found = list(report.examine(log.section()))

        assert {each.check: each.level for each in found if each.check != "disks"} == {
            name: Level.GOOD for name, _ in (("topic", 0), *log.section().checks) if name != "disks"
        }

    @pytest.mark.parametrize(
        ("configs", "found", "says"),
        [
            ({"flush.messages": "10000"}, "bad", "not on disk"),
            ({"max.message.bytes": "1000"}, "bad", "large submissions"),
            ({"unclean.leader.election.enable": "true"}, "bad", "can be lost"),
            ({"cleanup.policy": "compact"}, "bad", "thrown away"),
            ({"retention.ms": "3600000"}, "warn", "records go"),
            ({"retention.ms": "-1"}, "good", "as the promises need"),
        ],
    )
    def test_settings_of_the_topic_that_break_a_promise(
        self, settings: Settings, kafka_service: Kafka, configs: Mapping[str, str], found: str, says: str
    ) -> None:
        name = f"doctor-{secrets.token_hex(4)}"
        settings.SUBMISSIONS_TOPIC = name
        wanted = {**TopicSettings(1, 1, 1, settings.SUBMISSIONS_RETENTION_HOURS).configs(), **configs}
        admin = KafkaAdminClient(bootstrap_servers=[kafka_service.url])
        admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1, "configs": wanted}})
        admin.wait_for_topics([name])
        admin.close()

        answer = log.topic_settings()

        assert level(answer) == found
        assert says in answer.says

    def test_fewer_copies_than_are_promised(self, settings: Settings, topic: str) -> None:
        settings.SUBMISSIONS_REPLICATION, settings.SUBMISSIONS_MIN_INSYNC = 3, 2

        assert level(log.replicas()) == "bad"
        assert "min.insync.replicas is 1" in log.topic_settings().says

    @pytest.mark.parametrize(
        ("partition", "found"),
        [
            pytest.param(Partition(0, False, 3, 0), "bad", id="nobody leads"),
            pytest.param(Partition(0, True, 3, 1), "bad", id="too few in sync"),
            pytest.param(Partition(0, True, 3, 2), "warn", id="one is missing"),
            pytest.param(Partition(0, True, 3, 3), "good", id="all there"),
        ],
    )
    def test_replicas_that_are_not_in_sync(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch, partition: Partition, found: str
    ) -> None:
        settings.SUBMISSIONS_REPLICATION, settings.SUBMISSIONS_MIN_INSYNC = 3, 2
        monkeypatch.setattr(cluster, "partitions", lambda *args: [partition])

        assert level(log.replicas()) == found

    def test_brokers_that_make_topics_by_themselves(
        self, monkeypatch: pytest.MonkeyPatch, kafka_service: Kafka
    ) -> None:
        assert level(log.creation()) == "good"
        monkeypatch.setattr(cluster, "broker_settings", lambda *args: {1: {"auto.create.topics.enable": "true"}})
        assert level(log.creation()) == "warn"

    @pytest.mark.parametrize(("free", "found"), [(50, "good"), (10, "warn"), (2, "bad")])
    def test_brokers_whose_disks_fill_up(self, monkeypatch: pytest.MonkeyPatch, free: int, found: str) -> None:
        monkeypatch.setattr(cluster, "disks", lambda *args: [Disk(1, "/log", 100, free), Disk(2, "/old", 0, 0)])

        assert level(log.disks()) == found

    @pytest.mark.usefixtures("topic")
    def test_a_sender_whose_clock_is_ahead(self, settings: Settings) -> None:
        send(settings)
        assert level(log.clock()) == "good"
        send(settings, ahead=timedelta(minutes=2))
        assert level(log.clock()) == "warn"


@pytest.fixture
def everybody(valkey_service: Valkey) -> None:
    with presence._client() as client:
        client.delete(presence._KEY)
    Pulse(dict.fromkeys(parts.NEEDED, lambda: True)).say()


def forget(name: str) -> None:
    with presence._client() as client:
        [member] = [member for member in client.zrange(presence._KEY, 0, -1) if member.startswith(name.encode())]
        client.zrem(presence._KEY, member)


@pytest.mark.services
@pytest.mark.django_db
class TestWork:
    @pytest.mark.usefixtures("everybody")
    @pytest.mark.parametrize("name", list(parts.NEEDED))
    def test_a_part_that_does_not_run(self, name: str) -> None:
        assert level(work.signs_of_life()) == "good"

        forget(name)

        found = work.signs_of_life()
        assert level(found) == "bad"
        assert found.remedy == work.START[name]

    @pytest.mark.usefixtures("everybody")
    def test_a_worker_that_fell_silent(self) -> None:
        with presence._client() as client:
            client.zadd(presence._KEY, {"egress there 7": float(client.time()[0]) - 600})

        assert level(work.signs_of_life()) == "warn"

    def test_readers_that_are_behind_or_missing(
        self, settings: Settings, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "has never read" in work.lags().says
        found = describe_topic(settings.KAFKA_BOOTSTRAP_SERVERS, topic, 5)
        for group in readers.GROUPS:
            offsets.place(group, topic, found.id, 0, {0: 0, 1: 0})
        assert "has no reader" in work.lags().says

        monkeypatch.setattr(cluster, "members", lambda servers, groups, seconds: dict.fromkeys(groups, 1))
        assert level(work.lags()) == "good"
        send(settings, 3)
        assert level(work.lags()) == "good"

        for minutes, expected in ((5, "warn"), (30, "bad"), (60 * 24 * 5, "bad")):
            moment = timedelta(minutes=minutes)
            monkeypatch.setattr("django.utils.timezone.now", lambda moment=moment: datetime.now(UTC) + moment)
            answer = work.lags()
            assert level(answer) == expected
        assert "retention" in answer.remedy

    def test_a_queue_that_nobody_takes_from(self, settings: Settings, valkey_service: Valkey) -> None:
        settings.CELERY_BROKER_URL = f"{valkey_service.url.rpartition('/')[0]}/7"

        found = work.queues()

        assert level(found) == "bad"
        queues = ["celery", *(f"flush.{name}" for name in registry.names()), "notices"]
        assert found.says == f"nobody takes from {', '.join(queues)}"

    def test_a_broker_of_celery_that_is_away(self, settings: Settings) -> None:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
        assert "CELERY_BROKER_URL" in work.queues().remedy

    def test_a_plug_in_that_does_not_load(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert level(work.plugins()) == "good"
        monkeypatch.setattr(work, "registry", Registry({"ticker": "nowhere.Ticker"}, "formhub.none"))

        found = work.plugins()

        assert level(found) == "bad"
        assert "'ticker'" in found.says

    def test_a_service_account_that_cannot_be_read(self, settings: Settings, tmp_path: Path) -> None:
        assert level(work.service_account()) == "good"
        settings.SHEETS_SERVICE_ACCOUNT_FILE = str(tmp_path / "nowhere.json")
        assert "No such file" in work.service_account().says

        (tmp_path / "account.json").write_text(json.dumps({"type": "authorized_user"}))
        settings.SHEETS_SERVICE_ACCOUNT_FILE = str(tmp_path / "account.json")
        assert level(work.service_account()) == "bad"

    def test_actions_that_are_paused(self) -> None:
        action = an_action()
        assert level(work.actions()) == "good"
        actions.pause(action, "The spreadsheet is gone.")

        found = work.actions()

        assert level(found) == "warn"
        assert f"action {action.pk}, The spreadsheet is gone." in found.says

    def test_deliveries_that_failed_or_wait(self) -> None:
        action = an_action()
        assert level(work.deliveries()) == "good"
        Destination.objects.update(failures=3)
        parked(action)
        archived(action.form_id, 4, age=900)
        found = work.deliveries()
        assert level(found) == "warn"
        assert len(found.remedy.splitlines()) == 3

        archived(action.form_id, 3, age=2 * 3600)
        assert level(work.deliveries()) == "bad"

    def test_records_that_cannot_be_read(self) -> None:
        assert level(work.unread()) == "good"
        writer.keep_unread([Unread("t", "A", 0, 1, None, b"", [], "malformed", "no envelope")])
        assert level(work.unread()) == "warn"


class TestMachine:
    @pytest.mark.services
    @pytest.mark.django_db
    @pytest.mark.usefixtures("valkey_service")
    @pytest.mark.parametrize(("free", "found"), [(50, "good"), (10, "warn"), (1, "bad")])
    def test_a_disk_that_fills_up(self, monkeypatch: pytest.MonkeyPatch, free: int, found: str) -> None:
        usage = SimpleNamespace(total=100, free=free)
        monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)

        assert level(machine.space()) == found

    @pytest.mark.services
    @pytest.mark.django_db
    def test_data_that_lies_elsewhere_is_not_looked_for(self, settings: Settings) -> None:
        assert machine._postgres() is not None
        settings.DATABASES["default"]["HOST"], before = "db.example.org", settings.DATABASES["default"]["HOST"]
        try:
            assert machine._postgres() is None
        finally:
            settings.DATABASES["default"]["HOST"] = before
        assert machine._valkey("redis://cache.example.org:6379/0") is None
        assert machine._valkey(f"redis://127.0.0.1:{free_port()}/0") is None

    def test_a_folder_for_heartbeats_that_cannot_be_written(self, settings: Settings, tmp_path: Path) -> None:
        settings.HEARTBEAT_DIR = tmp_path / "beats" / "here"
        assert level(machine.heartbeats()) == "good"
        (tmp_path / "beats").write_text("a file")
        assert level(machine.heartbeats()) == "bad"

    def test_static_files_that_were_not_collected(self, settings: Settings, tmp_path: Path) -> None:
        assert level(machine.static_files()) == "good"
        settings.STATIC_ROOT = tmp_path
        settings.STORAGES = {
            **settings.STORAGES,
            "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
        }
        assert level(machine.static_files()) == "bad"
        (tmp_path / "staticfiles.json").write_text("{}")
        assert level(machine.static_files()) == "good"


class TestReport:
    @pytest.fixture
    def three(self, monkeypatch: pytest.MonkeyPatch) -> None:
        checks = (
            ("first", lambda: good("fine")),
            ("second", lambda: warn("odd", "Look.")),
            ("third", lambda: bad("broken", "Mend it.\nAnd that.")),
        )
        monkeypatch.setattr(report, "SECTIONS", (lambda: Section("Part", checks),))

    def run(self, *arguments: str) -> tuple[str, int]:
        out = StringIO()
        try:
            call_command("doctor", *arguments, stdout=out, no_color=True)
        except SystemExit as ended:
            return out.getvalue(), int(str(ended.code))
        return out.getvalue(), 0

    @pytest.mark.usefixtures("three")
    def test_each_check_has_its_line_and_each_trouble_its_remedy_below(self) -> None:
        text, code = self.run()

        lines = [" ".join(line.split()) for line in text.splitlines()]
        assert lines == [
            "+ good Part: first fine",
            "! warn Part: second odd",
            "Look.",
            "x bad Part: third broken",
            "Mend it.",
            "And that.",
            "1 good, 1 warn, 1 bad",
        ]
        assert code == 1

    @pytest.mark.usefixtures("three")
    def test_programs_read_the_same_as_json(self) -> None:
        text, code = self.run("--json")

        document = json.loads(text)
        assert document["counts"] == {"good": 1, "warn": 1, "bad": 1}
        assert document["findings"][2] == {
            "part": "Part",
            "check": "third",
            "level": "bad",
            "says": "broken",
            "remedy": "Mend it.\nAnd that.",
        }
        assert code == 1

    def test_a_warning_alone_is_no_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        checks = (("second", lambda: warn("odd", "Look.")),)
        monkeypatch.setattr(report, "SECTIONS", (lambda: Section("Part", checks),))

        assert self.run()[1] == 0

    def test_a_check_that_fails_itself_is_a_finding_and_the_next_one_is_made(self) -> None:
        def fail() -> Verdict:
            raise ZeroDivisionError

        found = list(report.examine(Section("Part", (("first", fail), ("second", lambda: good("fine"))))))

        assert [(each.level, each.says) for each in found] == [
            (Level.BAD, "could not be looked at (ZeroDivisionError)"),
            (Level.GOOD, "fine"),
        ]

    def test_the_worst_of_several_decides(self) -> None:
        found = verdict.worst([warn("odd", "Look."), good("fine"), bad("broken", "Mend it.")], "all fine")

        assert found == Verdict(Level.BAD, "broken; odd", "Mend it.\nLook.")
        assert verdict.worst([good("fine")], "all fine") == good("all fine")

    @pytest.mark.services
    @pytest.mark.django_db
    @pytest.mark.usefixtures("everybody", "topic")
    def test_a_whole_report_on_real_services_can_be_made(self) -> None:
        found = list(report.findings())

        assert len(found) > 30
        assert not [each for each in found if "could not be looked at" in each.says]
