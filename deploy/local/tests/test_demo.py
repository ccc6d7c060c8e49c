import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.local import private
from deploy.local.demo import WEB_PORT
from deploy.local.description import describe, to_open
from deploy.local.lock import Lock
from deploy.local.manage import environment_of
from deploy.local.process import ServiceError, ask_loopback_directly, free_port, running
from deploy.local.roles import ROLES, ROOT, Place, commands, environment, inherited, sheets_command
from deploy.local.services import Services
from deploy.local.tests.children import wait_until

SERVICES = {
    "DATABASE_URL": "postgresql://formhub@127.0.0.1:1/formhub",
    "REDIS_URL": "redis://127.0.0.1:2/0",
    "REDIS_BUFFER_URL": "redis://127.0.0.1:3/0",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:4",
}
SETUP = {
    "web": "http://127.0.0.1:8000",
    "organization": "o",
    "form": "f",
    "form_url": "http://127.0.0.1:8000/admin/forms/form/1/change/",
    "submit_url": "http://127.0.0.1:8000/api/v1/forms/f/submissions",
    "api_key": "fh_live_x",
    "topic": "submissions.v1",
    "spreadsheet": "s",
    "admin": {"url": "http://127.0.0.1:8000/admin/", "user": "owner@example.org", "password": "p"},
}
EMULATOR = {"spreadsheets": {"Student data": "s"}, "service_account_file": "w", "reader_service_account_file": "r"}
STUDENT = {
    "name": "Zoë Müller", "roll": "12345", "university": "BCE", "cgpa": "8.04", "gender": "F", "age": "20",
    "email": "zoe@example.org", "mobile": "9876543210",
}  # fmt: skip
START_SECONDS = 240


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, 8000, 8001)


def test_a_file_for_its_owner_is_never_readable_by_others(tmp_path: Path) -> None:
    private.write(tmp_path / "key", "secret")
    private.write(tmp_path / "key", "another")

    assert (tmp_path / "key").read_text() == "another"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    made = private.keep(tmp_path / "key", lambda: "first")

    assert private.keep(tmp_path / "key", lambda: "second") == made == "first"


