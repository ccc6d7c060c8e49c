"""Part of every restore: what was erased after the backup was made is erased again, before consumers start."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.console.replay import replay
from formhub.core.journal import Journal


class Command(BaseCommand):
    help = "Erase once more what the journal of erasures names. Run it after a restore, before consumers and workers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "folders", nargs="*", type=Path, metavar="FOLDER", help="where journals lie (default: TOMBSTONE_JOURNAL)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for folder in options["folders"] or [settings.TOMBSTONE_JOURNAL]:
            if not folder.is_dir():
                raise CommandError(f"There is no journal at {folder}: name its folder, or set TOMBSTONE_JOURNAL.")
            try:
                done = replay(Journal(folder))
            except OSError as error:
                raise CommandError(f"The journal at {folder} cannot be read: {error.strerror}.") from error
            self.stdout.write(
                f"{folder}: {done.lines} lines, {done.rows} submissions and {done.forms} forms erased again"
            )
