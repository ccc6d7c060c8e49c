import os
import shutil
import socket
from pathlib import Path

import psycopg
import pytest
import redis

from deploy.local import postgres
from deploy.local.kafka import Kafka, jars
from deploy.local.postgres import Postgres
from deploy.local.process import ServiceError, free_port
from deploy.local.valkey import Valkey
from formhub.core.stream.kafka import TopicSettings, describe_topic, ensure_topic

pytestmark = pytest.mark.services
JARS = Path(__file__).resolve().parents[3] / ".formhub" / "kafka-jars"


def running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        preferred = taken.getsockname()[1]

        assert free_port(preferred) != preferred


def test_postgres_keeps_its_rows_over_a_power_cut_and_leaves_no_process(tmp_path: Path) -> None:
    service = Postgres(tmp_path / "pg", tmp_path / "pg.log", free_port())
    service.start()
    with psycopg.connect(service.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")

    service.kill()
    service.start()

    with psycopg.connect(service.url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
    pid = service.process.pid
    service.stop()
    assert not running(pid)


def test_valkey_keeps_the_buffer_over_a_restart(tmp_path: Path) -> None:
    service = Valkey("buffer", tmp_path / "valkey", tmp_path / "valkey.log", free_port())
    service.start()
    redis.Redis.from_url(service.url).set("kept", "yes")

    service.stop()
    service.start()

    assert redis.Redis.from_url(service.url).get("kept") == b"yes"
    service.stop()


def test_the_broker_flushes_every_record_and_keeps_its_topic_over_a_power_cut(tmp_path: Path) -> None:
    service = Kafka(tmp_path / "kafka", tmp_path / "kafka.log", jars(JARS), free_port())
    service.start()
    ensure_topic([service.url], "kept", TopicSettings(2, 1, 1, 1))
    before = describe_topic([service.url], "kept", 10)

    service.kill()
    service.start()

    after = describe_topic([service.url], "kept", 10)
    assert (after.id, after.partitions, after.flush_messages) == (before.id, 2, 1)
    service.stop()


def test_a_service_that_cannot_start_says_where_to_look(tmp_path: Path) -> None:
    first = Valkey("cache", tmp_path / "one", tmp_path / "one.log", free_port())
    first.start()
    second = Valkey("cache", tmp_path / "two", tmp_path / "two.log", first.port)
    second.process.ready = lambda: False

    with pytest.raises(ServiceError, match=r"two\.log"):
        second.start()

    first.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can shut a folder against others and still be let in")
def test_postgres_starts_below_a_folder_that_others_may_not_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    # The virtual environment lies there too: the package, and the libraries beside it.
    package = postgres.BIN.parents[1]
    for folder in package.parent.glob(f"{package.name}*"):
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    monkeypatch.setattr(postgres, "BIN", closed / postgres.BIN.relative_to(package.parent))
    service = Postgres(closed / "pg", closed / "pg.log", free_port())

    service.start()

    service.stop()
