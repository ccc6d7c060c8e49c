"""Invitations by link: for one address, one role, one organization; used once, for a few days, until revoked.

The link is signed for this purpose alone and carries a secret of which only a digest is stored. The digest covers the
address, the role and the organization as well, so that no change of the row turns an old link into another
invitation. Whoever accepts must be signed in as exactly the invited address, or be nobody yet and set a password for
it; and whoever invited must still have the right to.
"""

import hashlib
import hmac
import secrets
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.orgs import audit, keys, members
from apps.orgs.access import Actor
from apps.orgs.models import Invitation, Membership, Organization, Role, User

OPEN_MAX = 500  # in one organization
_SALT = "formhub.orgs.invitation"


class State(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


class NoInvitationError(LookupError):
    """The link was not made here, or is not (or no longer) that of an invitation."""


class NotForThisPersonError(Exception):
    """Somebody else was invited."""


@transaction.atomic
def invite(who: Actor, organization: Organization, email: str, role: Role) -> tuple[Invitation, str]:
    """The invitation and the token of its link, which is nowhere kept. An earlier one for the address is revoked.

    Raises ValidationError.
    """
    members.hold(organization)
    check(who, organization, email, role)
    email, now = email.strip().lower(), timezone.now()
    _waiting(organization).filter(email=email).update(revoked_at=now)
    secret = secrets.token_urlsafe(32)
    invitation = Invitation(
        organization=organization,
        email=email,
        role=role,
        invited_by=who.user,
        api_key_id=who.key.id if who.key else None,
        expires_at=now + timedelta(days=settings.INVITATION_DAYS),
    )
    invitation.digest = _digest(invitation, secret)
    invitation.save(force_insert=True)
    audit.record(who, organization.pk, "invited", invitation, {"email": [None, email], "role": [None, str(role)]})
    return invitation, _signer().sign(f"{invitation.pk.hex}.{secret}")


def check(who: Actor, organization: Organization, email: str, role: Role) -> None:
    """Raises ValidationError."""
    members.check_role(who, organization, None, role)
    if organization.memberships.filter(user__email__iexact=email.strip()).exists():
        raise ValidationError(_("This person is a member already."), code="already_member")
    if _waiting(organization).filter(expires_at__gt=timezone.now()).count() >= OPEN_MAX:
        raise ValidationError(_("Too many invitations are open. Revoke some first."), code="too_many")


def link(token: str, request: HttpRequest) -> str:
    base = settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"
    return f"{base}{reverse('invitation', args=[token])}"


def find(token: str) -> Invitation:
    """Raises NoInvitationError."""
    try:
        id, _dot, secret = _signer().unsign(token).partition(".")
        invitation = Invitation.objects.select_related("organization", "invited_by").get(pk=UUID(hex=id))
    except (BadSignature, ValueError, Invitation.DoesNotExist):
        raise NoInvitationError from None
    if not hmac.compare_digest(invitation.digest, _digest(invitation, secret)):
        raise NoInvitationError
    return invitation


def state(invitation: Invitation) -> State:
    if invitation.accepted_at is not None:
        return State.ACCEPTED
    if invitation.revoked_at is not None:
        return State.REVOKED
    return State.OPEN if invitation.expires_at > timezone.now() else State.EXPIRED


def stands(invitation: Invitation) -> bool:
    """Whether it can be accepted: open, and made by somebody who might make it today."""
    if state(invitation) != State.OPEN:
        return False
    try:
        members.check_role(_inviter(invitation), invitation.organization, None, Role(invitation.role))
    except ValidationError:
        return False
    return True


@transaction.atomic
def accept(invitation: Invitation, user: User) -> Membership:
    """A member already keeps the role they have. Raises NoInvitationError and NotForThisPersonError."""
    members.hold(invitation.organization)
    current = Invitation.objects.select_for_update().get(pk=invitation.pk)
    if not stands(current):
        raise NoInvitationError
    if not user.is_active or user.email.lower() != current.email:
        raise NotForThisPersonError
    membership, _made = Membership.objects.get_or_create(
        organization=current.organization, user=user, defaults={"role": current.role}
    )
    current.accepted_at = timezone.now()
    current.save(update_fields=["accepted_at"])
    audit.record(Actor(user=user), current.organization_id, "accepted", current)
    return membership


@transaction.atomic
def revoke(who: Actor, invitation: Invitation) -> None:
    """Whoever could not have made it cannot take it back. Raises ValidationError."""
    members.check_role(who, invitation.organization, None, Role(invitation.role))
    current = Invitation.objects.select_for_update().get(pk=invitation.pk)
    if current.accepted_at is None and current.revoked_at is None:
        current.revoked_at = timezone.now()
        current.save(update_fields=["revoked_at"])
        audit.record(who, current.organization_id, "revoked", current)
    invitation.refresh_from_db()


def _waiting(organization: Organization) -> QuerySet[Invitation]:
    return Invitation.objects.filter(organization=organization, accepted_at=None, revoked_at=None)


def _inviter(invitation: Invitation) -> Actor:
    """Whoever made it, as they are today; nobody if they are gone."""
    if invitation.api_key is not None:
        return Actor(key=keys.grant_of(invitation.api_key))
    user = invitation.invited_by
    return Actor(user=user if user is not None and user.is_active else None)


def _digest(invitation: Invitation, secret: str) -> str:
    parts = (secret, invitation.email, invitation.role, invitation.organization_id.hex, invitation.pk.hex)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _signer() -> Signer:
    return Signer(sep=".", salt=_SALT)
