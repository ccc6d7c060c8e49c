"""One POST of one submission, step by step. The order is part of the interface:

form, key, body, limits and idempotency record, then whether the form is open, its version, the answers, the log. So
whoever was accepted hears "accepted" again, even after the form was closed or changed.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.forms import published
from apps.forms.published import PublishedForm
from apps.forms.schema import AnswersRefused
from apps.intake import idempotency, process, receipts, throttle
from apps.intake.accept import Accepted, Pending, accept
from apps.intake.api import cors
from apps.intake.gate.base import Claim, Entry
from apps.intake.parsing import reserved
from apps.intake.parsing.body import read_content
from apps.intake.parsing.reserved import Payload
from apps.orgs import keys
from apps.orgs.keys import KeyGrant
from formhub.core.ids import canonical
from formhub.core.problem import Problem
from formhub.core.requests import client_address

SUBMIT, READ = "submit", "read"
_BEARER = {"WWW-Authenticate": "Bearer"}


def find_form(name: str) -> PublishedForm:
    """Raises Problem 404."""
    form = published.by_name(name)
    if form is None:
        raise Problem(404, "not_found", "There is no published form at this address.")
    return form


class Attempt:
    """Steps in their order: `enter`, `send`, then `accepted` with the receipt, or `withdraw`."""

    def __init__(self, request: HttpRequest, form: PublishedForm) -> None:
        self.request = request
        self.form = form
        self.grant = _grant(request, form)
        self.payload = Payload({})
        self.key = ""
        self.parsed = b""
        self.claim: Claim | None = None
        self.entry = Entry()

    def enter(self) -> HttpResponse | None:
        """Read the body and pass the gate; the answer given before if this is a repetition. Raises Problem."""
        try:
            self._read()
        except Problem:
            # Unusable bodies count as well, or they were a way around the limits.
            self._pass_gate()
            raise
        self._pass_gate()
        if self.claim is None:
            return None
        answer = idempotency.check(self.entry, self.claim)
        if answer is None:
            return None
        response = self._respond(orjson.loads(answer))
        response["Idempotent-Replayed"] = "true"
        return response

    def send(self) -> Pending:
        """Raises Problem, NotCommittedError."""
        if self.form.closed:
            raise Problem(410, "form_closed", self.form.closed_text or "This form is closed.")
        try:
            answers = self.form.compiled.clean(self.payload.answers)
        except AnswersRefused as refused:
            errors = [error.as_json() for error in refused.errors]
            raise Problem(422, "answers_refused", "Some answers need a change.", errors=errors) from None
        return accept(self.form, answers, key=self.key, parsed=self.parsed, meta=self._meta())

    def accepted(self, accepted: Accepted) -> HttpResponse:
        body = {
            "id": str(accepted.id),
            "form": self.form.public_id,
            "version": accepted.version,
            "accepted_at": accepted.accepted_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "status_url": self._status_url(accepted.id, accepted.accepted_at),
        }
        if self.claim:
            process.gate().settle(self.claim, orjson.dumps(body).decode())
        return self._respond(body)

    def withdraw(self) -> None:
        """Leave no record, so that the corrected body may use the same key."""
        if self.claim:
            process.gate().release(self.claim)

    def _read(self) -> None:
        content = read_content(self.request, settings.INTAKE_BODY_BYTES_MAX)
        payload = reserved.split(content)
        key = reserved.idempotency_key(self.request.META.get("HTTP_IDEMPOTENCY_KEY"), payload)
        self.payload = payload
        if key:
            self.key = key
            self.parsed = canonical(payload.answers)
            self.claim = idempotency.claim(self.form, key, self.parsed)

    def _pass_gate(self) -> None:
        limits = throttle.limits_of(self.form, self.grant, client_address(self.request))
        self.entry = process.gate().enter(limits, self.claim)
        throttle.check(self.entry)

    def _meta(self) -> dict[str, Any]:
        meta = dict(self.payload.meta)
        if self.payload.locale:
            meta["locale"] = self.payload.locale
        if self.payload.version not in (None, self.form.version):
            meta["page_version"] = self.payload.version
        return meta

    def _status_url(self, id: UUID, accepted_at: datetime) -> str:
        base = settings.PUBLIC_URL or f"{self.request.scheme}://{self.request.get_host()}"
        if self.grant and self.grant.allows(READ):
            return f"{base}/api/v1/forms/{self.form.public_id}/submissions/{id}"
        return f"{base}/r/{receipts.issue(receipts.Receipt(self.form.id, id, accepted_at))}/"

    def _respond(self, body: dict[str, Any]) -> HttpResponse:
        if self.payload.from_form and "text/html" in self.request.META.get("HTTP_ACCEPT", ""):
            response = HttpResponse(status=303)
            response["Location"] = self._next_page(body["status_url"])
        else:
            response = HttpResponse(orjson.dumps(body), status=202, content_type="application/json")
            response["Location"] = body["status_url"]
        for name, value in throttle.headers(self.entry).items():
            response[name] = value
        return response

    def _next_page(self, receipt: str) -> str:
        """Where a browser goes on. Only to a listed origin: anybody can write a form that posts here."""
        wanted = self.payload.next
        return wanted if wanted and cors.listed(wanted, self.form.allowed_origins) else receipt


def _grant(request: HttpRequest, form: PublishedForm) -> KeyGrant | None:
    """The API key's rights, None for a caller without one. Raises Problem 401, 403, 404."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        if form.key_required:
            raise Problem(401, "key_required", "This form takes submissions with an API key only.", headers=_BEARER)
        return None
    grant = keys.grant(token.strip())
    if grant is None:
        raise Problem(401, "invalid_key", "This API key is not known, was revoked, or has expired.", headers=_BEARER)
    if grant.organization != form.organization:
        raise Problem(404, "not_found", "There is no published form at this address.")
    if not grant.allows(SUBMIT) or grant.form not in (None, form.id):
        raise Problem(403, "key_not_allowed", "This API key may not submit to this form.")
    return grant
