"""GET and POST /f/{form}/: a form to fill in, without scripts.

Its key is made when it is shown and comes back with the answers, so a second click, a reload or a try after a fault
is the same submission. The page needs no cookie and trusts none, so there is nothing for a forged request to borrow.
"""

import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from apps.forms import fields, markup
from apps.forms.fields import text
from apps.forms.published import PublishedForm
from apps.forms.schema import FieldError
from apps.intake import endings, receipts
from apps.intake.attempt import Attempt, Caller, as_problem, find_form, receipt_of
from apps.intake.gate.base import stored_answer
from apps.intake.pages import languages, words
from apps.intake.pages.frame import EMBED, FOR_GOING_BACK, Frame, for_form
from apps.intake.pages.words import Notice
from apps.intake.parsing import reserved
from apps.intake.parsing.body import MULTIPART, URLENCODED, content_type, read_content
from apps.intake.parsing.reserved import Payload
from apps.intake.ticket import NotCommittedError
from formhub.core.lanes import INLINE_BYTES, drive
from formhub.core.metrics import REFUSED
from formhub.core.problem import Problem

# A second click comes while the first is on its way to the log: so long it is waited for, rather than refused.
PATIENCE_SECONDS = 5.0
SEND = "send"
OURS = {languages.PARAMETER, EMBED, SEND}  # names in the address that say something to us and fill in nothing
LABEL_MAX = 80  # of a question, in the list of what needs a change


@dataclass(frozen=True, slots=True)
class Line:
    """What needs a change, and the input where (empty for what belongs to no question)."""

    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Earlier:
    """Other answers that were sent from the same page. `receipt`: its address, empty while they are on their way."""

    at: datetime | None = None
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The form as it is shown: what is filled in, under which key, and what stands above it."""

    key: str
    answers: Mapping[str, Any]
    errors: Mapping[str, FieldError] = field(default_factory=dict)
    astray: tuple[str, ...] = ()  # messages that belong to no question
    notice: Notice | None = None
    earlier: Earlier | None = None

    @property
    def status(self) -> int:
        if self.notice:
            return self.notice.status
        return 422 if self.errors or self.astray or self.earlier else 200


@method_decorator(csrf_exempt, name="dispatch")
class HostedForm(View):
    """Whoever sends it goes the short way (formhub.core.lanes) where the server has one."""

    http_method_names = ("get", "head", "post")
    short = True
    inline_bytes = INLINE_BYTES

    def get(self, request: HttpRequest, form: str) -> HttpResponse:
        return _shown(request, form=form)

    def post(self, request: HttpRequest, form: str) -> HttpResponse:
        return drive(self.answer(request, form))

    async def answer(self, request: HttpRequest, form: str) -> HttpResponse:
        try:
            found = await find_form(form)
        except Problem as problem:
            frame = Frame.of(request, form)
            return await frame.made(partial(frame.refuse, problem))
        frame = Frame.of(request, form, found)
        if found.key_required:
            return await frame.made(partial(_refuse_for_key, frame, found))
        return await _submit(frame, found)


@for_form
def _shown(frame: Frame, form: PublishedForm) -> HttpResponse:
    if form.key_required:
        return _refuse_for_key(frame, form)
    if form.closed:
        return frame.refuse(Problem(410, "form_closed", form.closed_text), title=form.title)
    return _show(frame, form, Page(_new_key(), _brought(frame.request.GET, form)))


def _refuse_for_key(frame: Frame, form: PublishedForm) -> HttpResponse:
    return frame.refuse(Problem(403, "key_required", ""), title=form.title)


async def _submit(frame: Frame, form: PublishedForm) -> HttpResponse:
    attempt = Attempt(form, Caller.of(frame.request), frame.language.ours)
    try:
        await attempt.enter(lambda: _read(frame.request))
        await attempt.wait_for_first(PATIENCE_SECONDS)
        answer = attempt.replayed() or await attempt.finish()
    except (Problem, NotCommittedError) as error:
        problem = as_problem(error)
        assert problem is not None
        REFUSED.labels(problem.code).inc()
        return await frame.made(partial(_again, frame, attempt, problem))
    address = endings.address(form, frame.name, receipt_of(form, answer), **frame.query)
    return frame.finished(HttpResponseRedirect(address, status=303))


def _read(request: HttpRequest) -> Payload:
    """Raises Problem 400, 413, 415, 422."""
    content_type(request, (URLENCODED, MULTIPART))
    return reserved.split(read_content(request, settings.INTAKE_BODY_BYTES_MAX))


def _again(frame: Frame, attempt: Attempt, problem: Problem) -> HttpResponse:
    """The form with all that was filled in, and what stands in the way; or a page where that is of no use."""
    form, answers, key = attempt.form, attempt.payload.answers, attempt.payload.key or _new_key()
    if problem.code == "answers_refused":
        return _show(frame, form, _with_errors(attempt, problem, key))
    if problem.code == "idempotency_key_reused":
        return _show(frame, form, Page(_new_key(), answers, earlier=_earlier(attempt)))
    # A body that could not be read has left nothing to show again.
    if attempt.payload.from_form and (notice := words.notice(problem)):
        return _show(frame, form, Page(key, answers, notice=notice))
    return frame.refuse(problem, title=form.title)


def _with_errors(attempt: Attempt, problem: Problem, key: str) -> Page:
    known = attempt.form.compiled.fields
    errors = {error["field"]: FieldError(**error) for error in problem.errors}
    astray = tuple(error.message for name, error in errors.items() if name not in known)
    mine = {name: error for name, error in errors.items() if name in known}
    if astray and attempt.payload.version not in (None, attempt.form.version):
        # The page was made from an earlier version, and nobody can mend an answer to a question that is gone.
        return Page(key, attempt.payload.answers, mine, notice=words.form_changed())
    return Page(key, attempt.payload.answers, mine, astray)


def _earlier(attempt: Attempt) -> Earlier:
    before = stored_answer(attempt.entry.held or "")
    if before is None:
        return Earlier()
    receipt = receipt_of(attempt.form, orjson.loads(before))
    return Earlier(receipt.accepted_at, reverse("receipt", args=[receipts.issue(receipt)]))


def _brought(query: QueryDict, form: PublishedForm) -> dict[str, Any]:
    """Answers that a link fills in. Names that are no question's are passed over: links carry other things too."""
    answers: dict[str, Any] = {}
    for key in (form.compiled.fields.keys() & query.keys()) - OURS:
        values = [value for value in query.getlist(key) if "\0" not in value]
        if values and fields.get(form.compiled.fields[key].type).prefillable:
            answers[key] = values[0] if len(values) == 1 else values
    return answers


