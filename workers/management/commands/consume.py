"""The same loops without Celery, for debugging and for those who prefer it: `manage.py consume archive deliver`."""

import signal
import sys
import threading
from argparse import ArgumentParser
from typing import Any

from celery.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from formhub.core.exposition import PortTakenError
from formhub.core.metrics import CONSUMER
from workers import observe
from workers.loops import PROCESSORS, Loops, UnknownLoopError, known, named
from workers.step import FAILED


class Command(BaseCommand):
    help = "Read the log in the named groups until told to stop (Ctrl-C or SIGTERM)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("groups", nargs="+", help=f"one or more of: {', '.join([*known(), PROCESSORS])}")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        broken = threading.Event()

        def fail() -> None:
            broken.set()
            stop.set()

        try:
            names = named(options["groups"])
            loops = Loops(names, failed=fail)
        except UnknownLoopError as error:
            raise CommandError(str(error)) from error
        role = observe.Role([CONSUMER], observe.loops(names))
        try:
            role.start()
        except (PortTakenError, ImproperlyConfigured) as error:
            raise CommandError(str(error)) from error
        for wanted in (signal.SIGINT, signal.SIGTERM):
            signal.signal(wanted, lambda *_: stop.set())
        loops.start()
        self.stdout.write(f"Reading as {', '.join(names)}")
        stop.wait()
        loops.stop()
        role.stop()
        if broken.is_set():
            sys.exit(FAILED)
