"""`Authorization: Bearer fh_live_...` for DRF. A key is never taken from an address: those end up in logs."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.orgs import access, keys
from apps.orgs.access import Right
from apps.orgs.keys import KeyGrant

SCHEME = "Bearer"


def grant_of(request: HttpRequest | Request) -> KeyGrant | None:
    """The grant of the key that came with the request, None if none came. Raises AuthenticationFailed for a bad one."""
    header = request.META.get("HTTP_AUTHORIZATION", "")
    if not header:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != SCHEME.lower():
        return None
    grant = keys.grant(token.strip())
    if grant is None:
        raise AuthenticationFailed("This API key is not known, was revoked, or has expired.", code="invalid_key")
    return grant


class ApiKeyAuthentication(BaseAuthentication):
    """Sets `request.auth` to the KeyGrant. Nobody is signed in by a key: `request.user` stays anonymous."""

    def authenticate(self, request: Request) -> tuple[Any, KeyGrant] | None:
        grant = grant_of(request)
        return None if grant is None else (AnonymousUser(), grant)

    def authenticate_header(self, request: Request) -> str:
        return SCHEME


class IsMemberOrKey(BasePermission):
    """Somebody is there: a signed-in person or a good key. What they may see is decided by `access`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        who = access.actor(request)
        return who.key is not None or who.user is not None


class HasRight(IsMemberOrKey):
    """A view names `right`; a key needs a scope that carries it. Organizations are checked row by row."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        key = access.actor(request).key
        right: Right = getattr(view, "right", Right.VIEW)
        return key is None or bool(key.scopes & access.SCOPES[right])
