import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from pytest_django import Settings

from deploy.local.process import free_port
from formhub.core import exposition, metrics
from formhub.core.exposition import Exposition, PortTakenError, gauge

ROOT = Path(__file__).resolve().parents[3]


class Asked(Collector):
    def __init__(self, *families: Metric) -> None:
        self.families = families

    def collect(self) -> Iterator[Metric]:
        yield from self.families


def names(text: bytes) -> set[str]:
    return {line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")}


@pytest.mark.parametrize("role", metrics.ROLES)
def test_a_process_exports_the_metrics_of_its_roles_and_no_others(role: str) -> None:
    process = Exposition()
    process.be(role)

    ours = {name for name in names(process.text()) if name.startswith("formhub_")}

    asked = {metrics.STATE_KNOWN.name, *(n for n, d in metrics.DEFINED.items() if d in vars(metrics).values())}
    wanted = {name for name, defined in metrics.DEFINED.items() if role in defined.roles}
    assert ours == wanted - asked
    assert {"process_cpu_seconds_total", "django_http_requests_total_by_method_total"} & names(process.text())


def test_what_two_collectors_say_of_one_metric_is_told_once() -> None:
    process = Exposition()
    process.be("worker")
    process.ask(Asked(gauge(metrics.STATE_KNOWN, {("postgres",): 1}), gauge(metrics.UNREAD_NOW, {(): 4})))
    process.ask(Asked(gauge(metrics.STATE_KNOWN, {("buffer",): 0})))

    text = process.text().decode()

    assert text.count("# TYPE formhub_state_known gauge") == 1
    assert 'formhub_state_known{source="postgres"} 1.0' in text
    assert 'formhub_state_known{source="buffer"} 0.0' in text
    assert "formhub_unread_records 4.0" in text


@pytest.fixture
def port(settings: Settings) -> Iterator[int]:
    settings.METRICS_PORT, settings.METRICS_ADDRESS = free_port(), "127.0.0.1"
    server = exposition._listen()
    exposition._in_background(server)
    yield settings.METRICS_PORT
    server.shutdown()
    server.server_close()


def test_a_port_of_its_own_answers_scrapes_and_nothing_else(port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics?x=1", timeout=5) as answer:
        assert answer.headers["Content-Type"] == exposition.CONTENT_TYPE
        assert b"process_cpu_seconds_total" in answer.read()

    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


@pytest.mark.usefixtures("port")
def test_a_port_that_is_taken_is_named_with_the_remedy(settings: Settings) -> None:
    with pytest.raises(PortTakenError, match=f"METRICS_PORT={settings.METRICS_PORT} .* a port of its own"):
        exposition.serve()


def test_without_a_port_nothing_listens(settings: Settings) -> None:
    settings.METRICS_PORT = 0

    exposition.serve()
    exposition.serve_in_turn()


COUNT = """
from django.conf import settings; settings.VERSION
from formhub.core import metrics
from formhub.core.exposition import process
process.be("web")
metrics.ACCEPTED.labels("kafka").inc({count})
metrics.ACK_SECONDS.observe(0.2)
metrics.PENDING.set({count})
print(process.text().decode())
"""


def counted(folder: Path, count: int) -> dict[str, float]:
    """What one of several processes of a web server answers after it has counted so many; then it ends."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT.format(count=count)],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "formhub.settings.test",
            "PROMETHEUS_MULTIPROC_DIR": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = [line.rpartition(" ") for line in done.stdout.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_the_processes_of_a_web_server_answer_for_all_also_for_those_that_ended(tmp_path: Path) -> None:
    counted(tmp_path, 3)
    counted(tmp_path, 4)
    found = counted(tmp_path, 5)

    assert found['formhub_intake_accepted_total{door="kafka"}'] == 12
    assert found["formhub_intake_ack_seconds_count"] == 3
    assert found['formhub_intake_ack_seconds_bucket{le="0.25"}'] == 3
    # Of what is now, only those count that run.
    assert found["formhub_intake_pending"] == 5
    assert found['formhub_processes{role="web",version="0.1.0"}'] == 1
    # Files of those that ended do not pile up.
    exposition.bury(tmp_path)
    assert {path.name for path in tmp_path.glob("*.db")} == {"counter_ended.db", "histogram_ended.db"}


def test_a_folder_for_several_processes_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        counted(tmp_path / "nowhere", 1)

    assert "PROMETHEUS_MULTIPROC_DIR" in failed.value.stderr
    assert "make it, empty" in failed.value.stderr
