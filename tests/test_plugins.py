"""Packages of strangers: one as `startsink` makes it, and the example, through real processes, there and away."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from bench.load import students
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.valkey import Valkey
from sheets_emulator.emulator import SheetsEmulator
from tests.stack import ROOT, Stack, environment, read, wait_until

pytestmark = pytest.mark.services
EXAMPLE = ROOT / "examples" / "formhub-dropfolder"
ROLES = ("web", "consumer", "worker", "beat")
PATIENCE = 120
# An owner who is an operator too: a session for the pages, a key for the API.
OWNER = """
import json, sys
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from apps.console import samples
from apps.orgs import keys
from apps.orgs.models import Organization
of = Organization.objects.get()
user = samples.owner(of, "owner@example.org", "Owner", "not-needed-here")
_, token = keys.create(organization=of, name="test", scopes=["read", "manage"])
session = SessionStore()
session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print(json.dumps({"token": token, "cookie": {settings.SESSION_COOKIE_NAME: session.session_key}}), file=open(PATH, "w"))
"""


def pip_install(package: Path, target: Path) -> None:
    """From its folder alone: nothing is fetched."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    # A copy: building leaves its traces in the folder that it builds.
    copy = target.parent / f"{package.name}-to-build"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"), dirs_exist_ok=True)
    run("-m", "pip", "install", *options, "--target", str(target), str(copy))


def run(*arguments: str, cwd: Path = ROOT, path: str = "") -> str:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "formhub.settings.test"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{arguments}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def test_a_package_made_by_startsink_is_installed_known_and_passes_its_own_tests(tmp_path: Path) -> None:
    run("manage.py", "startsink", "ticker", "--folder", str(tmp_path))
    made, target = tmp_path / "formhub-ticker", tmp_path / "site"

    pip_install(made, target)
    known = run("manage.py", "queues", path=str(target))
    run("manage.py", "check", path=str(target))
    tested = run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=made, path=f"{target}:{ROOT}")

    assert "flush.ticker" in known
    assert " passed" in tested


def test_the_example_passes_its_own_tests(tmp_path: Path) -> None:
    copy = shutil.copytree(EXAMPLE, tmp_path / "example")

    assert " passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=copy, path=str(ROOT))


class Installation:
    """FormHub's processes with a form, its Sheet, and a drop folder by the example's package."""

    def __init__(self, stack: Stack, emulator: SheetsEmulator) -> None:
        self.stack = stack
        self.emulator = emulator
        self.site, self.drop = stack.folder / "site", stack.folder / "drop"
        self.sent: list[str] = []

    def set_up(self) -> None:
        account = read(self.stack.folder / "account.json")["client_email"]
        sheets, output = self.stack.folder / "spreadsheets.json", self.stack.folder / "forms.json"
        sheets.write_text(json.dumps([self.emulator.create("Sheet", {account: "writer"})]))
        self.stack.manage("setup_load", "--web", self.stack.web, "--spreadsheets", str(sheets), "--output", str(output))
        [self.target] = read(output)
        owner = self.stack.folder / "owner.json"
        self.stack.manage("shell", "-v", "0", "-c", OWNER.replace("PATH", repr(str(owner))))
        self.owner: dict[str, Any] = read(owner)

    def start(self, *kinds: str) -> None:
        self.stack.kinds = ("google_sheets", *kinds)
        self.stack.start(*ROLES)

    def install(self) -> None:
        pip_install(EXAMPLE, self.site)

    def uninstall(self) -> None:
        shutil.rmtree(self.site)

    def submit(self, count: int) -> None:
        for body in islice(students(7), count):
            answer = requests.post(self.target["submit_url"], json=body, timeout=15)
            assert answer.status_code == 202
            self.sent.append(answer.json()["id"])

    def api(self, method: str, path: str = "", **options: Any) -> Any:
        address = f"{self.stack.web}/api/v1/forms/{self.target['form']}/actions{path}"
        headers = {"Authorization": f"Bearer {self.owner['token']}"}
        answer = requests.request(method, address, headers=headers, timeout=30, **options)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def page(self, path: str) -> str:
        answer = requests.get(f"{self.stack.web}{path}", cookies=self.owner["cookie"], timeout=30)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return answer.text

    def dropped(self) -> list[str]:
        """The ids that stand in files, in their order."""
        files = sorted(self.drop.glob("*/inbox/*.jsonl"))
        return [json.loads(line)["id"] for file in files for line in file.read_text().splitlines()]

    def in_sheet(self, count: int) -> bool:
        rows = self.emulator.rows(self.target["spreadsheet_id"], self.target["worksheet"])
        return len(rows) == 1 + count


