import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.clean import clean
from deploy.local.lock import NAME, Lock, TakenError
from deploy.local.tests.children import a_child


def test_a_folder_in_use_says_by_which_process(tmp_path: Path) -> None:
    held = Lock(tmp_path)

    with pytest.raises(TakenError, match=r"runs already \(process \d+\)"):
        Lock(tmp_path)

    held.release()


def test_a_lock_that_was_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    taken = f"from pathlib import Path; from deploy.local.lock import Lock; Lock(Path({str(tmp_path)!r})); import os; "
    subprocess.run([sys.executable, "-c", taken + "os._exit(9)"], check=False, timeout=30)
    assert (tmp_path / NAME).exists()

    Lock(tmp_path).release()


def test_what_a_killed_demo_left_running_is_waited_for(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    told: list[str] = []
    with a_child("import time; time.sleep(60)", inherit=[lock.fileno()]) as child:
        lock.release()
        (tmp_path / NAME).write_text("999999999\n")

        with pytest.raises(TakenError, match="earlier demo"):
            Lock(tmp_path, seconds=0.2, say=told.append)

        child.kill()
        child.wait(10)
        Lock(tmp_path, say=told.append).release()
    assert told == ["Waiting for the processes of a demo that was killed"]


def test_cleaning_removes_the_data_and_keeps_the_jars(tmp_path: Path) -> None:
    for name in ("postgres", "kafka", "kafka-jars"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    (tmp_path / "setup.json").write_text("{}")

    assert clean(tmp_path) == ["kafka", "postgres", "setup.json"]

    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, "kafka-jars"]


def test_cleaning_is_refused_while_a_demo_runs(tmp_path: Path) -> None:
    (tmp_path / "setup.json").write_text("{}")
    held = Lock(tmp_path)

    with pytest.raises(TakenError, match="runs already"):
        clean(tmp_path)

    assert (tmp_path / "setup.json").exists()
    held.release()


def test_cleaning_where_nothing_is_does_nothing(tmp_path: Path) -> None:
    assert clean(tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
