"""Fixtures for every room: real services, started when the first test asks for one, on free ports, ended by id.

A test that asks for a service or for the database is marked `services` by that alone, so the fast suite
(`-m "not services and not browser"`) can never touch one by accident.
"""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.db import connections

from deploy.local.kafka import Kafka, jars
from deploy.local.postgres import DATABASE, USER, Postgres
from deploy.local.process import free_port
from deploy.local.valkey import Valkey
from tests.canary import Watch, leaks_in, log_files

ROOT = Path(__file__).resolve().parent
JARS = ROOT / ".formhub" / "kafka-jars"
SERVICES = {"postgres_service", "valkey_service", "kafka_service", "db", "transactional_db", "django_db_setup"}


def pytest_addoption(parser: pytest.Parser) -> None:
    faults = parser.getgroup("faults", "the fault suite, tests/faults")
    faults.addoption("--faults", choices=("few", "all"), default="few", help="which cases: the fast ones, or all")
    faults.addoption("--faults-seed", type=int, default=0, help="repeat the schedule that a failure has named")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("django_db") or SERVICES & set(getattr(item, "fixturenames", ())):
            item.add_marker("services")


@pytest.fixture(scope="session")
def service_folder() -> Iterator[Path]:
    # Not pytest's own folder: it keeps the last runs, and data folders are large.
    folder = Path(tempfile.mkdtemp(prefix="formhub-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def canary_watch(service_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """Listens to every log line of the session, and reads the logs of every process that tests started.

    It ends after the services, since it begins before them.
    """
    watch = Watch()
    logging.getLogger().addHandler(watch)
    yield watch
    logging.getLogger().removeHandler(watch)
    folders = (service_folder, tmp_path_factory.getbasetemp())
    leaks = watch.leaks + leaks_in(path for folder in folders for path in log_files(folder))
    assert not leaks, "Answers or keys stand in logs:\n" + "\n".join(leaks)


@pytest.fixture(scope="session")
def postgres_service(service_folder: Path) -> Iterator[Postgres]:
    service = Postgres(service_folder / "postgres", service_folder / "postgres.log", free_port())
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def valkey_service(service_folder: Path) -> Iterator[Valkey]:
    """One server: database 0 as cache and Celery's broker, database 1 as the buffer."""
    service = Valkey("buffer", service_folder / "valkey", service_folder / "valkey.log", free_port())
    service.start()
    base = service.url.rpartition("/")[0]
    django_settings.REDIS_URL = f"{base}/0"
    django_settings.REDIS_BUFFER_URL = f"{base}/1"
    django_settings.CACHES["default"]["LOCATION"] = f"{base}/0"
    caches.settings["default"]["LOCATION"] = f"{base}/0"
    with suppress(AttributeError):
        del caches["default"]  # opened already, it would go on with the address it had
    yield service
    service.stop()


@pytest.fixture(scope="session")
def kafka_service(service_folder: Path) -> Iterator[Kafka]:
    """A broker; a test makes topics of its own. `pause`, `resume`, `kill` and `start` are for fault tests."""
    service = Kafka(service_folder / "kafka", service_folder / "kafka.log", jars(JARS), free_port())
    service.start()
    django_settings.KAFKA_BOOTSTRAP_SERVERS = [service.url]
    yield service
    service.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, postgres_service: Postgres
) -> None:
    """Whoever asks for the database gets the real one."""
    address = {"HOST": "127.0.0.1", "PORT": str(postgres_service.port), "USER": USER, "NAME": DATABASE, "PASSWORD": ""}
    django_settings.DATABASES["default"].update(address)
    connections["default"].settings_dict.update(address)
