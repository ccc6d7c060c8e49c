"""Have failed submissions tried again, or delivered ones delivered once more."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from apps.sinks import replay
from apps.sinks.backlog import backlog
from apps.sinks.models import Binding, Parked
from apps.sinks.replay import OnceOnlyError, Wanted


class Command(BaseCommand):
    help = (
        "Have failed submissions tried again. It may be stopped and repeated: what waits already is not asked for "
        "twice, and what is in a delivery under way does not move. Deliveries are made by the workers."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        scope = parser.add_mutually_exclusive_group(required=True)
        scope.add_argument("--action", type=int, help="the id of an action")
        scope.add_argument("--form", type=str, help="the public id or the id of a form")
        scope.add_argument("--organization", type=str, help="the slug of an organization")
        scope.add_argument("--all", action="store_true", help="every organization's")
        parser.add_argument("--code", default="", help="only those with this code of trouble")
        parser.add_argument("--since", type=_moment, help="failed or delivered at this time or later (ISO 8601)")
        parser.add_argument("--until", type=_moment, help="failed or delivered before this time")
        parser.add_argument("--submission", type=UUID, action="append", default=[], help="only this one; repeatable")
        parser.add_argument("--delivered", action="store_true", help="what was delivered, of one --action")
        parser.add_argument("--dry-run", action="store_true", help="say how many there are, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = Wanted(options["code"], options["since"], options["until"], tuple(options["submission"]))
        if options["delivered"]:
            self._delivered(options, wanted)
            return
        rows = Parked.objects.filter(binding__in=_bindings(options).values("pk"))
        if options["dry_run"]:
            self.stdout.write(f"{replay.failed(rows, wanted).count()} failed submissions would be tried again.")
            return
        done = replay.ask_failed(rows, wanted, limit=None, told=self._progress)
        self.stdout.write(f"{done.count} failed submissions will be tried again.")

    def _delivered(self, options: dict[str, Any], wanted: Wanted) -> None:
        if options["action"] is None or wanted.code:
            raise CommandError("--delivered needs --action, and takes no --code.")
        binding = _bindings(options).get()
        try:
            if options["dry_run"]:
                count = replay.delivered(binding, wanted).count()
                self.stdout.write(f"{count} delivered submissions would be delivered again.")
                return
            done = replay.ask_delivered(binding, wanted, limit=None, told=self._progress)
        except OnceOnlyError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{done.count} delivered submissions will be delivered again.")
        self.stdout.write(f"{backlog(binding).count} wait at the action now.")

    def _progress(self, count: int) -> None:
        self.stderr.write(f"{count} so far")


def _bindings(options: dict[str, Any]) -> Any:
    """The actions meant. Raises CommandError where there are none."""
    rows = Binding.objects.all()
    if options["action"] is not None:
        rows = rows.filter(pk=options["action"])
    elif options["form"]:
        rows = rows.filter(**_form(options["form"]))
    elif options["organization"]:
        rows = rows.filter(organization__slug=options["organization"])
    if not options["all"] and not rows.exists():
        raise CommandError("There is no such action, or it has none: look at the id.")
    return rows


def _form(name: str) -> dict[str, Any]:
    try:
        return {"form_id": UUID(name)}
    except ValueError:
        return {"form__public_id": name}


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
