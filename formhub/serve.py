"""The web server: `python -m formhub.serve`. Granian with our defaults, and an end that no request notices. Wiring.

On SIGTERM: `/readyz` answers 503 while everything else goes on as before, for WEB_DRAIN_SECONDS, in which balancers
notice; then no new connections are taken, the requests under way are answered, within WEB_STOP_SECONDS, what is pending
reaches the log or the outbox, and the process ends with 0. SIGINT, or a second SIGTERM, leaves out the first part.
"""

import argparse
import os
import resource
import signal
import threading
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from granian.constants import Interfaces
from granian.server import MPServer

from formhub.core import stopping

APPLICATIONS = {"rsgi": "formhub.rsgi:application", "wsgi": "formhub.wsgi:application"}


# Of a process beside its callers' connections: to services, logs, modules, files that it sends.
OTHER_FILES = 500


class Server(MPServer):
    """Granian's, which takes its time to end. `drain`: the seconds between the signal and the end."""

    def __init__(self, drain: float, **options: Any) -> None:
        super().__init__(**options)
        self._drain = drain

    def signal_handler_interrupt(self, *args: Any, **options: Any) -> None:
        number = args[0] if args else None
        at_once = number != signal.SIGTERM or stopping.told()
        stopping.tell()
        end = threading.Timer(0 if at_once else self._drain, super().signal_handler_interrupt)
        end.daemon = True
        end.start()


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="formhub.serve", description="Run FormHub's web server.")
    parser.add_argument("--interface", choices=sorted(APPLICATIONS), default="rsgi")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--threads", type=int, default=32, help="requests at a time in each process, under WSGI")
    parser.add_argument("--access-log", action="store_true", help="a line for each request, without its query")
    return parser.parse_args(arguments)


def server(options: argparse.Namespace) -> Server:
    rsgi = options.interface == "rsgi"
    return Server(
        settings.WEB_DRAIN_SECONDS,
        target=APPLICATIONS[options.interface],
        interface=Interfaces(options.interface),
        address=options.host,
        port=options.port,
        workers=options.workers,
        blocking_threads=1 if rsgi else options.threads,  # under RSGI the threads are ours: WEB_THREADS
        # Granian's word for connections, idle ones included: whoever comes beyond them waits for one to end.
        backpressure=connections(),
        websockets=False,
        log_access=options.access_log,
        log_dictconfig=_logging(settings.LOG_FORMAT),
        respawn_failed_workers=True,
        workers_kill_timeout=settings.WEB_STOP_SECONDS,
    )


def connections() -> int:
    """How many each process holds at a time: WEB_CONNECTIONS_MAX, where it may open so many files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted: int = settings.WEB_CONNECTIONS_MAX + OTHER_FILES
    files = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))  # for the processes it makes, too
    return max(1, files - OTHER_FILES)


def _logging(kind: str) -> dict[str, Any]:
    """For the lines that Granian writes before the application is there."""
    formatter = {"()": "formhub.core.logs.Formatter", "kind": kind}
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
    names = ("generic", "console"), ("access", "access")
    return {
        "formatters": {name: formatter for name, _ in names},
        "handlers": {name: {**handler, "formatter": formatter_name} for formatter_name, name in names},
    }


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "formhub.settings.local")
    server(options_of()).serve()


if __name__ == "__main__":
    main()
