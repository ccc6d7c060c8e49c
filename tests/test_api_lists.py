"""Lists of the API cost the same however long they are: no query for each row."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.forms import definition, published
from apps.forms.models import Field, Form
from apps.orgs import audit, invitations, keys
from apps.orgs.access import Actor
from apps.orgs.models import Membership, Role, User
from apps.sinks import actions
from apps.sinks.config import Settings
from apps.sinks.models import Batch, BatchItem, Binding, Parked
from apps.sinks.registry import registry
from formhub.core.ids import uuid7
from tests.api_world import SHEET, World, a_world
from tests.test_api_rights import TABLE

pytestmark = [pytest.mark.services, pytest.mark.django_db]
MORE = 12
LISTS = [
    route
    for route in TABLE
    if (
        route.split("/")[-1] in {"forms", "fields", "versions", "actions", "deliveries", "failed", "audit"}
        or route in {"organizations", "memberships", "memberships/invitations", "api-keys"}
    )
    and route != "forms/{form}/deliveries"  # how things stand, not a list
]


@pytest.fixture
def world() -> World:
    return a_world()


def grow(world: World) -> None:
    """MORE of everything that is listed."""
    organization, form = world.organization, world.names["form_row"]
    owner = Actor(user=User.objects.get(email__startswith="owner"))
    binding = Binding.objects.get(pk=world.names["action"])
    for number in range(MORE):
        other = Form.objects.create(organization=organization, title="More", slug=f"more-{number}")
        user = User.objects.create_user(f"more-{number}@example.org")
        Membership.objects.create(organization=organization, user=user, role=Role.VIEWER)
        invitations.invite(owner, organization, f"guest-{number}@example.org", Role.VIEWER)
        keys.create(organization=organization, name="More", scopes=["read"], form_id=other.pk, created_by=user)
        audit.record(Actor(user=user), organization.pk, "added", other)
        Field.objects.create(form=form, type="email", key=f"more_{number}", label="More", position=1000 + number)
        definition.publish(form, user)
        _deliver(binding, number)
        actions.create(
            organization_id=organization.pk,
            form_id=form.pk,
            sink=registry.get("google_sheets"),
            name="More",
            settings=Settings({"spreadsheet": SHEET, "worksheet": f"more {number}"}, {}),
            position=0,
        )


def _deliver(binding: Binding, number: int) -> None:
    owner = binding.organization_id
    batch = Batch.objects.create(
        organization_id=owner, destination=binding.destination, sequence=10 + number, turn=str(number)
    )
    BatchItem.objects.create(binding=binding, submission_id=uuid7(), batch=batch, position=number)
    Parked.objects.create(
        organization_id=owner,
        binding=binding,
        form_id=binding.form_id,
        submission_id=uuid7(),
        position=number,
        code="refused",
    )


def asked(world: World, route: str) -> tuple[int, int]:
    """How many rows a list has, and how many queries it took."""
    published.clear()
    keys.clear_cache()
    client: Any = world.callers["owner"]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = client.get(world.address(route))
    return len(answer.json()["results"]), len(queries)


@pytest.mark.parametrize("route", LISTS)
def test_a_longer_list_takes_no_more_queries(world: World, route: str) -> None:
    rows, queries = asked(world, route)
    grow(world)

    more_rows, more_queries = asked(world, route)

    if route != "organizations":
        assert more_rows >= rows + MORE
    assert more_queries == queries
