"""Erases submissions for good, from the command line: those named, or those whose ids stand in a file."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from apps.console import erasing
from apps.console.erasing import Report
from apps.forms.models import Form
from apps.orgs.access import Actor

IDS_MAX = 1_000_000


class Command(BaseCommand):
    help = (
        "Erase submissions of a form for good. Rows in a Google Sheet, mails and other copies that were delivered are "
        "not reached; the log forgets within its retention. Without --yes it only says what it would do."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("form", help="public id, organization~slug, or the form's UUID")
        parser.add_argument("submissions", nargs="*", metavar="SUBMISSION", help="the id of a submission")
        parser.add_argument("--file", type=Path, help="a file with one id a line")
        parser.add_argument("--yes", action="store_true", help="erase; without it nothing changes")

    def handle(self, *args: Any, **options: Any) -> None:
        ids = [*_ids(options["submissions"], "the command line"), *_read(options["file"])]
        if not ids:
            raise CommandError("Name submissions by their ids, or a --file with one id a line.")
        form_id, organization = _form(options["form"])
        if options["yes"]:
            self._say("erased", erasing.erase(Actor(), organization, form_id, ids))
            self.stdout.write("The workers write it into the journal and clear what waits for delivery within seconds.")
        else:
            self._say("would be erased", erasing.look(form_id, ids))
            self.stdout.write("Nothing was changed. Add --yes to erase.")

    def _say(self, what: str, report: Report) -> None:
        self.stdout.write(f"{report.erased} {what}")
        if report.before:
            self.stdout.write(f"{report.before} erased before")
        if report.unknown:
            self.stdout.write(f"{report.unknown} not in the archive: they stay out of it, should they still come")


def _form(name: str) -> tuple[UUID, UUID | None]:
    """The form and its organization. A form that is gone is known by its UUID alone."""
    try:
        form_id = UUID(name)
    except ValueError:
        organization, joint, slug = name.rpartition("~")
        wanted = {"organization__slug": organization, "slug": slug} if joint else {"public_id": name}
        found = Form.objects.filter(**wanted).first()
        if found is None:
            raise CommandError(f"There is no form {name}: use its public id, organization~slug or UUID.") from None
        return found.pk, found.organization_id
    return form_id, Form.objects.filter(pk=form_id).values_list("organization_id", flat=True).first()


def _read(path: Path | None) -> list[UUID]:
    if path is None:
        return []
    try:
        words = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}.") from error
    return _ids(words, str(path))


def _ids(words: Sequence[str], where: str) -> list[UUID]:
    """All of them or none: a list with a slip in it is not the list that was meant."""
    if len(words) > IDS_MAX:
        raise CommandError(f"{where} names {len(words)} submissions: erase at most {IDS_MAX} at a time.")
    ids = []
    for number, word in enumerate(words, start=1):
        try:
            ids.append(UUID(word))
        except ValueError:
            raise CommandError(f"Entry {number} of {where} is no id of a submission.") from None
    return ids
