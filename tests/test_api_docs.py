"""docs/api.md is true: every example of the page is sent, in its order, and answered as the page says."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from apps.archive import writer
from apps.archive.tests.rows import a_row
from apps.forms import published
from apps.forms.models import Form
from apps.intake.commit import Committer
from apps.intake.gate.memory import MemoryStore
from apps.intake.tests.conftest import committer, gate, topic
from apps.orgs import keys
from apps.orgs.models import Organization
from apps.sinks.models import Binding, Parked
from tests.api_world import SHEET
from tests.test_api_rights import an_account, an_outcome

__all__ = ["committer", "gate", "topic"]
pytestmark = [pytest.mark.services, pytest.mark.django_db]
PAGE = Path(__file__).parent.parent / "docs" / "api.md"
EXAMPLE = re.compile(r"```http\n(.*?)```\n```answer\n(.*?)```", re.DOTALL)
VARIABLE = re.compile(r"\$([A-Z]+)")
ANYTHING = "…"


@dataclass
class Example:
    method: str
    path: str
    headers: dict[str, str]
    body: str
    status: int
    answer: Any

    @classmethod
    def read(cls, request: str, answer: str) -> "Example":
        head, _, body = request.partition("\n\n")
        first, *lines = head.strip().splitlines()
        method, path = first.split(" ")
        status, _, told = answer.partition("\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return cls(method, path, headers, body.strip(), int(status), json.loads(told) if told.strip() else None)


def examples() -> list[Example]:
    return [Example.read(*found) for found in EXAMPLE.findall(PAGE.read_text())]


def filled(text: str, known: dict[str, Any]) -> str:
    return VARIABLE.sub(lambda found: str(known[found[1]]), text)


def is_archived(known: dict[str, Any]) -> None:
    form = Form.objects.get(public_id=known["FORM"])
    answers = {"name": "Ada Lovelace", "guests": 2}
    writer.write(
        [a_row(form=form.pk, organization=form.organization_id, id=UUID(known["SUBMISSION"]), answers=answers)]
    )


def fails(known: dict[str, Any]) -> None:
    action = Binding.objects.get(pk=known["ACTION"])
    Parked.objects.create(
        organization_id=action.organization_id, binding=action, form_id=action.form_id,
        submission_id=known["SUBMISSION"], position=1, code="cell_too_long",
    )  # fmt: skip


# What consumers and workers do between the requests of the page, as soon as its reader knows of that.
MEANWHILE = {"SUBMISSION": is_archived, "ACTION": fails}


def check(said: Any, told: Any, known: dict[str, Any], path: str = "") -> None:
    """What the page says is there: objects may have more members; $NAME is what it was, or is from now on."""
    if said == ANYTHING:
        return
    if isinstance(said, str) and (name := VARIABLE.fullmatch(said)):
        assert known.setdefault(name[1], told) == told, path
    elif isinstance(said, dict):
        assert isinstance(told, dict), path
        for key, value in said.items():
            assert key in told, f"{path}.{key}"
            check(value, told[key], known, f"{path}.{key}")
    elif isinstance(said, list) and said:
        found = [told] if not isinstance(told, list) else told
        for value in said:
            check_one_of(value, found, known, path)
    else:
        assert told == said, path


def check_one_of(said: Any, told: list[Any], known: dict[str, Any], path: str) -> None:
    errors = []
    for value in told:
        try:
            trial = dict(known)
            check(said, value, trial, path)
        except AssertionError as error:
            errors.append(str(error))
        else:
            known.update(trial)
            return
    pytest.fail(f"{path}: none of {told} is {said}: {errors}")


def test_every_example_of_the_page_is_answered_as_it_says(
    gate: MemoryStore, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.sinks.builtin.google_sheets.config.own_accounts", lambda: (an_account(),))
    monkeypatch.setattr("apps.sinks.trial.test", lambda binding: an_outcome())
    published.clear()
    keys.clear_cache()
    organization = Organization.objects.create(name="Demo University", slug="demo-university")
    _, token = keys.create(organization=organization, name="Guide", scopes=keys.SCOPES)
    known: dict[str, Any] = {"KEY": token, "SPREADSHEET": SHEET}
    coming = dict(MEANWHILE)

    for number, example in enumerate(examples(), start=1):
        place = f"example {number}, {example.method} {example.path}"
        headers = {name: filled(value, known) for name, value in example.headers.items()}
        body = filled(example.body, known)
        json.loads(body or "null")
        path = filled(example.path, known).removeprefix("http://testserver")
        answer = Client().generic(example.method, path, body, "application/json", headers=headers)
        assert answer.status_code == example.status, f"{place}: {answer.content.decode()}"
        if example.answer is not None:
            check(example.answer, answer.json(), known, place)
        for name in known.keys() & coming.keys():
            coming.pop(name)(known)
        published.clear()


def test_no_example_of_the_page_is_left_out() -> None:
    text = PAGE.read_text()

    assert len(examples()) == text.count("```http") == text.count("```answer") > 25


def test_a_false_example_would_be_found() -> None:
    for said, told in (
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ([{"a": 1}], [{"a": 2}]),
        ({"a": "$X", "b": "$X"}, {"a": 1, "b": 2}),
        ([], [1]),
    ):
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            check(said, told, {})
