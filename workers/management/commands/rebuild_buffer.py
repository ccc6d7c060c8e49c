"""After the buffer was lost: `manage.py rebuild_buffer`. Without it deliveries wait for the next sweep."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.archive import queries as archive
from apps.sinks.registry import registry
from formhub.core.clock import SystemClock
from workers import rebuild, wiring
from workers.buffer.base import BufferUnavailableError


class Command(BaseCommand):
    help = "List in the buffer what waits at each action, from the archive."

    def handle(self, *args: Any, **options: Any) -> None:
        actions = listed = 0
        try:
            for found in rebuild.rebuild(archive, wiring.buffer(), registry.get, SystemClock()):
                actions, listed = actions + 1, listed + found.count
                if found.count:
                    rest = "; what is more comes from the archive" if found.behind else ""
                    self.stdout.write(f"action {found.action}: {found.count:,} listed{rest}")
        except BufferUnavailableError as error:
            raise CommandError(f"{error}: look at REDIS_BUFFER_URL, and try again.") from error
        self.stdout.write(f"{listed:,} submissions listed at {actions:,} actions.")
