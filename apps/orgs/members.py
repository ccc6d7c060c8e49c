"""The rules of membership: nobody raises anybody above themselves, and an organization always has an owner."""

from django.core.exceptions import ValidationError
from django.db import connection
from django.utils.translation import gettext_lazy as _

from apps.orgs import access
from apps.orgs.access import Actor, Right
from apps.orgs.models import Membership, Organization, Role


def hold(organization: Organization) -> None:
    """Until the transaction ends nobody else changes who is a member."""
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)


def check_role(who: Actor, organization: Organization, before: Role | None, after: Role | None) -> None:
    """Whether `who` may turn a membership from `before` into `after` (None: no membership). Raises ValidationError."""
    needed = Right.OWN if Role.OWNER in {before, after} else Right.ADMIN
    if before != after and not access.allowed(who, organization.pk, needed):
        raise ValidationError(
            _("Only an owner can make, change or remove an owner.")
            if needed == Right.OWN
            else _("Only an admin or an owner can change members."),
            code="role_too_high",
        )


def check_owner_stays(organization: Organization, *without: Membership) -> None:
    """Raises ValidationError if nobody but `without` is an owner.

    In a transaction it holds until the end of that: two owners who step back at once cannot both count on the other.
    """
    leaving = [membership.pk for membership in without if membership.pk is not None]
    owners = organization.memberships.filter(role=Role.OWNER)
    if not owners.filter(pk__in=leaving).exists():
        return
    if connection.in_atomic_block:
        hold(organization)
    if not owners.filter(user__is_active=True).exclude(pk__in=leaving).exists():
        raise ValidationError(
            _("An organization needs an owner: make somebody else an owner first."), code="last_owner"
        )
