"""The relay without Celery: `manage.py relay`. Safe to repeat, and beside workers that do the same."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.intake import outbox
from workers import wiring
from workers.relay import Relay

CLOSE_SECONDS = 10.0


class Command(BaseCommand):
    help = "Publish what was accepted while the log took nothing, oldest first per form, until nothing is left."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--refused", action="store_true", help="try those again that the log refused")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["refused"]:
            self.stdout.write(f"{outbox.try_refused()} that were refused are tried again.")
        relay = wiring.relay()
        try:
            self._drain(relay)
        finally:
            relay.publisher.close(CLOSE_SECONDS)

    def _drain(self, relay: Relay) -> None:
        """Raises CommandError where something stays."""
        relayed = 0
        while True:
            turn = relay.turn()
            relayed += turn.relayed
            if not (turn.relayed or turn.refused):
                break
            self.stdout.write(f"{relayed} relayed, {outbox.state().rows} left")
        left = outbox.state()
        if left.refused:
            self.stdout.write(f"{left.refused} were refused by the log and stay: the log of the workers names them.")
        if left.oldest is not None:
            raise CommandError(
                f"{left.rows} stay in the outbox: the log takes nothing, or another relay is at them. See whether "
                "Kafka runs, and run this again."
            )
        self.stdout.write(f"Done: {relayed} relayed.")
