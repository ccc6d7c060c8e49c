"""What stands above a form's fields: its state, what keeps it from being published, where answers go, versions."""

import json
import re
import shlex
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from apps.forms import definition, schema
from apps.forms.document import Problem
from apps.forms.models import Field, Form

VERSIONS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Shown:
    """A problem and where on the page it is: `anchor` is the id of an input, empty if it belongs to no row."""

    place: str
    message: str
    anchor: str


def context(form: Form, request: HttpRequest) -> dict[str, Any]:
    draft = definition.draft(form)
    rows = list(form.fields.select_related("form").order_by("position", "id"))
    return {
        "form_problems": [_shown(problem, draft, rows) for problem in draft.problems(form.keys)],
        "form_changed": form.live is None or form.live.definition != draft.document,
        "form_versions": form.versions.select_related("published_by")[:VERSIONS_SHOWN],
        "form_address": address(form, request),
        "form_curl": curl(form, request),
        "form_hosted": "" if form.key_required else f"{_base(request)}/f/{form.public_id}/",
        "form_page": address(form, request).replace("/submissions", "/schema"),
    }


def address(form: Form, request: HttpRequest) -> str:
    return f"{_base(request)}/api/v1/forms/{form.public_id}/submissions"


def curl(form: Form, request: HttpRequest) -> str:
    """A command that sends one submission to the published form, empty if there is none."""
    if form.live is None:
        return ""
    asked = form.live.schema["properties"]
    elements = [element for element in schema.walk(form.live.definition) if element.key in asked]
    answers = json.dumps(schema.sample(elements, form.region), ensure_ascii=False)
    lines = [f"curl {shlex.quote(address(form, request))}"]
    if form.key_required:
        lines.append("-H 'Authorization: Bearer YOUR_API_KEY'")
    lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(answers)}"]
    return " \\\n  ".join(lines)


def _base(request: HttpRequest) -> str:
    base: str = getattr(settings, "PUBLIC_URL", "") or request.build_absolute_uri("/").rstrip("/")
    return base


def _shown(problem: Problem, draft: definition.Draft, rows: list[Field]) -> Shown:
    path, member = problem.path, ""
    row = draft.rows.get(path)
    while row is None and path:
        path, dot, last = path.rpartition(".")
        member = f"{last}{dot and member and '.'}{member}"
        row = draft.rows.get(path)
    if row is None:
        return Shown("", problem.message, "")
    number = next(number for number, other in enumerate(rows) if other.pk == row)
    name = re.split(r"[.\[]", member)[0]
    inputs = {"title": "label", "type": "type", "key": "key", "help": "help", "required": "required"}
    inputs |= {"label": "label", "settings": "settings", "elements": "parent"}
    setting = member.partition(".")[2]
    place = f"{rows[number]}{': ' if setting else ''}{setting}"
    return Shown(place, problem.message, f"id_fields-{number}-{inputs.get(name, 'label')}")
