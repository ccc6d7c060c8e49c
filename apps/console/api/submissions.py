"""Submissions over HTTP: the list of a form, one with where it stands at each action, and erasing one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
from django.conf import settings
from django.http import HttpRequest, QueryDict
from rest_framework.request import Request
from rest_framework.response import Response

from apps.archive import queries
from apps.archive.models import Result
from apps.archive.queries import Stored
from apps.console import erasing
from apps.console.api import cursors
from apps.console.api.base import ReadingView
from apps.console.api.cursors import NEWEST, ORDERS, Cursor, NoCursorError
from apps.console.api.openapi import document_erase, document_list, document_one, document_submit_without_rights
from apps.console.reading import standing
from apps.forms.published import PublishedForm
from apps.intake import outbox
from apps.intake.api.submit import SubmitView
from apps.orgs import access
from apps.orgs.access import Right
from apps.orgs.api.query import check_names, refuse, wrong
from apps.sinks.queries import State
from formhub.core.envelope import decode
from formhub.core.problem import Problem

PARAMETERS = ("order", "limit", "cursor")
LIMIT, LIMIT_MAX = 100, 1000
# A page ends before its limit once it holds so much: a thousand rows may be a gigabyte.
PAGE_BYTES_MAX = 8 * 1024 * 1024
ON_ITS_WAY_SECONDS = 10  # to ask again for one that waits for the log


@dataclass(frozen=True, slots=True)
class Asked:
    cursor: Cursor
    limit: int


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as JSON in the order of the list. first and last: their positions; None of an empty page."""

    rows: list[bytes]
    first: int | None
    last: int | None
    more: bool


@document_submit_without_rights
class SubmissionsView(ReadingView, SubmitView):
    """Submitting stays what it is: public, without cookies, open to other sites. Reading is added to its address."""

    @document_list
    def get(self, request: Request, form: str) -> Response:
        found = self.readable(request, form)
        asked = _asked(request.query_params, found)
        page = _read(found, asked)
        before, after = _around(asked.cursor, page)
        return Response(
            {
                "next": _address(request, asked, after),
                "previous": _address(request, asked, before),
                "results": [orjson.Fragment(row) for row in page.rows],
            }
        )


class SubmissionView(ReadingView):
    @document_one
    def get(self, request: Request, form: str, id: UUID) -> Response:
        found = self.readable(request, form)
        refuse(check_names(request.query_params))
        stored = queries.get(found.id, id)
        if stored is None:
            return _on_its_way(found, id)
        body = _body(stored, found) | {
            "actions": [_action(state) for state in standing(stored)],
            "results": [_result(result) for result in queries.results(found.id, id)],
        }
        return Response(orjson.Fragment(_json(body)))

    @document_erase
    def delete(self, request: Request, form: str, id: UUID) -> Response:
        """Erased once more it is answered as it was at first: the first answer may have been lost."""
        found = self.readable(request, form)
        refuse(check_names(request.query_params))
        who = access.actor(request)
        if not access.allowed(who, found.organization, Right.EDIT):
            raise Problem(
                403,
                "not_allowed",
                "Your role in this organization does not allow you to erase: it takes an editor, an admin or an owner.",
            )
        if not _known(found.id, id):
            raise _unknown()
        erasing.erase(who, found.organization, found.id, [id])
        return Response(status=204)


def _on_its_way(form: PublishedForm, id: UUID) -> Response:
    """What is known of a submission that was accepted while the log took none. Raises Problem 404 if there is none."""
    row = outbox.find(form.id, id)
    if row is None:
        raise _unknown()
    envelope = decode(row.value, row.headers)
    body = {
        "id": str(envelope.id),
        "form": form.public_id,
        "version": envelope.version,
        "accepted_at": _moment(envelope.accepted_at),
        "late": envelope.late,
    }
    return Response(body, status=202, headers={"Retry-After": str(ON_ITS_WAY_SECONDS)})


def _known(form_id: UUID, id: UUID) -> bool:
    """Whether it is in the archive, on its way there, or was there."""
    archived = queries.get(form_id, id) is not None
    return archived or outbox.find(form_id, id) is not None or erasing.erased_before(form_id, id)


