"""What a process exports to Prometheus: its own roles' metrics and what libraries measure in it.

A web server may run several worker processes, of which any one is scraped: then PROMETHEUS_MULTIPROC_DIR names a folder
in which each leaves its values, and whoever is asked answers for all. Every other role is one process.
"""

import fcntl
import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import chain
from pathlib import Path
from socket import AF_INET6
from socketserver import TCPServer
from typing import Any

from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest, values
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from formhub.core.metrics import DEFINED, PROCESSES, Definition

OURS = "formhub_"
CONTENT_TYPE = CONTENT_TYPE_LATEST
RETRY_SECONDS = 5.0
ENDED = "ended"
# prometheus_client leaves these without types.
_dict: Any = MmapedDict
_together: Any = MultiProcessCollector
_forget_live: Any = mark_process_dead
_ROLES = {name.removesuffix("_total"): frozenset(defined.roles) for name, defined in DEFINED.items()}


class PortTakenError(Exception):
    """Somebody else listens on the port that this process was told to serve its metrics on."""


class Exposition:
    """The process's roles, and what is worked out when it is asked."""

    def __init__(self) -> None:
        self.roles: set[str] = set()
        self._asked: list[Collector] = []

    def be(self, role: str) -> None:
        self.roles.add(role)
        PROCESSES.labels(role, settings.VERSION).set(1)

    def ask(self, collector: Collector) -> None:
        """Collect from it too, each time that somebody scrapes."""
        self._asked.append(collector)

    def collect(self) -> Iterator[Metric]:
        for family in chain(_collected(), self._answers()):
            if not family.name.startswith(OURS) or self.roles & _ROLES.get(family.name, frozenset()):
                yield family

    def text(self) -> bytes:
        return generate_latest(self)

    def _answers(self) -> Iterable[Metric]:
        """What the collectors say; two may say something of one metric, which is told once."""
        families: dict[str, Metric] = {}
        for collector in self._asked:
            for family in collector.collect():
                if family.name in families:
                    families[family.name].samples += family.samples
                else:
                    families[family.name] = family
        return families.values()


process = Exposition()


def gauge(defined: Definition, values: Mapping[Any, float]) -> GaugeMetricFamily:
    """A gauge as of now; `values` by the labels of its definition, a tuple."""
    family = GaugeMetricFamily(defined.name, defined.says, labels=defined.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


# Several processes


def shared() -> bool:
    """Whether the values lie in PROMETHEUS_MULTIPROC_DIR. prometheus_client decided it when it was imported."""
    return bool(getattr(values.ValueClass, "_multiprocess", False))


def _collected() -> Iterable[Metric]:
    if not shared():
        return REGISTRY.collect()
    folder = Path(settings.PROMETHEUS_MULTIPROC_DIR)
    with _alone(folder):
        bury(folder)
        return list(_together(None, str(folder)).collect())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One at a time, over all processes: files go while they are put together."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def bury(folder: Path) -> None:
    """Take what processes that ended have counted into one file, so that there are never more than those that run."""
    dead: dict[str, list[Path]] = defaultdict(list)
    for path in folder.glob("*.db"):
        kind, _, number = path.stem.rpartition("_")
        if number.isdecimal() and not _runs(int(number)):
            dead[kind].append(path)
            _forget_live(int(number), str(folder))
    for kind, paths in dead.items():
        if kind in {"counter", "histogram"}:
            _add_up(folder / f"{kind}_{ENDED}.db", paths)


def _add_up(total: Path, paths: Iterable[Path]) -> None:
    sums = _dict(str(total))
    try:
        for path in paths:
            for key, value, _, _ in _dict.read_all_values_from_file(str(path)):
                sums.write_value(key, sums.read_value(key)[0] + value, 0.0)
            path.unlink()
    finally:
        sums.close()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


# A port of its own


class _Server(TCPServer):
    """One request at a time, each within its handler's timeout: scrapers are few, and strangers must not pile up."""

    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, address: str, port: int) -> None:
        if ":" in address:
            self.address_family = AF_INET6
        super().__init__((address, port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that went away is its own trouble."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404, explain="The metrics are at /metrics.")
            return
        body = process.text()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are not worth a line."""


def serve() -> None:
    """Answer scrapes on METRICS_PORT, if one is set, from a thread. Raises PortTakenError."""
    if settings.METRICS_PORT:
        _in_background(_listen())


def serve_in_turn() -> None:
    """For the processes of one web server, which share the port: one serves, the others stand by to take it over."""
    if settings.METRICS_PORT:
        threading.Thread(target=_listen_in_turn, name="metrics", daemon=True).start()


def _in_background(server: _Server) -> None:
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _listen_in_turn() -> None:
    pause = threading.Event()
    while True:
        try:
            server = _listen()
        except PortTakenError:
            pause.wait(RETRY_SECONDS)
        else:
            server.serve_forever()
            return


def _listen() -> _Server:
    try:
        return _Server(settings.METRICS_ADDRESS, settings.METRICS_PORT)
    except OSError as error:
        raise PortTakenError(
            f"METRICS_PORT={settings.METRICS_PORT} cannot be listened on at {settings.METRICS_ADDRESS} "
            f"({os.strerror(error.errno or 0)}): give each process on a machine a port of its own, or 0 for none."
        ) from error
