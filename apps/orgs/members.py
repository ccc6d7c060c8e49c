"""The rules of membership: nobody raises anybody above themselves, and an organization always has an owner."""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.orgs import access
from apps.orgs.access import Actor, Right
from apps.orgs.models import Membership, Organization, Role


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


def check_owner_stays(organization: Organization, without: Membership) -> None:
    """Raises ValidationError if `without` is the only owner left."""
    if without.pk is None or not _is_owner(without):
        return
    others = organization.memberships.filter(role=Role.OWNER, user__is_active=True).exclude(pk=without.pk)
    if not others.exists():
        raise ValidationError(
            _("An organization needs an owner: make somebody else an owner first."), code="last_owner"
        )


def _is_owner(membership: Membership) -> bool:
    return Membership.objects.filter(pk=membership.pk, role=Role.OWNER).exists()
