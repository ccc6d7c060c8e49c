"""Who asks, for tests: organizations, and people by role."""

from typing import Any
from uuid import uuid4

from django.test import Client

from apps.forms.models import Form
from apps.orgs.models import Membership, Organization, Role, User


def an_organization(name: str = "Acme") -> Organization:
    return Organization.objects.create(name=name, slug=f"{name.lower()}-{uuid4().hex[:8]}")


def a_user(**changes: Any) -> User:
    return User.objects.create_user(f"{uuid4().hex}@example.org", **changes)


def a_member(organization: Organization, role: Role | str = Role.VIEWER, user: User | None = None) -> User:
    user = user or a_user()
    Membership.objects.create(organization=organization, user=user, role=role)
    return user


def a_form(organization: Organization, title: str = "Guests") -> Form:
    return Form.objects.create(organization=organization, title=title, slug=f"form-{uuid4().hex[:8]}")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
