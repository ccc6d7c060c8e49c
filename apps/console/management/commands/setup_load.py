"""Sets up many forms with a spreadsheet each, for load and end-to-end tests against the Sheets emulator."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.console import samples


class Command(BaseCommand):
    help = "Set up forms like the student form, each with its own emulated spreadsheet; repeating finds them again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--web", required=True, help="base address of the web process")
        parser.add_argument("--spreadsheets", type=Path, required=True, help="a JSON list of ids, one a form")
        parser.add_argument("--output", type=Path, required=True, help="where to write what was set up, as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SHEETS_BASE_URL:
            raise CommandError("Set SHEETS_BASE_URL to an emulator: this command does not write to Google.")
        spreadsheets: list[str] = json.loads(options["spreadsheets"].read_text())
        organization = samples.organization("Demo University", "demo-university")
        found = []
        for number, spreadsheet in enumerate(spreadsheets, start=1):
            form = samples.student_form(organization, f"student-data-{number}", f"Student data {number}")
            samples.sheet_action(form, spreadsheet)
            found.append(
                {
                    "form": form.public_id,
                    "submit_url": f"{options['web'].rstrip('/')}/api/v1/forms/{form.public_id}/submissions",
                    "spreadsheet_id": spreadsheet,
                    "worksheet": samples.WORKSHEET,
                }
            )
        options["output"].write_text(json.dumps(found, indent=2) + "\n")
        self.stdout.write(f"{len(found)} forms take submissions")