def _unknown() -> Problem:
    return Problem(
        404,
        "not_found",
        "No submission with this id is in the archive. One that was accepted a moment ago may not have been "
        "archived yet: ask again in a few seconds.",
    )


def _asked(params: QueryDict, form: PublishedForm) -> Asked:
    """Raises Problem 400 with every parameter that is wrong."""
    errors = check_names(params, PARAMETERS)
    order, limit = params.get("order", ""), params.get("limit", str(LIMIT))
    if order and order not in ORDERS:
        errors.append(wrong("order", "invalid", f"Use {' or '.join(ORDERS)}.", choices=list(ORDERS)))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 5 and 1 <= int(limit) <= LIMIT_MAX):
        errors.append(wrong("limit", "invalid", f"Use a whole number from 1 to {LIMIT_MAX}.", max=LIMIT_MAX))
    cursor = Cursor(form.id, order or NEWEST)
    if "cursor" in params:
        try:
            cursor = cursors.read(params.get("cursor", ""))
        except NoCursorError:
            errors.append(wrong("cursor", "invalid", "This is no cursor of ours. Begin again without it."))
        else:
            if cursor.form != form.id or order not in {"", cursor.order}:
                errors.append(wrong("cursor", "of_another_list", "This cursor is another list's. Begin without it."))
    refuse(errors)
    return Asked(cursor, int(limit))


def _read(form: PublishedForm, asked: Asked) -> Page:
    cursor = asked.cursor
    rows: list[bytes] = []
    positions: list[int] = []
    size, more = 0, False
    wanted = queries.page(form.id, beyond=cursor.beyond, limit=asked.limit + 1, newest_first=cursor.descending)
    with wanted as found:
        for stored in found:
            more = len(rows) == asked.limit or size >= PAGE_BYTES_MAX
            if more:
                break
            rows.append(_json(_body(stored, form)))
            positions.append(stored.position)
            size += len(rows[-1])
    if cursor.back:
        rows.reverse()
        positions.reverse()
    return Page(rows, positions[0] if rows else None, positions[-1] if rows else None, more)


def _around(cursor: Cursor, page: Page) -> tuple[Cursor | None, Cursor | None]:
    """The cursors of the pages before and after; None where the list begins or ends."""
    if page.first is None or page.last is None:
        # Nothing is left on this side (rows may have been erased), so the place itself is where the other side begins.
        other = cursor.including() if cursor.beyond is not None else None
        return (None, other) if cursor.back else (other, None)
    before = cursor.backward(page.first) if (page.more if cursor.back else cursor.beyond is not None) else None
    after = cursor.onward(page.last) if cursor.back or page.more else None
    return before, after


def _address(request: HttpRequest, asked: Asked, cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    base = settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"
    query = {"order": cursor.order, "limit": asked.limit, "cursor": cursors.issue(cursor)}
    return f"{base}{request.path}?{urlencode(query)}"


def _body(stored: Stored, form: PublishedForm) -> dict[str, Any]:
    return {
        "id": str(stored.id),
        "form": form.public_id,
        "version": stored.version,
        "accepted_at": _moment(stored.accepted_at),
        "archived_at": _moment(stored.archived_at),
        "position": stored.position,
        "late": stored.late,
        "answers": stored.answers,
        "meta": stored.meta,
    }


def _action(state: State) -> Mapping[str, Any]:
    return {
        "id": state.binding,
        "name": state.name,
        "kind": state.kind,
        "state": state.standing.value,
        "at": _moment(state.at) if state.at else None,
        "code": state.code,
        "why": state.why,
    }


def _result(result: Result) -> Mapping[str, Any]:
    return {"stream": result.stream, "archived_at": _moment(result.archived_at), "result": result.body}


def _json(body: Mapping[str, Any]) -> bytes:
    # Not by orjson: jsonb writes 1e20 out in full, and one number beyond 64 bits would spoil the whole page.
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _moment(at: datetime) -> str:
    """As in the answer to the submission itself."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
