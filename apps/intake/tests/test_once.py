import subprocess
import sys

from django.conf import settings

from apps.intake.once import OncePerProcess


def test_a_thing_is_made_once() -> None:
    made = OncePerProcess(object)
    assert made() is made()


def test_another_can_be_put_in_its_place() -> None:
    made = OncePerProcess(object)
    first = made()
    assert made.install("other") is first
    assert made() == "other"


def test_a_child_process_makes_its_own() -> None:
    # In a process of its own: forking the test runner with its threads would be unsound.
    command = [sys.executable, "-m", "apps.intake.tests.fork_and_make"]
    assert subprocess.run(command, cwd=settings.BASE_DIR, timeout=60, check=False).returncode == 0
