"""What a kind wants its owner to know stands where the action is."""

from collections.abc import Mapping
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.forms.models import Form
from apps.orgs import keys
from apps.orgs.models import Membership, Organization, Role, User
from apps.sinks import actions, hints
from apps.sinks.config import Settings
from apps.sinks.models import Binding, Destination
from apps.sinks.registry import registry
from apps.sinks.tests.kinds import Shelf

pytestmark = [pytest.mark.services, pytest.mark.django_db]


class Creaking(Shelf):
    @classmethod
    def notices(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
        return [f"The shelf {config['shelf']} creaks."] if state.get("load", 0) > 8 else []


@pytest.fixture
def action(monkeypatch: pytest.MonkeyPatch) -> Binding:
    keys.clear_cache()
    monkeypatch.setattr(registry, "get", {"shelf": Creaking}.__getitem__)
    monkeypatch.setattr(registry, "find", lambda name: Creaking)
    organization = Organization.objects.create(name="Acme", slug="acme")
    form = Form.objects.create(organization=organization, title="Guests", slug="guests")
    settings = Settings({"shelf": "oak", "shade": ""}, {"token": "hush"})
    made = actions.create(
        organization_id=organization.pk, form_id=form.pk, sink=Creaking, name="Shelf", settings=settings, position=0
    )
    Destination.objects.filter(pk=made.destination_id).update(state={"load": 9})
    made.refresh_from_db()
    return made


def test_they_are_told_from_the_destinations_memory(action: Binding) -> None:
    assert hints.of(action) == ["The shelf oak creaks."]

    action.destination.state = {}
    assert hints.of(action) == []


def test_they_stand_on_the_actions_page(action: Binding) -> None:
    user = User.objects.create_user("editor@example.org")
    Membership.objects.create(organization=action.organization, user=user, role=Role.EDITOR)
    client = Client()
    client.force_login(user)

    page = client.get(reverse("admin:sinks_binding_change", args=[action.pk]))

    assert "The shelf oak creaks." in page.content.decode()


def test_programs_read_them_too(action: Binding) -> None:
    _, token = keys.create(organization=action.organization, name="test", scopes=("manage",))
    client = Client(headers={"Authorization": f"Bearer {token}"})

    answer = client.get(f"/api/v1/forms/{action.form.public_id}/actions/{action.pk}")

    assert answer.json()["notices"] == ["The shelf oak creaks."]


def test_a_kind_that_is_not_installed_has_none(action: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    action.kind = "nowhere"

    assert hints.of(action) == []