def _show(frame: Frame, form: PublishedForm, page: Page) -> HttpResponse:
    code = frame.language.code
    filled = markup.Filled(code, page.answers, page.errors, seed=page.key)
    context = {
        "form": form,
        "page": page,
        "action": _action(frame),
        "lines": _lines(form, page, code),
        "questions": markup.render_pages(form.definition, filled),
        "languages": [] if frame.request.method == "POST" else _languages(frame, form),
    }
    headers = page.notice.headers if page.notice else {}
    return frame.respond("intake/form.html", context, page.status, headers, FOR_GOING_BACK)


def _action(frame: Frame) -> str:
    """Where the form is sent: here, by another address.

    A browser forgets what it keeps of an address that was posted to; who goes back would then get a form with another
    key, and sending it once more would count as new. What a link brought along is left out: it may have been changed.
    """
    return f"{frame.request.path}?{urlencode({**frame.query, SEND: '1'})}"


def _lines(form: PublishedForm, page: Page, language: str) -> list[Line]:
    lines = []
    for key, error in page.errors.items():
        element = form.compiled.fields[key]
        label = text(element.label, language) or key
        shown = label if len(label) <= LABEL_MAX else f"{label[: LABEL_MAX - 1]}…"
        colon = "" if unicodedata.category(shown[-1]) == "Po" else ":"  # a question mark ends it, in any script
        lines.append(Line(markup.anchor(element, error.code), f"{shown}{colon} {error.message}"))
    return lines + [Line("", message) for message in page.astray]


def _languages(frame: Frame, form: PublishedForm) -> list[tuple[languages.Language, str]]:
    """The form's languages with the address of this page in each, what a link brought along included."""
    codes = form.definition["languages"]
    if len(codes) < 2:
        return []
    found = []
    for code in codes:
        query = frame.request.GET.copy()
        query[languages.PARAMETER] = code
        found.append((languages.described(code), f"{frame.request.path}?{query.urlencode()}"))
    return found


def _new_key() -> str:
    return secrets.token_urlsafe(18)
