"""Who asks, for tests: members by role, keys by scope."""

from typing import Any
from uuid import uuid4

from django.test import Client

from apps.forms.models import Form
from apps.orgs import keys
from apps.orgs.models import Membership, Role, User


def a_member(form: Form | None, role: Role | str = Role.VIEWER, **changes: Any) -> Client:
    """Signed in; a member of the form's organization if one is given."""
    user = User.objects.create_user(f"{uuid4().hex}@example.org", **changes)
    if form is not None:
        Membership.objects.create(organization=form.organization, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


def a_key(form: Form, *scopes: str, bound_to: Form | None = None) -> Client:
    """A program that sends a key of the form's organization."""
    _, token = keys.create(
        organization=form.organization, name="test", scopes=scopes, form_id=bound_to.pk if bound_to else None
    )
    return Client(headers={"Authorization": f"Bearer {token}"})
