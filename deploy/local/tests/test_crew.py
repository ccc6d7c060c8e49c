"""Real processes under the crew: how they start, end and are ended."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.crew import Crew, EndedError
from deploy.local.process import Process, ServiceError, running, with_children
from deploy.local.tests.children import a_child, wait_until
from deploy.local.wish import SIGNALS, StopAsked, Wish

pytestmark = pytest.mark.services

STAYS = "import signal, time; print('here', flush=True); signal.pause()"
# Writes its name down when it is asked to end.
TELLS = """
import signal, sys
def end(*_):
    with open({ended!r}, "a") as file:
        file.write({name!r} + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("here", flush=True)
while True:
    signal.pause()
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(60)"
)
LEAVES_A_CHILD = (
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    "print('child', child.pid, flush=True); time.sleep(60)"
)


@pytest.fixture
def wish() -> Iterator[Wish]:
    former = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup make test` has it ignored
    yield Wish()
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.fixture
def crew(wish: Wish, tmp_path: Path) -> Iterator[Crew]:
    made = Crew(tmp_path / "logs", wish)
    yield made
    made.stop(list(made.pids()), seconds=0)


def start(crew: Crew, name: str, code: str) -> None:
    crew.start(name, [sys.executable, "-c", code], os.environ, Path.cwd())


def said(tmp_path: Path, name: str) -> str:
    path = tmp_path / "logs" / f"{name}.log"
    return path.read_text() if path.exists() else ""


def wait_for(crew: Crew, tmp_path: Path, *names: str, text: str = "here") -> None:
    crew.until(lambda: all(text in said(tmp_path, name) for name in names), 20, "they speak")


def test_what_a_process_says_is_shown_with_its_name_and_kept(
    wish: Wish, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crew = Crew(tmp_path / "logs", wish)
    start(crew, "web", STAYS)
    start(crew, "beat", "import sys; print('tick', file=sys.stderr, flush=True); import time; time.sleep(60)")

    wait_for(crew, tmp_path, "web")
    wait_for(crew, tmp_path, "beat", text="tick")

    crew.stop(("web", "beat"))
    shown = capsys.readouterr().out
    assert "web      | here" in shown
    assert "beat     | tick" in shown
    assert "here" not in said(tmp_path, "beat")


def test_one_that_ends_by_itself_is_named_with_its_code_and_its_log(crew: Crew, tmp_path: Path) -> None:
    start(crew, "web", STAYS)
    start(crew, "consumer", "raise SystemExit(70)")

    with pytest.raises(EndedError, match=rf"consumer ended with exit code 70\. Its log: {tmp_path}/logs/consumer\.log"):
        crew.run()


def test_one_that_cannot_be_started_is_named_too(crew: Crew) -> None:
    crew.start("web", ["/nowhere/granian"], os.environ, Path.cwd())

    with pytest.raises(EndedError, match="web ended"):
        crew.run()


def test_a_service_that_ends_is_named(wish: Wish, tmp_path: Path) -> None:
    log = tmp_path / "valkey.log"
    service = Process("valkey-cache", [sys.executable, "-c", ""], log, ready=lambda: True)
    service.start()
    crew = Crew(tmp_path / "logs", wish, others=lambda: None if service.alive() else service)

    with pytest.raises(EndedError, match=rf"valkey-cache ended\. Its log: {log}"):
        crew.run()


def test_they_end_in_the_order_in_which_they_are_asked(crew: Crew, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    for name in ("sheets", "web", "worker"):
        start(crew, name, TELLS.format(ended=str(ended), name=name))
    wait_for(crew, tmp_path, "sheets", "web", "worker")

    crew.stop(("web", "worker"))
    crew.stop(("sheets",))

    *first, last = ended.read_text().split()
    assert (sorted(first), last) == (["web", "worker"], "sheets")
    assert crew.pids() == {}


def test_one_that_does_not_end_is_ended(crew: Crew, tmp_path: Path) -> None:
    start(crew, "web", STUBBORN)
    wait_for(crew, tmp_path, "web")
    pids = crew.pids()["web"]

    crew.stop(("web",), seconds=0.2)

    assert [pid for pid in pids if running(pid)] == []


def test_a_parent_that_dies_is_noticed_and_its_children_end_with_the_rest(crew: Crew, tmp_path: Path) -> None:
    start(crew, "web", LEAVES_A_CHILD)
    wait_for(crew, tmp_path, "web", text="child")
    own, _ = crew.pids()["web"]
    family = with_children([own])
    os.kill(own, signal.SIGKILL)

    with pytest.raises(EndedError, match="web ended"):
        crew.run()
    crew.stop(("web",))

    assert len(family) == 2
    assert [pid for pid in family if running(pid)] == []


def test_work_that_is_done_well_is_no_accident(crew: Crew, tmp_path: Path) -> None:
    start(crew, "setup", "print('done')")

    crew.finish("setup", 20)

    assert "done" in said(tmp_path, "setup")


def test_work_that_fails_is(crew: Crew) -> None:
    start(crew, "setup", "raise SystemExit(1)")

    with pytest.raises(EndedError, match="setup ended with exit code 1"):
        crew.finish("setup", 20)


def test_what_takes_too_long_is_told_in_words(crew: Crew) -> None:
    start(crew, "web", STAYS)

    with pytest.raises(ServiceError, match=r"web answers\. The logs lie in "):
        crew.until(lambda: False, 0.1, "web answers")


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_is_a_wish_to_end(crew: Crew, number: signal.Signals) -> None:
    start(crew, "web", STAYS)
    os.kill(os.getpid(), number)

    with pytest.raises(StopAsked):
        crew.until(lambda: False, 20, "")


def test_the_wish_breaks_into_what_takes_its_time(wish: Wish) -> None:
    def wait_long() -> None:
        with wish.interrupting():
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("went on")

    with pytest.raises(StopAsked):
        wait_long()


def test_nobody_outlives_a_runner_that_is_killed(tmp_path: Path) -> None:
    runner = f"""
import os, sys
from pathlib import Path
from deploy.local.crew import Crew
from deploy.local.wish import Wish
crew = Crew(Path({str(tmp_path)!r}) / "logs", Wish())
crew.start("web", [sys.executable, "-c", {STAYS!r}], os.environ, Path.cwd())
crew.until(lambda: "web" in crew.pids(), 20, "it runs")
Path({str(tmp_path)!r}, "pids").write_text(" ".join(map(str, crew.pids()["web"])))
crew.run()
"""
    with a_child(runner) as child:
        wait_until(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2)
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        child.kill()
        child.wait(10)

    wait_until(lambda: not any(running(pid) for pid in pids))
