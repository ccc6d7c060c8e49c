"""A chat action made and tested as people and programs do it: in the admin and over the API."""

import ipaddress
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.forms.models import Form
from apps.orgs import keys
from apps.orgs.models import Membership, Organization, Role, User
from apps.sinks.builtin.chat.tests.services import ChatService, SlackService
from apps.sinks.http_conformance import Fault
from apps.sinks.models import Binding
from formhub.core import secrets

pytestmark = [pytest.mark.services, pytest.mark.django_db]
TEXT = "New: {{ answers }}"


@pytest.fixture
def slack(settings: Settings) -> Iterator[ChatService]:
    settings.EGRESS_HTTP, settings.EGRESS_PORTS = True, []
    settings.EGRESS_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    settings.CHAT_HOSTS_CHECKED = False
    with SlackService() as running:
        yield running


@pytest.fixture
def form() -> Form:
    organization = Organization.objects.create(name="Acme", slug="acme")
    return Form.objects.create(organization=organization, title="Guests", slug="guests")


def test_a_person_makes_one_in_the_admin_and_its_address_is_not_shown_again(form: Form, slack: ChatService) -> None:
    user = User.objects.create_user(f"{uuid4().hex}@example.org")
    Membership.objects.create(organization=form.organization, user=user, role=Role.EDITOR)
    client = Client()
    client.force_login(user)
    common = {"form": form.pk, "name": "To us", "condition": "null", "flush_seconds": ""}

    made = client.post(
        f"{reverse('admin:sinks_binding_add')}?kind=slack",
        {**common, "settings-url": slack.url, "settings-text": TEXT},
    )
    action = Binding.objects.get()
    page = client.get(reverse("admin:sinks_binding_change", args=[action.pk])).content.decode()

    assert made.status_code == 302
    assert secrets.decrypt(action.secrets) == {"url": slack.url}
    assert TEXT in page
    assert "/take" not in page + str(action.config) + action.destination.key


def test_a_program_makes_one_and_tests_it(form: Form, slack: ChatService) -> None:
    _, token = keys.create(organization=form.organization, name="test", scopes=("manage",))
    client = Client(headers={"Authorization": f"Bearer {token}"})

    def send(path: str, body: Any = None) -> Any:
        return client.post(path, json.dumps(body) if body else "", "application/json")

    wanted = {"kind": "slack", "name": "To us", "settings": {"url": slack.url, "text": TEXT}}
    made = send(f"/api/v1/forms/{form.public_id}/actions", wanted)
    works = send(f"{made.headers['Location']}/test").json()
    slack.always(Fault(404))
    fails = send(f"{made.headers['Location']}/test").json()

    assert made.json()["settings"] == {"text": TEXT}
    assert works == {"works": True, "message": "The chat took a test message."}
    assert ["A test by FormHub" in text for text in slack.texts] == [True]
    assert not fails["works"]
    assert "Correct the address" in fails["message"]
