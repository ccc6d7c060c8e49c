"""Deliver what was submitted before an action was made: `manage.py backfill 12 --from 2026-10-01`, or `--all`."""

import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.sinks import actions, walks
from apps.sinks.models import Binding, Walk
from apps.sinks.positions import since

EVERY_SECONDS = 2.0


class Command(BaseCommand):
    help = (
        "Fill an action from the archive, in order, in late deliveries that take turns with live ones. The workers do "
        "it, also when this command is ended. It may be repeated: what was delivered or has failed is left out."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", type=int)
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--from", dest="moment", metavar="DATE", help="what was accepted from then on (UTC)")
        what.add_argument("--all", action="store_true", help="everything")
        what.add_argument("--pause", action="store_true", help="stop where it is")
        what.add_argument("--resume", action="store_true", help="go on from there")
        parser.add_argument("--no-wait", action="store_true", help="begin it, and do not wait for its end")

    def handle(self, *args: Any, **options: Any) -> None:
        binding = Binding.objects.filter(pk=options["action"]).first()
        if binding is None:
            raise CommandError(f"There is no action {options['action']}: the admin's list of actions shows their ids.")
        if options["pause"] or options["resume"]:
            walk = actions.pause_back_fill(binding, paused=options["pause"])
        elif options["moment"] or options["all"]:
            moment = _moment(options["moment"]) if options["moment"] else None
            walk = actions.back_fill(binding, since(binding.form_id, moment))
        else:
            walk = walks.filling(binding)
        if walk is None:
            self.stdout.write("This action has no back-fill: begin one with --from DATE or --all.")
            return
        self._follow(binding, walk, wait=not options["no_wait"])

    def _follow(self, binding: Binding, walk: Walk, *, wait: bool) -> None:
        said = ""
        while True:
            if (line := _line(walk)) != said:
                self.stdout.write(said := line)
            if not wait or walk.state != Walk.State.RUNNING:
                return
            time.sleep(EVERY_SECONDS)
            found = walks.filling(binding)
            if found is None:
                raise CommandError("The action was deleted.")
            walk = found


def _line(walk: Walk) -> str:
    return (
        f"{walk.state}: at position {walk.cursor:,} of {walk.until:,}, {walk.examined:,} submissions looked at, "
        f"{walk.found:,} given to deliveries"
    )


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is no date: write 2026-10-01 or 2026-10-01T09:30.") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
