"""How often one may submit: per address and form, or per key; and per form and per organization.

Rates are written as in the settings, `60/minute`; a form may have its own. The headers follow
draft-ietf-httpapi-ratelimit-headers: the caller is told of the limit that is theirs, not of those shared with others.
"""

import logging
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from uuid import UUID

import limits
from django.conf import settings

from apps.forms.published import PublishedForm
from apps.intake.gate.base import Entry, Limit, Standing
from apps.orgs.keys import KeyGrant
from formhub.core.problem import Problem

logger = logging.getLogger(__name__)

_WHO = {
    "address": "this address",
    "key": "this API key",
    "form": "all callers to this form",
    "organization": "all callers to this organization",
}


def limits_of(form: PublishedForm, grant: KeyGrant | None, address: str) -> tuple[Limit, ...]:
    """The caller's own limit first. With a key its address does not count: a server sends for many people."""
    if grant is None:
        rate = _rate(form, "per_address", settings.INTAKE_PER_ADDRESS_AND_FORM)
        own = _limit("address", rate, f"{form.id}:{_network(address)}")
    else:
        own = _limit("key", _rate(form, "per_key", settings.INTAKE_PER_KEY), str(grant.id))
    shared = _limits_of_all(
        form.id,
        form.organization,
        _rate(form, "per_form", settings.INTAKE_PER_FORM),
        parse_rate(settings.INTAKE_PER_ORGANIZATION),
    )
    return (own, *shared)


def check(entry: Entry) -> None:
    """Raises Problem 429."""
    if entry.exceeded is None:
        return
    limit = entry.exceeded.limit
    raise Problem(
        429,
        "rate_limited",
        f"Too many submissions from {_WHO[limit.name]}: {limit.amount} in {limit.seconds} seconds are taken.",
        headers={"Retry-After": str(entry.exceeded.retry_after), **_headers(entry.exceeded)},
    )


def headers(entry: Entry) -> dict[str, str]:
    return _headers(entry.standings[0]) if entry.standings else {}


def _headers(standing: Standing) -> dict[str, str]:
    limit = standing.limit
    return {
        "RateLimit-Policy": f'"{limit.name}";q={limit.amount};w={limit.seconds}',
        "RateLimit": f'"{limit.name}";r={standing.remaining};t={standing.seconds_left}',
    }


def _limit(name: str, rate: tuple[int, int], key: str) -> Limit:
    return Limit(name, f"limit:{name}:{key}", *rate)


@lru_cache(maxsize=10_000)
def _limits_of_all(
    form: UUID, organization: UUID, per_form: tuple[int, int], per_organization: tuple[int, int]
) -> tuple[Limit, Limit]:
    return (_limit("form", per_form, str(form)), _limit("organization", per_organization, str(organization)))


def _rate(form: PublishedForm, name: str, default: str) -> tuple[int, int]:
    """The form's own rate. One that cannot be read must not close the form: the general one holds then."""
    try:
        return parse_rate(form.rates.get(name) or default)
    except ValueError:
        logger.warning("Form %s has an unreadable rate %s", form.id, name)
        return parse_rate(default)


@lru_cache(maxsize=1024)
def parse_rate(rate: str) -> tuple[int, int]:
    """Hits and seconds of `60/minute`. Raises ValueError."""
    item = limits.parse(rate)
    return item.amount, item.get_expiry()


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    """An IPv6 caller owns at least a /64, so that counts as one address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
