"""Rows of the archive for tests, written as the consumer writes them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from apps.archive import writer
from apps.archive.writer import Row
from apps.forms import definition, published
from apps.forms.models import Form
from apps.orgs.models import Organization
from formhub.core.ids import uuid7

FORM = UUID("0190a1b2-0000-7000-8000-0000000000f1")
ORGANIZATION = UUID("0190a1b2-0000-7000-8000-000000000001")
MOMENT = datetime(2026, 11, 3, 9, 14, 7, 512345, tzinfo=UTC)


def a_row(position: int = 1, **changes: Any) -> Row:
    values: dict[str, Any] = {
        "organization": ORGANIZATION,
        "form": FORM,
        "id": uuid7(),
        "version": 1,
        "position": position,
        "accepted_at": MOMENT + timedelta(seconds=position),
        "late": False,
        "answers": {"name": "Ada Lovelace"},
        "meta": {},
        "source": 0,
    }
    return Row(**values | changes)


def rows(form: Form, positions: Sequence[int], **changes: Any) -> list[Row]:
    """Archived submissions of the form, at these positions; the name tells them apart."""
    made = [
        a_row(
            position,
            form=form.pk,
            organization=form.organization_id,
            answers={"name": f"Person {position}", "age": 40},
            **changes,
        )
        for position in positions
    ]
    writer.write(made)
    return made


def a_form(organization: str = "acme", slug: str = "guests", title: str = "Guests") -> Form:
    """Published, with a name to give and an age to tell."""
    owner, _ = Organization.objects.get_or_create(slug=organization, defaults={"name": organization.title()})
    form = Form.objects.create(organization=owner, slug=slug, title=title)
    questions = [
        {"type": "short_text", "key": "name", "label": "What is your name?"},
        {"type": "decimal", "key": "age", "label": "Age"},
    ]
    document = {
        "format": "formhub/1",
        "title": title,
        "languages": ["en"],
        "pages": [{"key": "p1", "elements": questions}],
    }
    definition.load(form, document)
    definition.publish(form)
    published.clear()
    return form
