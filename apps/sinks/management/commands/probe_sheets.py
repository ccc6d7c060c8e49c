"""Ask Google what its documents leave open: `manage.py probe_sheets SPREADSHEET > switches.toml`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from apps.sinks.builtin.google_sheets.client import RejectedError, SheetsClient
from apps.sinks.builtin.google_sheets.config import (
    KeyUnusableError,
    ServiceAccount,
    SpreadsheetField,
    own_accounts,
    parse_key,
)
from apps.sinks.builtin.google_sheets.probing import Probe
from apps.sinks.contract import ConfigurationError, DeliveryError


class Command(BaseCommand):
    help = (
        "Ask Google (or the emulator that SHEETS_BASE_URL names) what its documents leave open, on tabs that are "
        "removed again. Prints the findings as switches for the emulator: python -m sheets_emulator --switches FILE"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("spreadsheet", help="its address or id; shared with the accounts as an editor")
        parser.add_argument(
            "--key", type=Path, action="append", default=[], metavar="FILE",
            help="a service account's key; else the installation's. A second one answers one question more",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            spreadsheet = SpreadsheetField().clean(options["spreadsheet"])
        except ValidationError as error:
            raise CommandError(error.messages[0]) from error
        accounts = [_read(path) for path in options["key"]] or list(own_accounts())
        if not accounts:
            raise CommandError("Name a service account's key with --key, or set SHEETS_SERVICE_ACCOUNT_FILE.")
        clients = [SheetsClient(account, spreadsheet) for account in accounts[:2]]
        try:
            for finding in Probe(*clients).run():
                self.stdout.write(str(finding))
        except ConfigurationError as error:
            raise CommandError(f"{error} {error.remedy}") from error
        except (DeliveryError, RejectedError) as error:
            raise CommandError(f"{error} Look for a tab named FormHub probe and remove it, then try again.") from error


def _read(path: Path) -> ServiceAccount:
    try:
        return parse_key(path.read_text())
    except (OSError, KeyUnusableError) as error:
        raise CommandError(f"{path}: {error}") from error
