"""Compare by hand what actions owe with what is written down: `manage.py reconcile`, or `--all` from the beginning."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.archive import queries as archive
from apps.sinks.contract import DeliveryError
from apps.sinks.models import Binding, Walk
from apps.sinks.registry import UnknownKindError, registry
from formhub.core.clock import SystemClock
from workers import reconcile, wiring
from workers.compare import CannotTellError, Comparison


class Command(BaseCommand):
    help = (
        "Have delivered what is owed and neither delivered, on its way nor failed. Workers do the same every minute "
        "and, from the beginning, every day."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--all", action="store_true", help="from the beginning, not only what is recent")
        parser.add_argument(
            "--action", type=int, action="append", help="only this one, from its beginning (repeatable)"
        )

        parser.add_argument(
            "--sink",
            action="store_true",
            help="hold what stands at the destination against the ledger too, where the kind can tell: write down as "
            "delivered what stands there, name what nobody knows, and what was delivered and is gone",
        )
        parser.add_argument(
            "--resend-missing", action="store_true", help="with --sink: have what is gone delivered again"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["resend_missing"] and not options["sink"]:
            raise CommandError("--resend-missing needs --sink: only the destination tells what is gone.")
        if options["sink"]:
            self._compare(options["action"], resend=options["resend_missing"])
        if not options["all"] and not options["action"]:
            found = reconcile.recent(archive)
            self.stdout.write(f"{found.examined:,} recent submissions compared, {found.missing:,} were missing.")
            return
        self._all(options["action"])

    def _compare(self, actions: list[int] | None, *, resend: bool) -> None:
        comparison = Comparison(registry.get, archive, wiring.limiter(), SystemClock())
        bindings = Binding.objects.filter(pk__in=actions) if actions else Binding.objects.all()
        for key in bindings.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=200):
            binding = Binding.objects.get(pk=key)
            try:
                found = comparison.run(binding, resend=resend, told=lambda n: self.stdout.write(f"  {n:,} ids read"))
            except (CannotTellError, UnknownKindError, DeliveryError) as error:
                self.stdout.write(f"action {key}: not compared. {error}")
                continue
            self.stdout.write(
                f"action {key}: {found.shown:,} stand there; {found.recorded:,} of them were written down as "
                f"delivered, {found.strangers:,} are in no archive, {found.gone:,} were delivered and are gone"
                + (f", {found.resent:,} of those are delivered again" if resend else "")
            )
            for what, ids in found.named.items():
                self.stdout.writelines(f"  {what}: {id}\n" for id in ids)

    def _all(self, actions: list[int] | None) -> None:
        begun = reconcile.begin(actions=actions)
        self.stdout.write(f"{begun:,} actions are compared from their beginning. Ctrl-C only puts that off.")
        examined = missing = 0
        while (walk := reconcile.step(archive)) is not None:
            if walk.state == Walk.State.DONE:
                examined, missing = examined + walk.examined, missing + walk.found
                said = f"action {walk.binding_id}: {walk.examined:,} submissions, {walk.found:,} were missing"
                self.stdout.write(said)
            else:
                self.stdout.write(f"action {walk.binding_id}: {walk.examined:,} submissions so far")
        self.stdout.write(f"{examined:,} submissions compared, {missing:,} were missing; those are delivered late.")
