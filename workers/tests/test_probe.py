import os
import time
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from workers.heartbeat import Heartbeat


@pytest.fixture(autouse=True)
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.HEARTBEAT_DIR = tmp_path
    return tmp_path


def beat(folder: Path, name: str, age: float = 0.0) -> None:
    Heartbeat(folder, name).beat()
    os.utime(folder / name, times=(time.time() - age, time.time() - age))


def probe(*names: str, **options: float) -> str:
    out = StringIO()
    call_command("probe", *names, stdout=out, **options)
    return out.getvalue().strip()


def test_parts_that_gave_a_sign_lately_are_alive(folder: Path) -> None:
    beat(folder, "archive", age=200)
    beat(folder, "worker")

    assert probe("archive", "worker") == "alive"


def test_one_that_fell_silent_is_named_with_its_age_and_limit(folder: Path) -> None:
    beat(folder, "archive")
    beat(folder, "worker", age=90)

    with pytest.raises(CommandError, match=r"^worker was silent for 90 s, 60 s are allowed: restart it\.$"):
        probe("archive", "worker")
    assert probe("worker", seconds=120) == "alive"


def test_one_that_never_gave_a_sign_points_to_its_folder(folder: Path) -> None:
    with pytest.raises(CommandError, match=f"beat never gave a sign: .*HEARTBEAT_DIR={folder}"):
        probe("beat")


def test_processors_are_alive_if_each_of_their_loops_is(folder: Path) -> None:
    beat(folder, "archive", age=900)
    beat(folder, "process.length", age=200)
    beat(folder, "archive.length")

    assert probe("processors") == "alive"

    beat(folder, "process.length", age=301)
    with pytest.raises(CommandError, match=r"process\.length was silent"):
        probe("processors")
