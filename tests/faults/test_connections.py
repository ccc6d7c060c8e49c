"""Twenty thousand connections to one web server: most of them idle, while others submit. With --faults all."""

import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from deploy.local.process import allow_many_files, die_with_parent
from tests.outages import Load, Site, burst
from tests.stack import ROOT
from tests.test_submit_outages import all_taken, held_once

pytestmark = pytest.mark.services
CONNECTIONS = 20_000
WEB_WORKERS = 2
CLIENT_PROCESSES = 2
SUBMITTING = 300
# Of each process beside these connections: to services, of callers who submit, logs, modules.
OTHER_FILES = 1_000
BYTES_PER_CONNECTION = 60_000


@pytest.fixture
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("connections"), web_workers=WEB_WORKERS)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def wanted() -> int:
    """As many as the client processes may open files for; the server's have as many processes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    each = CONNECTIONS if hard == resource.RLIM_INFINITY else hard - OTHER_FILES
    return min(CONNECTIONS, CLIENT_PROCESSES * each)


def memory(crowded: Site) -> int:
    children = psutil.Process(crowded.stack.processes["web"].pid).children(recursive=True)
    return sum(child.memory_info().rss for child in children)


@contextmanager
def idle(site: Site, number: int, count: int) -> Iterator["subprocess.Popen[str]"]:
    # From an address of its own: one has fewer ports than all of them need.
    command = [sys.executable, "-m", "tests.idle_clients", f"127.0.1.{number + 1}", str(site.stack.port), str(count)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def open_now(crowded: Site) -> int:
    """As the server's processes see it: those that were idle for long may have been closed."""
    children = psutil.Process(crowded.stack.processes["web"].pid).children(recursive=True)
    found = [link for child in children for link in child.net_connections("tcp")]
    return sum(link.status == psutil.CONN_ESTABLISHED and link.laddr.port == crowded.stack.port for link in found)


def told(processes: Sequence["subprocess.Popen[str]"]) -> int:
    """The sum of what each says next."""
    return sum(int(process.stdout.readline()) for process in processes if process.stdout)


def test_twenty_thousand_connections_keep_nobody_from_submitting(crowded: Site) -> None:
    allow_many_files()
    connections = wanted()
    url = crowded.url()
    all_taken(burst(url, SUBMITTING))
    before = memory(crowded)
    with ExitStack() as clients:
        share = connections // CLIENT_PROCESSES
        processes = [clients.enter_context(idle(crowded, number, share)) for number in range(CLIENT_PROCESSES)]
        made = told(processes)
        held = open_now(crowded)
        each = (memory(crowded) - before) / held
        print(f"{made} connections, {held} of them open, {each / 1000:.1f} kB each")
        answers = burst(url, SUBMITTING)
        with Load(url) as load:
            load.more(500)
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        astray = told(processes)

    assert made == connections
    assert astray == 0, f"on {astray} of {made} connections there was neither an answer nor an end"
    all_taken(answers)
    all_taken(load.answers)
    held_once(crowded, [*answers, *load.answers])
    assert each < BYTES_PER_CONNECTION, f"{each:.0f} bytes for each of {held} open connections"
