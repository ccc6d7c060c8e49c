"""The entry point of containers and units: a role's name becomes the command of that role."""

import subprocess
import sys
from pathlib import Path

import pytest

from formhub.__main__ import LOOPS, ROLES, UnknownRoleError, command, probe
from workers import tasks
from workers.loops import PROCESSORS, known

ROOT = Path(__file__).resolve().parent.parent


PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "formhub.settings.production",
    "SECRET_KEY": "".join(chr(33 + number) for number in range(60)),
    "ENCRYPTION_KEYS": "dGVzdC1vbmx5LXRlc3Qtb25seS10ZXN0LW9ubHktdGU=",
    "DATABASE_URL": "postgres://nobody@127.0.0.1:9/nothing",
    "REDIS_URL": "redis://127.0.0.1:9/0",
    "ALLOWED_HOSTS": "forms.example.org",
}


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def test_a_consumer_runs_all_loops_or_those_that_it_is_given() -> None:
    assert option(command("consumer"), "--consume") == LOOPS
    assert option(command("consumer", ["archive"]), "--consume") == "archive"
    assert option(command("consumer", ["--loglevel", "INFO"]), "--consume") == LOOPS
    assert set(LOOPS.split(",")) <= {*known(), PROCESSORS}


def test_egress_alone_takes_what_leaves_the_house() -> None:
    assert option(command("egress"), "-Q").split(",") == tasks.queues()
    assert option(command("worker"), "-Q") == tasks.ANY


@pytest.mark.parametrize("role", ["consumer", "egress", "worker", "beat"])
def test_a_probe_asks_for_the_parts_that_give_signs_of_life(role: str) -> None:
    words = command(role)
    parts = (
        option(words, "--consume").split(",") if role == "consumer"
        else [option(words, "-n").partition("@")[0]] if "-n" in words
        else ["beat"]
    )  # fmt: skip

    assert probe(role) == ["manage.py", "probe", *parts]
    assert probe("consumer", ["archive"]) == ["manage.py", "probe", "archive"]


def test_what_follows_the_role_goes_to_its_command() -> None:
    assert command("web", ["--workers", "2"])[-2:] == ["--workers", "2"]


@pytest.mark.parametrize("words", [["cook"], [], ["probe"], ["probe", "migrate"]])
def test_what_is_no_role_is_told_with_the_roles(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "formhub", *words], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 1
    assert "worker, beat" in done.stderr


def test_the_roles_are_all_there_are() -> None:
    with pytest.raises(UnknownRoleError, match=", ".join(ROLES)):
        command("cook")


def test_django_has_nothing_to_say_against_the_settings_of_production() -> None:
    check = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(check, cwd=ROOT, env=PRODUCTION, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
