"""The only door to a tenant's rows: every query for a person or a key starts here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from apps.orgs.keys import KeyGrant
from apps.orgs.models import Membership, Organization, Role, User


class Right(StrEnum):
    """What may be done in an organization; each includes the ones before it."""

    VIEW = "view"
    EDIT = "edit"
    ADMIN = "admin"
    OWN = "own"


ROLES: Mapping[Right, tuple[Role, ...]] = {
    Right.VIEW: (Role.OWNER, Role.ADMIN, Role.EDITOR, Role.VIEWER),
    Right.EDIT: (Role.OWNER, Role.ADMIN, Role.EDITOR),
    Right.ADMIN: (Role.OWNER, Role.ADMIN),
    Right.OWN: (Role.OWNER,),
}
# What a key may do by its scopes. Submitting is no right on stored rows.
SCOPES: Mapping[Right, frozenset[str]] = {
    Right.VIEW: frozenset({"read", "manage"}),
    Right.EDIT: frozenset({"manage"}),
    Right.ADMIN: frozenset({"manage"}),
    Right.OWN: frozenset(),
}
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a person, a key, or nobody."""

    user: User | None = None
    key: KeyGrant | None = None

    @property
    def only_form(self) -> UUID | None:
        """The one form that the caller's key is bound to."""
        return self.key.form if self.key is not None else None


def is_operator(user: User | AnonymousUser) -> bool:
    """Whether somebody may look at the whole installation."""
    return user.is_active and isinstance(user, User) and user.is_staff


def actor(request: HttpRequest) -> Actor:
    """Whoever made the request; a key decides alone, whatever session came with it."""
    grant = getattr(request, "auth", None)
    if isinstance(grant, KeyGrant):
        return Actor(key=grant)
    user = getattr(request, "user", None)
    if user is None or isinstance(user, AnonymousUser) or not user.is_active:
        return Actor()
    return Actor(user=user)


def organizations(who: Actor, right: Right = Right.VIEW) -> QuerySet[Organization]:
    if who.key is not None:
        if not who.key.scopes & SCOPES[right]:
            return Organization.objects.none()
        return Organization.objects.filter(pk=who.key.organization)
    if who.user is None:
        return Organization.objects.none()
    if who.user.is_superuser:
        return Organization.objects.all()
    # A subquery, not a join: the result can be filtered, counted and joined on without doubles.
    member = Membership.objects.filter(user=who.user, role__in=ROLES[right]).values("organization_id")
    return Organization.objects.filter(pk__in=member)


def scoped(queryset: QuerySet[Row], who: Actor, right: Right = Right.VIEW, path: str = "organization") -> QuerySet[Row]:
    """The rows of `queryset` that belong to organizations in which `who` has the right.

    `path` leads from a row to its organization ("form__organization"), or to a plain column of its id
    ("organization_id"); "pk" for organizations themselves. A key bound to a form is narrowed by `form_allowed`.
    """
    if who.user is not None and who.key is None and who.user.is_superuser:
        return queryset.all()
    wanted: Any = organizations(who, right).values("pk")
    return queryset.filter(**{f"{path}__in": wanted})


def allowed(who: Actor, organization_id: UUID, right: Right) -> bool:
    return organizations(who, right).filter(pk=organization_id).exists()


def form_allowed(who: Actor, form_id: UUID) -> bool:
    """Whether a key's bond to a form lets it see this one; people are not bound to forms."""
    return who.only_form in {None, form_id}


def rights(who: Actor, organization_id: UUID) -> set[Right]:
    return {right for right in Right if allowed(who, organization_id, right)}
