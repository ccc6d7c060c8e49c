"""What beat's tick queues, done here and now: for a cron job in its place, or to empty the buffers by hand.

Not called flush: that is Django's word for emptying the database.
"""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from formhub.core.clock import SystemClock
from workers import due, tasks, wiring


class Command(BaseCommand):
    help = "Deliver what is due in this process, one destination after the other. Safe beside workers: leases decide."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seconds", type=float, default=50.0, help="begin nothing after so long (50)")

    def handle(self, *args: Any, **options: Any) -> None:
        until = time.monotonic() + options["seconds"]
        tasks.sweep()
        flushed = 0
        while time.monotonic() < until and (found := due.due(wiring.buffer(), SystemClock(), limit=1)):
            for destination in found:
                wiring.flusher().flush(destination)
                flushed += 1
        self.stdout.write(f"{flushed} flushes")