@pytest.mark.parametrize("variable", SERVICES)
def test_a_service_whose_address_is_given_is_not_provided(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in SERVICES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(variable, "given")
    services = Services(tmp_path, tmp_path / "jars")

    services.launch()

    assert services.provided == {}
    assert services.environment == {**SERVICES, variable: "given"}


def test_our_secret_is_the_only_one_whichever_way_another_is_given(
    monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    monkeypatch.setenv("SECRET_KEY", "theirs")
    monkeypatch.setenv("DATABASE_URL_FILE", "/theirs")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")

    found = inherited(environment(place, SERVICES))

    assert not {"SECRET_KEY", "DATABASE_URL_FILE"} & found.keys()
    assert found["SECRET_KEY_FILE"] == str(place.folder / "secret-key")
    assert (found["DATABASE_URL"], found["LOG_LEVEL"]) == (SERVICES["DATABASE_URL"], "DEBUG")


def test_a_link_that_a_worker_writes_leads_to_the_demo(place: Place) -> None:
    assert environment(place, SERVICES)["PUBLIC_URL"] == place.web


def test_loopback_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "intranet")
    monkeypatch.delenv("NO_PROXY", raising=False)

    ask_loopback_directly()

    assert os.environ["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert os.environ["NO_PROXY"] == "127.0.0.1,localhost"


def test_a_port_that_another_process_has_chosen_is_left_to_it() -> None:
    choose = "from deploy.local.process import free_port; print(free_port({}), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", choose.format(0)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        chosen = int(other.stdout.readline())

        assert free_port(chosen) != chosen

        other.communicate("end\n", timeout=20)
    assert free_port(chosen) == chosen


def test_every_role_has_a_command_on_the_chosen_ports(place: Place) -> None:
    found = commands(place, "flush.google_sheets,flush.other")

    assert tuple(found) == ROLES
    assert found["web"][found["web"].index("--port") + 1] == "8000"
    assert found["worker"][found["worker"].index("-Q") + 1] == "celery,flush.google_sheets,flush.other"
    assert "8001" in sheets_command(place)


def test_the_description_has_what_scripts_ask_for(place: Place) -> None:
    demo = describe(place, SETUP, EMULATOR, SERVICES, {"web": [1, 2]})

    assert demo["sheets"] == {
        "url": "http://127.0.0.1:8001",
        "spreadsheet_id": "s",
        "worksheet": "Submissions",
        "grid_url": "http://127.0.0.1:8001/spreadsheets/s",
        "service_account_file": "w",
        "reader_service_account_file": "r",
    }
    assert (demo["postgres"], demo["redis"], demo["kafka"]) == (
        SERVICES["DATABASE_URL"], SERVICES["REDIS_URL"], SERVICES["KAFKA_BOOTSTRAP_SERVERS"],
    )  # fmt: skip
    assert demo["processes"] == {"web": [1, 2]}
    assert {"web", "submit_url", "form", "form_url", "organization", "api_key", "admin", "topic"} <= demo.keys()


def test_people_are_told_every_address_and_a_line_that_submits(place: Place) -> None:
    told = dict(to_open(describe(place, SETUP, EMULATOR, SERVICES, {})))

    assert list(told) == ["Admin", "Page", "Form", "Sheet", "Status", "Metrics", "API key", "Submit"]
    assert told["Submit"].startswith(f"curl -X POST {SETUP['submit_url']} -H 'Content-Type: application/json' -d '{{")
    assert "\n" not in "".join(told.values())


def test_the_environment_of_a_demo_that_never_was_is_missed_in_words(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="make demo"):
        environment_of(tmp_path)


def test_a_second_demo_in_the_same_folder_says_so_and_ends(tmp_path: Path) -> None:
    held = Lock(tmp_path)

    done = subprocess.run(
        [sys.executable, "-m", "deploy.local.demo", "--folder", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert f"runs already (process {os.getpid()})" in done.stdout
    held.release()


# The whole demo


class Running:
    """A demo in a folder of its own, as a person starts it: in a process group of its own, ended by Ctrl-C."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder = folder
        self.output = output
        # The settings for tests name services that are not there.
        clean = {name: value for name, value in os.environ.items() if name not in SERVICES}
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local.demo", "--folder", str(folder)],
                cwd=ROOT, env=clean, stdout=file, stderr=subprocess.STDOUT, process_group=0,
            )  # fmt: skip

    def described(self) -> dict[str, Any]:
        path = self.folder / "demo.json"
        wait_until(lambda: path.exists() or self.process.poll() is not None, START_SECONDS)
        assert path.exists(), self.output.read_text()[-4000:]
        demo: dict[str, Any] = json.loads(path.read_text())
        return demo

    def interrupt(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(90)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Running]]:
    demos: list[Running] = []
    yield demos
    for demo in demos:
        if demo.process.poll() is None:
            demo.interrupt()


def get(url: str) -> str:
    return requests.get(url, timeout=10).text


def submit(demo: dict[str, Any], body: dict[str, str]) -> dict[str, Any]:
    key = {"Authorization": f"Bearer {demo['api_key']}"}
    answer = requests.post(demo["submit_url"], json=body, headers=key, timeout=10)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def listening(pids: list[int]) -> set[str]:
    """The addresses, as the kernel writes them, on which these processes listen."""
    sockets = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
            except FileNotFoundError:
                continue
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and columns[9] in sockets:
                found.add(columns[1].partition(":")[0])
    return found


@pytest.mark.services
def test_the_demo_takes_a_submission_to_the_sheet_and_ends_with_everything(
    tmp_path: Path, started: list[Running]
) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as `free_port` asks
        taken.bind(("127.0.0.1", free_port(WEB_PORT)))
        taken.listen()
        started.append(Running(tmp_path / "demo", tmp_path / "first.log"))
        demo = started[-1].described()
        assert not demo["web"].endswith(f":{taken.getsockname()[1]}")
    assert (tmp_path / "demo" / "demo.json").stat().st_mode & 0o777 == 0o600
    pids = [pid for each in demo["processes"].values() for pid in each]
    assert set(ROLES) | {"sheets", "postgres", "kafka", "valkey-buffer", "valkey-cache"} <= demo["processes"].keys()
    assert listening(pids) <= {"0100007F", "0000000000000000FFFF00000100007F"}, "on loopback only"

    submission = submit(demo, STUDENT)["id"]
    wait_until(lambda: submission in get(demo["sheets"]["grid_url"]))
    load = subprocess.run(
        [sys.executable, "-m", "bench.load", "--demo", str(tmp_path / "demo" / "demo.json"),
         "--users", "6", "--requests", "2", "--forms", "1", "3"],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert load.returncode == 0, load.stdout + load.stderr
    assert load.stdout.count("0 / 0 / 0") == 4

    assert started[-1].interrupt() == 0
    assert [pid for pid in pids if running(pid)] == []
    assert not (tmp_path / "demo" / "demo.json").exists()
    assert "Traceback" not in (tmp_path / "first.log").read_text()

    started.append(Running(tmp_path / "demo", tmp_path / "second.log"))
    again = started[-1].described()
    for kept in ("form", "api_key", "organization"):
        assert again[kept] == demo[kept]
    assert again["admin"]["password"] == demo["admin"]["password"]
    assert again["sheets"]["spreadsheet_id"] == demo["sheets"]["spreadsheet_id"]
    assert submission in get(again["sheets"]["grid_url"])

    os.kill(again["processes"]["beat"][0], signal.SIGKILL)
    assert started[-1].process.wait(90) == 1
    assert "beat ended" in (tmp_path / "second.log").read_text().splitlines()[-1]
    assert [pid for each in again["processes"].values() for pid in each if running(pid)] == []
