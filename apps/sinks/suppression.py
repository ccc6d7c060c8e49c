"""Addresses that an organization does not write to: because somebody said so by the link in a mail, or it says so.

The link holds the address and the organization, sealed for this purpose alone, so that it can neither be read nor
made by anybody else. It holds them in its query, which no log shows: whoever has the link is shown the address.
"""

from collections.abc import Iterable
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from apps.orgs.models import Organization
from apps.sinks.models import Suppression
from formhub.core import secrets
from formhub.core.secrets import SecretUnreadableError

PURPOSE = "formhub.sinks.unsubscribe"
TOKEN_MAX = 2_000


class UnknownLinkError(LookupError):
    """The link was not made here, or its organization is gone."""


def among(organization: UUID, addresses: Iterable[str]) -> set[str]:
    """Those of the addresses that the organization does not write to."""
    by_row = {normal(address): address for address in addresses}
    rows = Suppression.objects.filter(organization=organization, address__in=list(by_row))
    return {by_row[address] for address in rows.values_list("address", flat=True)}


def normal(address: str) -> str:
    """As it is stored: no mail server of today tells capitals from small letters."""
    return address.strip().lower()


def link(organization: UUID, address: str) -> str:
    """Where whoever reads the mails of this address puts an end to them."""
    token = secrets.encrypt({"for": PURPOSE, "organization": str(organization), "address": normal(address)})
    return f"{settings.PUBLIC_URL}{reverse('unsubscribe')}?{urlencode({'of': token})}"


def opened(token: str) -> Suppression:
    """What the link asks for, not stored yet. Raises UnknownLinkError."""
    try:
        found = secrets.decrypt(token) if len(token) <= TOKEN_MAX else {}
    except SecretUnreadableError:
        raise UnknownLinkError from None
    if found.get("for") != PURPOSE:
        raise UnknownLinkError
    organization = Organization.objects.filter(pk=found["organization"]).first()
    if organization is None:
        raise UnknownLinkError
    return Suppression(organization=organization, address=found["address"], reason=Suppression.Reason.UNSUBSCRIBED)


def stands(asked: Suppression) -> bool:
    return Suppression.objects.filter(organization=asked.organization, address=asked.address).exists()


def suppress(asked: Suppression) -> None:
    """Once and for all; asking again changes nothing."""
    Suppression.objects.bulk_create([asked], ignore_conflicts=True)
