import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.test import Client, override_settings

from apps.forms import definition, published
from apps.forms.models import Form
from apps.orgs.models import Organization

STUDENT = json.loads((Path(__file__).parents[1] / "samples" / "student_data.json").read_text())
pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _mounted() -> Any:
    published.clear()
    with override_settings(ROOT_URLCONF="apps.forms.api.urls"):
        yield
    published.clear()


@pytest.fixture
def form() -> Form:
    organization = Organization.objects.create(name="BCE", slug="bce")
    form = Form.objects.create(organization=organization, slug="student-data", title="Student data", region="IN")
    definition.load(form, STUDENT)
    definition.publish(form)
    return form


def test_anybody_reads_what_a_form_asks(form: Form) -> None:
    answer = Client().get("/forms/bce~student-data/schema")
    body = answer.json()

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert (body["id"], body["version"], body["definition"]) == (form.public_id, 1, STUDENT)
    jsonschema.validate(body["example"], body["schema"])


def test_an_unknown_form_is_a_problem_with_cors() -> None:
    answer = Client().get("/forms/nothing/schema")

    assert answer.status_code == 404
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_browser_may_ask_first() -> None:
    answer = Client().options("/forms/nothing/schema")

    assert answer.status_code == 204
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]
