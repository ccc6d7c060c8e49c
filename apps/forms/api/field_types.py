"""Which types of fields there are, and what each can be set to."""

import json
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from apps.forms import fields
from apps.forms.api import openapi
from apps.forms.rules import EXAMPLES
from apps.orgs.api import pages
from apps.orgs.api.base import ManageView

REGION = "DE"  # of the example phone number


class FieldTypesView(ManageView):
    for_bound_keys = True

    @openapi.list_field_types
    def get(self, request: Request) -> Response:
        return Response(pages.whole([described(name) for name in fields.TYPES]))


def described(name: str) -> dict[str, Any]:
    found = fields.get(name)
    example = EXAMPLES.get(name, {})
    complete = found.complete(example)
    return {
        "name": found.name,
        "label": str(found.label),
        "description": (type(found).__doc__ or "").strip(),
        "answerable": found.answerable,
        "container": found.container,
        "settings_schema": json.loads(json.dumps(found.settings_schema, default=str)),
        "settings_example": example,
        "answer_schema": found.schema(complete) if found.answerable else None,
        "answer_example": found.sample(complete, REGION) if found.answerable else None,
        "accessibility": found.accessibility,
    }
