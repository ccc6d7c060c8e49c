"""Sets up the demo's data and writes down where to find it. Run by `make demo`; repeating it changes nothing."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.console import samples

OWNER = "owner@example.org"
FLUSH_SECONDS = 2.0  # somebody sends one and looks at the sheet


class Command(BaseCommand):
    help = "Set up the demo's organization, owner, student form and Google Sheets action."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--output", type=Path, required=True, help="where to write what was set up, as JSON")
        parser.add_argument("--web", required=True, help="base address of the web process")
        parser.add_argument("--password-file", type=Path, required=True, help="holds the owner's password")
        parser.add_argument("--spreadsheet", default="", help="id or address of the spreadsheet to write to")

    def handle(self, *args: Any, **options: Any) -> None:
        output: Path = options["output"]
        former = json.loads(output.read_text()) if output.exists() else {}
        web: str = options["web"].rstrip("/")
        password = options["password_file"].read_text().strip()

        organization = samples.organization("Demo University", "demo-university")
        owner = samples.owner(organization, OWNER, "Olivia Owner", password)
        form = samples.student_form(organization, "student-data", "Student data")
        if former.get("form") != form.public_id:
            samples.analysis(form)
        spreadsheet: str = options["spreadsheet"]
        # Set up once: afterwards people may do with the action what they like. A new database has a new form, and a
        # new folder a new spreadsheet, which the action of a kept database follows.
        if spreadsheet and (former.get("form"), former.get("spreadsheet")) != (form.public_id, spreadsheet):
            samples.sheet_action(form, spreadsheet, FLUSH_SECONDS)
        found = {
            "web": web,
            "organization": str(organization.pk),
            "form": form.public_id,
            "form_url": f"{web}/admin/forms/form/{form.pk}/change/",
            "submit_url": f"{web}/api/v1/forms/{form.public_id}/submissions",
            "api_key": samples.api_key(organization, former.get("api_key", "")),
            "topic": settings.SUBMISSIONS_TOPIC,
            "spreadsheet": spreadsheet,
            "admin": {"url": f"{web}/admin/", "user": owner.email, "password": password},
        }
        _write(output, json.dumps(found, indent=2) + "\n")
        self.stdout.write(f"The form {form.title} takes submissions at {found['submit_url']}")


def _write(path: Path, text: str) -> None:
    """It holds a password and a key: for its owner's eyes only, from the first byte on, and whole at any time."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(path)
