"""A world for tests of the API as a whole: an organization with everything in it, and everybody who may ask.

Whatever belongs to the organization bears MARK in its name, so that an answer to a stranger can be searched for it.
"""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.test import Client
from django.utils import timezone

from apps.archive.tests.rows import rows
from apps.forms import definition, published
from apps.forms.models import Field, Form
from apps.orgs import audit, invitations, keys
from apps.orgs.access import Actor
from apps.orgs.models import ApiKey, Membership, Organization, Role, User
from apps.sinks import actions
from apps.sinks.config import Settings
from apps.sinks.models import Batch, BatchItem, BatchState, Parked
from apps.sinks.registry import registry

MARK = "Zanzibar"
SHEET = "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdef"
# What a mere look may write: when a key was used last.
LOOKING_WRITES = {"apikey": {"last_used_at"}}
ROOMS = ("orgs", "forms", "sinks")


def a_document(title: str) -> dict[str, Any]:
    return {
        "format": "formhub/1",
        "title": title,
        "languages": ["en"],
        "pages": [
            {
                "key": "p1",
                "elements": [
                    {"type": "short_text", "key": "name", "label": f"{MARK} name"},
                    {"type": "decimal", "key": "age", "label": "Age"},
                ],
            }
        ],
        "endings": [],
        "settings": {},
    }


@dataclass
class World:
    """`names`: what the placeholders in addresses and bodies stand for. `callers`: everybody who may ask."""

    organization: Organization
    names: dict[str, Any] = field(default_factory=dict)
    callers: dict[str, Client] = field(default_factory=dict)

    def address(self, route: str) -> str:
        return f"/api/v1/{route.format(**self.names)}"

    def filled(self, body: Any) -> Any:
        """The body with its placeholders filled in: texts such as "{organization}"."""
        if isinstance(body, dict):
            return {name: self.filled(value) for name, value in body.items()}
        if isinstance(body, list):
            return [self.filled(value) for value in body]
        found = self.names.get(body[1:-1]) if isinstance(body, str) and body[:1] == "{" else None
        return body if found is None else found


def a_world() -> World:
    published.clear()
    keys.clear_cache()
    organization = Organization.objects.create(name=f"{MARK} University", slug=f"zanzibar-{uuid4().hex[:8]}")
    world = World(organization, {"organization": str(organization.pk)})
    _people(world)
    _form(world)
    _action(world)
    _keys(world)
    return world


def send(client: Client, method: str, address: str, body: Any = None) -> Any:
    content = "" if body is None else json.dumps(body)
    return client.generic(method, address, content, "application/json")


def snapshot() -> dict[str, Any]:
    """All rows of the rooms that the API changes, without what a mere look may write."""
    found = {}
    for room in ROOMS:
        for model in apps.get_app_config(room).get_models():
            skipped = LOOKING_WRITES.get(model._meta.model_name or "", set())
            columns = [column.attname for column in model._meta.concrete_fields if column.attname not in skipped]
            found[model._meta.label] = sorted(map(repr, model._default_manager.values_list(*columns)))
    return found


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def program(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"})


def _people(world: World) -> None:
    for role in Role:
        user = User.objects.create_user(f"{role}-{MARK}@example.org".lower(), name=f"{MARK} {role}")
        membership = Membership.objects.create(organization=world.organization, user=user, role=role)
        world.names[f"{role}_membership"] = membership.pk
        world.callers[str(role)] = signed_in(user)
    spare = User.objects.create_user(f"spare-{MARK}@example.org".lower(), name=MARK)
    world.names["membership"] = Membership.objects.create(
        organization=world.organization, user=spare, role=Role.VIEWER
    ).pk
    owner = User.objects.get(email__startswith="owner")
    made, _token = invitations.invite(Actor(user=owner), world.organization, "new@example.org", Role.EDITOR)
    world.names["invitation"] = str(made.pk)
    elsewhere = Organization.objects.create(name="Elsewhere", slug="elsewhere")
    stranger = User.objects.create_user("stranger@example.org")
    Membership.objects.create(organization=elsewhere, user=stranger, role=Role.OWNER)
    world.callers["stranger"] = signed_in(stranger)
    removed = User.objects.create_user("removed@example.org")
    Membership.objects.create(organization=world.organization, user=removed, role=Role.OWNER).delete()
    world.callers["removed"] = signed_in(removed)
    world.callers["nobody"] = Client()


def _form(world: World) -> None:
    form = Form.objects.create(organization=world.organization, title=MARK, slug="guests", closed_text="")
    definition.load(form, a_document(MARK))
    definition.publish(form)
    [row] = rows(form, [1])
    done = Form.objects.create(organization=world.organization, title=f"{MARK} done", slug="done")
    other = Form.objects.create(organization=world.organization, title="Another form", slug="other")
    world.names |= {
        "form": form.public_id,
        "draft": done.public_id,
        "form_row": form,
        "other_row": other,
        "field": Field.objects.get(form=form, key="age").pk,
        "submission": str(row.id),
    }
    audit.record(Actor(), world.organization.pk, "added", form)


def _action(world: World) -> None:
    form = world.names["form_row"]
    binding = actions.create(
        organization_id=world.organization.pk,
        form_id=form.pk,
        sink=registry.get("google_sheets"),
        name=MARK,
        settings=Settings({"spreadsheet": SHEET, "worksheet": MARK, "apostrophe": False, "restore_columns": False}, {}),
        position=0,
    )
    batch = Batch.objects.create(
        organization_id=world.organization.pk,
        destination=binding.destination,
        sequence=1,
        turn="1",
        state=BatchState.DELIVERED,
        size=1,
        account=MARK,
        last_error=MARK,
    )
    BatchItem.objects.create(binding=binding, submission_id=world.names["submission"], batch=batch, position=1)
    failed = Parked.objects.create(
        organization_id=world.organization.pk,
        binding=binding,
        form_id=form.pk,
        submission_id=uuid4(),
        position=2,
        code="too_long",
        message=MARK,
    )
    world.names |= {"action": binding.pk, "delivery": str(batch.pk), "failed": failed.pk}


def _keys(world: World) -> None:
    later = timezone.now() + timedelta(hours=1)
    bound = world.names["other_row"].pk

    def key(*scopes: str, **changes: Any) -> tuple[ApiKey, str]:
        return keys.create(organization=world.organization, name=MARK, scopes=scopes, **changes)

    for scope in keys.SCOPES:
        world.callers[f"{scope} key"] = program(key(scope)[1])
    world.names["token"] = key(*keys.SCOPES)[1]
    world.callers["bound key"] = program(key(*keys.SCOPES, form_id=bound)[1])
    expired, token = key(*keys.SCOPES, expires_at=later)
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    world.callers["expired key"] = program(token)
    revoked, token = key(*keys.SCOPES)
    keys.revoke(revoked)
    world.callers["revoked key"] = program(token)
    world.names["api_key"] = key("read")[0].pk
