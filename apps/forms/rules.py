"""What the admin and the API ask alike of a form and of the rows of its draft."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import phonenumbers
from django.utils.text import slugify
from django.utils.translation import gettext as _

from apps.forms import fields
from apps.forms.models import Form

RATES = ("per_address", "per_key", "per_form")
RATE = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?")
ORIGINS_MAX = 100
# Settings of the types that cannot do without any.
EXAMPLES: Mapping[str, dict[str, Any]] = {
    "single_choice": {"choices": ["Red", "Green"]},
    "dropdown": {"choices": ["Red", "Green"]},
    "multiple_choice": {"choices": ["Red", "Green"]},
    "multi_dropdown": {"choices": ["Red", "Green"]},
    "currency": {"currency": "EUR"},
    "consent": {"text": "I agree that ..."},
}
STEP = 10  # between positions, so that a number in between moves a row


def is_origin(line: str) -> bool:
    """Whether it is an origin as browsers send it: scheme and host, a port if need be, and nothing else."""
    try:
        parts = urlsplit(line)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return False
    return "@" not in parts.netloc and not (parts.path or parts.query or parts.fragment) and line.isprintable()


def is_region(region: str) -> bool:
    return region in phonenumbers.SUPPORTED_REGIONS


def free_slug(organization_id: UUID, title: str) -> str:
    """A short name made from the title that no other form of the organization has."""
    base = slugify(title)[:60] or "form"
    similar = Form.objects.filter(organization=organization_id, slug__startswith=base)
    taken = set(similar.values_list("slug", flat=True))
    return next(slug for slug in numbered(base, "-") if slug not in taken)


def key_from(label: Any) -> str:
    """first_name from "First name?"; empty if nothing in the label can be in a key."""
    words = label if isinstance(label, str) else next(iter(label.values()), "") if label else ""
    key = re.sub(r"[^a-z0-9]+", "_", slugify(words).replace("-", "_")).strip("_")
    return re.sub(r"\A[^a-z]+", "", key)[:50].strip("_")


def free_key(label: Any, type: str, taken: set[str]) -> str:
    base = key_from(label) or type
    return next(key for key in numbered(base, "_") if key not in taken)


def numbered(base: str, joint: str) -> Iterator[str]:
    yield base
    yield from (f"{base}{joint}{number}" for number in range(2, 10_000))


def published_problem(published: Mapping[str, str], was: str | None, key: str | None, type: str) -> str:
    """What is wrong with a row's key after what was published so far, in words; empty if nothing is."""
    if was in published and key and key != was:
        return _("%(key)s is published and stays; add a new question instead.") % {"key": was}
    if key in published and published[str(key)] != type and type in fields.TYPES and fields.get(type).answerable:
        facts = {"key": key, "type": fields.get(published[str(key)]).label}
        return _("%(key)s was published as %(type)s; take another key.") % facts
    return ""