@pytest.fixture
def installation(
    tmp_path: Path, postgres_service: Postgres, valkey_service: Valkey, kafka_service: Kafka, emulator: SheetsEmulator
) -> Iterator[Installation]:
    ours = environment(tmp_path, postgres_service, valkey_service, kafka_service, emulator)
    with redis.Redis.from_url(ours["REDIS_URL"]) as cache, redis.Redis.from_url(ours["REDIS_BUFFER_URL"]) as buffer:
        cache.flushdb()
        buffer.flushdb()
    ours |= {"PYTHONPATH": str(tmp_path / "site"), "DROP_FOLDER": str(tmp_path / "drop")}
    stack = Stack(tmp_path, ours)
    stack.manage("migrate", "--verbosity", "0")
    stack.manage("ensure_topics")
    running = Installation(stack, emulator)
    running.install()
    running.set_up()
    yield running
    stack.stop()


def test_a_package_is_installed_used_taken_away_and_installed_again(installation: Installation) -> None:
    """Away it pauses its actions and nothing else; what has gathered is delivered once it is back."""
    installation.start("dropfolder")
    action = installation.api(
        "POST", json={"kind": "dropfolder", "name": "Files", "settings": {"folder": "inbox"}, "flush_seconds": 1}
    )
    assert installation.api("POST", f"/{action['id']}/test")["works"]
    installation.submit(5)
    wait_until(lambda: sorted(installation.dropped()) == sorted(installation.sent), PATIENCE, "files hold all")
    wait_until(lambda: installation.in_sheet(5), PATIENCE, "the Sheet too")

    installation.stack.stop()
    installation.uninstall()
    installation.stack.manage("check")
    installation.start()
    installation.submit(5)
    wait_until(lambda: installation.in_sheet(10), PATIENCE, "the other action goes on")
    wait_until(lambda: installation.api("GET", f"/{action['id']}")["state"] == "paused", PATIENCE, "it pauses")
    _says_what_to_do(installation, action["id"])
    _every_page_opens(installation, action["id"])
    assert len(installation.dropped()) == 5

    installation.stack.stop()
    installation.install()
    installation.start("dropfolder")
    wait_until(lambda: len(installation.dropped()) == 10, PATIENCE, "what has gathered is delivered")
    assert sorted(installation.dropped()) == sorted(installation.sent)
    again = installation.api("GET", f"/{action['id']}")
    assert (again["state"], again["reason"]) == ("on", "")
    installation.submit(1)
    wait_until(lambda: len(installation.dropped()) == 11, PATIENCE, "and what comes")


def _says_what_to_do(installation: Installation, action: int) -> None:
    told = installation.api("GET", f"/{action}")

    assert told["reason"] == "The kind of action 'dropfolder' is not installed."
    assert "Install the package" in told["remedy"]
    assert "formhub-dropfolder 0.1.0" in told["remedy"]
    assert "not installed" in installation.api("POST", f"/{action}/test")["message"]


def _every_page_opens(installation: Installation, action: int) -> None:
    assert "formhub-dropfolder 0.1.0" in installation.page(f"/admin/sinks/binding/{action}/change/")
    assert "formhub-dropfolder" in installation.page("/admin/sinks/binding/kinds/")
    for path in (
        "/admin/", "/admin/sinks/binding/", "/admin/sinks/binding/add/", "/admin/sinks/batch/",
        "/admin/sinks/parked/", "/status/", f"/submissions/{installation.target['form']}/{installation.sent[0]}/",
        "/api/v1/sinks", "/api/v1/deliveries", "/readyz",
    ):  # fmt: skip
        installation.page(path)
    # What an action has beside its settings can be changed all the same.
    installation.api("PATCH", f"/{action}", json={"name": "Files for the registrar"})
    assert installation.api("GET", f"/{action}/backlog")["waiting"] >= 5
