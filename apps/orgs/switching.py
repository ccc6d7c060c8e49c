"""The organization a member of several works in: it narrows the lists of the admin, and is never a right by itself."""

from uuid import UUID

from django.http import HttpRequest

from apps.orgs import access
from apps.orgs.models import Organization

KEY = "organization"
SHOWN_MAX = 50


def choose(request: HttpRequest, text: str) -> None:
    """Anything but an organization of one's own means all of them."""
    chosen = _own(request, text)
    if chosen is None:
        request.session.pop(KEY, None)
    else:
        request.session[KEY] = str(chosen.pk)


def chosen(request: HttpRequest) -> Organization | None:
    """Asked anew each time: who is no member any more has nothing chosen."""
    if not hasattr(request, "_chosen_organization"):
        text = request.session.get(KEY, "") if hasattr(request, "session") else ""
        request._chosen_organization = _own(request, text) if text else None  # type: ignore[attr-defined]
    found: Organization | None = request._chosen_organization  # type: ignore[attr-defined]
    return found


def offered(request: HttpRequest) -> list[Organization]:
    """What the chooser offers; nothing to somebody who has but one organization."""
    mine = list(access.organizations(access.actor(request)).order_by("name")[:SHOWN_MAX])
    return mine if len(mine) > 1 else []


def _own(request: HttpRequest, text: str) -> Organization | None:
    try:
        id = UUID(text)
    except ValueError:
        return None
    return access.organizations(access.actor(request)).filter(pk=id).first()
