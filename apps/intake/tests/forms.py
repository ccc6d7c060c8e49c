"""A small published form for tests, without a database."""

from typing import Any
from uuid import UUID

from apps.forms import schema
from apps.forms.published import PublishedForm

ORGANIZATION = UUID("0190a1b2-0000-7000-8000-000000000001")
FORM = UUID("0190a1b2-0000-7000-8000-0000000000f1")
DEFINITION: dict[str, Any] = {
    "format": "formhub/1",
    "title": "Student data",
    "languages": ["en"],
    "pages": [
        {
            "key": "p1",
            "elements": [
                {"type": "short_text", "key": "name", "label": "Name", "required": True},
                {"type": "integer", "key": "age", "label": "Age", "settings": {"min": 0, "max": 120}},
            ],
        }
    ],
}


def a_form(**changes: Any) -> PublishedForm:
    compiled = schema.compile(DEFINITION)
    values: dict[str, Any] = {
        "id": FORM,
        "organization": ORGANIZATION,
        "public_id": "k7m2qhx4w9tc",
        "slug": "student-data",
        "title": "Student data",
        "version": 3,
        "salt": b"0123456789abcdef",
        "key_required": False,
        "allowed_origins": [],
        "closed": False,
        "closed_text": "",
        "rates": {},
        "compiled": compiled,
        "layout": compiled.layout,
        "definition": DEFINITION,
        "ending_title": "Thank you",
    }
    return PublishedForm(**values | changes)
