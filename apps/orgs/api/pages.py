"""Lists by cursor: a page begins beyond a row, so new rows neither shift it nor show one twice, at any depth.

A cursor is signed for this purpose and good for one list alone: the same address, the same filters.
"""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core.exceptions import FieldError, ValidationError
from django.core.signing import BadSignature, Signer
from django.db.models import Q, QuerySet
from rest_framework.request import Request

from apps.orgs.api import query
from apps.orgs.api.query import LIMIT, PAGING, Filter, refuse, value_of, wrong
from formhub.core.problem import Problem

_SALT = "formhub.orgs.api.cursor"


@dataclass(frozen=True, slots=True)
class Order:
    """The columns that order a list, the last of them unique. newest: by falling values."""

    columns: tuple[str, ...] = ("pk",)
    newest: bool = True

    def by(self, back: bool) -> list[str]:
        falling = self.newest is not back
        return [f"-{column}" if falling else column for column in self.columns]

    def beyond(self, place: Sequence[Any], back: bool) -> Q:
        """The rows beyond a place, in the list's direction or against it."""
        side = "lt" if self.newest is not back else "gt"
        first, *rest = self.columns
        if not rest:
            return Q(**{f"{first}__{side}": place[0]})
        # Written so that an index on the first column gives the range; the rest only decides among equals.
        more = Order(tuple(rest), self.newest).beyond(place[1:], back)
        return Q(**{f"{first}__{side}e": place[0]}) & (Q(**{f"{first}__{side}": place[0]}) | more)

    def place(self, row: Any) -> list[Any]:
        return [getattr(row, column) for column in self.columns]


NEWEST = Order(("created_at", "pk"))


@dataclass(frozen=True, slots=True)
class _Cursor:
    place: list[Any]
    back: bool


def page(
    request: Request,
    rows: QuerySet[Any],
    render: Callable[[list[Any]], Any],
    order: Order | None = None,
    filters: Mapping[str, Filter] | None = None,
) -> dict[str, Any]:
    """The answer of a list: `next`, `previous` and `results`. Raises Problem 400 with every parameter that is wrong."""
    order, filters = order or Order(), filters or {}
    errors = query.check_names(request.query_params, (*filters, *PAGING))
    wanted = {name: value_of(request.query_params, name, by.read, errors) for name, by in filters.items()}
    limit = value_of(request.query_params, "limit", query.limit, errors) or LIMIT
    cursor = _cursor(request, filters, errors)
    refuse(errors)
    for name, by in filters.items():
        if name in request.query_params:
            rows = rows.filter(by.condition(wanted[name]))
    found, more = _read(rows, order, cursor, limit)
    before, after = _around(order, cursor, found, more)
    return {
        "next": _address(request, filters, limit, after),
        "previous": _address(request, filters, limit, before),
        "results": list(render(found)),
    }


def whole(results: Any) -> dict[str, Any]:
    """A list so short that it is one page."""
    return {"next": None, "previous": None, "results": list(results)}


def _read(rows: QuerySet[Any], order: Order, cursor: _Cursor | None, limit: int) -> tuple[list[Any], bool]:
    back = cursor is not None and cursor.back
    try:
        if cursor is not None:
            rows = rows.filter(order.beyond(cursor.place, back))
        found = list(rows.order_by(*order.by(back))[: limit + 1])
    except (FieldError, ValidationError, ValueError, TypeError, IndexError) as error:
        # It bears our signature, and yet its place fits no row: it was made for an older order of the list.
        raise _bad_cursor() from error
    more = len(found) > limit
    found = found[:limit]
    return (found[::-1] if back else found), more


def _bad_cursor() -> Problem:
    error = wrong("cursor", "invalid", "This is no cursor of ours. Begin again without it.")
    return Problem(400, "bad_parameters", "Some parameters of the address need a change.", errors=[error])


def _around(
    order: Order, cursor: _Cursor | None, found: list[Any], more: bool
) -> tuple[_Cursor | None, _Cursor | None]:
    """The cursors of the pages before and after; None where the list begins or ends."""
    if not found:
        return None, None
    back = cursor is not None and cursor.back
    has_before = more if back else cursor is not None
    has_after = True if back else more
    before = _Cursor(order.place(found[0]), back=True) if has_before else None
    after = _Cursor(order.place(found[-1]), back=False) if has_after else None
    return before, after


def _address(request: Request, filters: Mapping[str, Filter], limit: int, cursor: _Cursor | None) -> str | None:
    if cursor is None:
        return None
    base = settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"
    kept = {name: request.query_params[name] for name in filters if name in request.query_params}
    asked = {**kept, "limit": limit, "cursor": _issue(cursor, _list_of(request, filters))}
    return f"{base}{request.path}?{urlencode(asked)}"


def _list_of(request: Request, filters: Mapping[str, Filter]) -> str:
    asked = [(name, request.query_params.get(name)) for name in sorted(filters)]
    return hashlib.sha256(json.dumps([request.path, asked]).encode()).hexdigest()[:12]


def _issue(cursor: _Cursor, of: str) -> str:
    """A token for an address: letters, digits, dash, underscore and one dot."""
    packed = json.dumps([of, cursor.back, [_plain(value) for value in cursor.place]], separators=(",", ":"))
    return _signer().sign(urlsafe_b64encode(packed.encode()).decode().rstrip("="))


def _cursor(request: Request, filters: Mapping[str, Filter], errors: list[dict[str, Any]]) -> _Cursor | None:
    token = request.query_params.get("cursor")
    if token is None:
        return None
    try:
        text = _signer().unsign(token)
        of, back, place = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (BadSignature, ValueError):
        errors.append(wrong("cursor", "invalid", "This is no cursor of ours. Begin again without it."))
        return None
    if of != _list_of(request, filters):
        errors.append(wrong("cursor", "of_another_list", "This cursor is another list's. Begin without it."))
    return _Cursor(place, back)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _signer() -> Signer:
    return Signer(sep=".", salt=_SALT)
