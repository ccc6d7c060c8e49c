"""One submission, step by step, whichever way it came in. The order is part of the interface:

form, key, body, limits and idempotency record, then whether the form is open, its version, the answers, the log. So
whoever was accepted hears "accepted" again, even after the form was closed or changed.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import Error
from django.http import HttpRequest
from django.utils import translation

from apps.forms import published
from apps.forms.published import PublishedForm
from apps.forms.schema import AnswersRefused
from apps.intake import idempotency, process, receipts, throttle
from apps.intake.accept import DOORS, Accepted, Pending, accept
from apps.intake.gate.base import Claim, Entry
from apps.intake.gate.gate import Asked
from apps.intake.look_ups import NotLookedUpError
from apps.intake.parsing.reserved import Payload
from apps.intake.ticket import RETRY_SECONDS, NotCommittedError
from apps.intake.waiting import pause
from apps.orgs import keys
from apps.orgs.keys import KeyGrant
from formhub.core import lanes, logs
from formhub.core.ids import canonical
from formhub.core.metrics import ACCEPTED
from formhub.core.problem import Problem
from formhub.core.requests import client_address

READ = "read"
# How long whoever waits for a first try to end lets the record rest between two looks.
LOOK_SECONDS = 0.1
_ACCEPTED = {door: ACCEPTED.labels(door) for door in DOORS}


async def find_form(name: str) -> PublishedForm:
    """Raises Problem 404, and 503 where only the database could tell."""
    try:
        form = await _form(name)
    except (Error, NotLookedUpError) as error:
        # Only for a form that this process has not seen for minutes: the others are remembered.
        raise not_looked_up() from error
    if form is None:
        raise Problem(404, "not_found", "There is no published form at this address.")
    return form


async def _form(name: str) -> PublishedForm | None:
    if not lanes.on_loop():
        return published.by_name(name)
    try:
        return published.peek(name)
    except published.NotCached:
        return await process.look_ups().ask(("form", name), partial(published.by_name, name))


async def grant_of(token: str) -> KeyGrant | None:
    """What the API key allows; None for one that is unknown, revoked or expired. Raises Problem 503."""
    try:
        return await _grant(token)
    except (Error, NotLookedUpError) as error:
        raise not_looked_up() from error


async def _grant(token: str) -> KeyGrant | None:
    if not lanes.on_loop():
        return keys.grant(token)
    try:
        return keys.peek(token)
    except keys.NotCached:
        pass
    try:
        return await process.look_ups().ask(("key", keys.hash_of(token)), partial(keys.grant, token))
    except NotLookedUpError as error:
        try:
            return keys.honoured(token)
        except keys.NotCached:
            raise error from None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who submits: with which key if any, from which network address, and under which base address they reached us."""

    grant: KeyGrant | None
    address: str
    base: str

    @classmethod
    def of(cls, request: HttpRequest, grant: KeyGrant | None = None) -> "Caller":
        base = settings.PUBLIC_URL or f"{request.scheme}://{request.get_host()}"
        return cls(grant, client_address(request), base)


class Attempt:
    """Steps in their order: `enter`, `replayed`, `send`, then `accepted` with the receipt, or `withdraw`.

    What waits is a coroutine, for a loop as well as for a thread, which drives it (`formhub.core.lanes.drive`).
    `language`: what is said of the answers is said in it; None for English.
    """

    def __init__(self, form: PublishedForm, caller: Caller, language: str | None = None) -> None:
        logs.bind(form=form.id)
        self.form = form
        self.caller = caller
        self.language = language
        self._asked: Asked | None = None
        self._unusable: Problem | None = None
        self.payload = Payload({})
        self.parsed = b""
        self.claim: Claim | None = None
        self.entry = Entry()

    async def enter(self, read: Callable[[], Payload]) -> None:
        """Read what was sent and pass the gate. Raises Problem."""
        self.read(read)
        self.ask()
        await self.passed()

    def read(self, read: Callable[[], Payload]) -> None:
        """What cannot be used is told by `passed`."""
        try:
            self.payload = read()
        except Problem as problem:
            self._unusable = problem
        if self.payload.key:
            self.parsed = canonical(self.payload.answers)
            self.claim = idempotency.claim(self.form, self.payload.key, self.parsed)

    def ask(self) -> None:
        """Ask the gate. Unusable bodies count as well, or they were a way around the limits."""
        limits = throttle.limits_of(self.form, self.caller.grant, self.caller.address)
        self._asked = process.gate().ask(limits, self.claim)

    async def passed(self) -> None:
        """Raises Problem."""
        assert self._asked is not None
        self.entry = await self._asked
        throttle.check(self.entry)
        if self._unusable:
            raise self._unusable

    async def wait_for_first(self, seconds: float) -> None:
        """Let a first try that still runs, with the same key and answers, come to its end."""
        until = time.monotonic() + seconds
        while self.claim and idempotency.still_running(self.entry, self.claim) and time.monotonic() < until:
            await pause(LOOK_SECONDS)
            # Without limits: this try was counted. Should the first be refused meanwhile, the key becomes ours.
            again = await process.gate().ask((), self.claim)
            self.entry = dataclasses.replace(self.entry, held=again.held)

    def replayed(self) -> dict[str, Any] | None:
        """The answer given before if this is a repetition. Raises Problem 409, 422."""
        answer = idempotency.check(self.entry, self.claim) if self.claim else None
        if answer is None:
            return None
        body: dict[str, Any] = orjson.loads(answer)
        return body

    def send(self) -> Pending:
        """Raises Problem, NotCommittedError."""
        if self.form.closed:
            raise Problem(410, "form_closed", self.form.closed_text or "This form is closed.")
        try:
            answers = self._clean()
        except AnswersRefused as refused:
            errors = [error.as_json() for error in refused.errors]
            raise Problem(422, "answers_refused", "Some answers need a change.", errors=errors) from None
        pending = accept(self.form, answers, key=self.payload.key, parsed=self.parsed, meta=self._meta())
        logs.bind(submission=pending.id)
        return pending

    def accepted(self, accepted: Accepted) -> dict[str, Any]:
        """Keep the answer for repetitions, and give it."""
        _ACCEPTED[accepted.door].inc()
        body = {
            "id": str(accepted.id),
            "form": self.form.public_id,
            "version": accepted.version,
            "accepted_at": accepted.accepted_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "status_url": self._status_url(accepted.id, accepted.accepted_at),
        }
        if self.claim:
            process.gate().settle(self.claim, orjson.dumps(body).decode())
        return body

    def withdraw(self) -> None:
        """Leave no record, so that the corrected body may use the same key."""
        if self.claim:
            process.gate().release(self.claim)

    async def finish(self) -> dict[str, Any]:
        """Send, wait for the receipt, and give the answer. Raises Problem, NotCommittedError."""
        try:
            accepted = await self.send()
        except Exception:
            self.withdraw()
            raise
        return self.accepted(accepted)

    def _clean(self) -> dict[str, Any]:
        """Raises AnswersRefused."""
        if self.language is None:
            return self.form.compiled.clean(self.payload.answers)
        with translation.override(self.language):
            return self.form.compiled.clean(self.payload.answers)

    def _meta(self) -> dict[str, Any]:
        meta = dict(self.payload.meta)
        if self.payload.locale:
            meta["locale"] = self.payload.locale
        if self.payload.version not in (None, self.form.version):
            meta["page_version"] = self.payload.version
        return meta

    def _status_url(self, id: UUID, accepted_at: datetime) -> str:
        grant = self.caller.grant
        if grant and grant.allows(READ):
            return f"{self.caller.base}/api/v1/forms/{self.form.public_id}/submissions/{id}"
        return f"{self.caller.base}/r/{receipts.issue(receipts.Receipt(self.form.id, id, accepted_at))}/"


def receipt_of(form: PublishedForm, answer: Mapping[str, Any]) -> receipts.Receipt:
    """The respondent's receipt for an answer given by `accepted`, whatever its status_url leads to."""
    return receipts.Receipt(form.id, UUID(answer["id"]), datetime.fromisoformat(answer["accepted_at"]))


def as_problem(error: Exception) -> Problem | None:
    """What a failure on the way means for whoever sent the answers; None for a defect."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, NotCommittedError):
        return _unavailable(error)
    return not_looked_up() if isinstance(error, Error) else None


def not_looked_up() -> Problem:
    detail = "The form cannot be looked up just now; nothing was kept. Send it again in a moment."
    return Problem(503, "not_looked_up", detail, headers={"Retry-After": str(RETRY_SECONDS)})


def _unavailable(error: NotCommittedError) -> Problem:
    """503 for a submission without a receipt."""
    detail = "The submission could not be stored just now. Send it again in a moment"
    # It may lie in the log after all; with its key it would get the same id again and count once.
    detail += ", with the same idempotency key if you used one." if error.ambiguous else "; nothing was kept."
    return Problem(503, "not_stored", detail, headers={"Retry-After": str(RETRY_SECONDS)})
