"""Many submissions of one caller at once: each taken or refused by itself, and answered in the order they came.

First all are handed over, so that they travel to the broker as groups; then the receipts are waited for, and what got
none is handed to the outbox; only then that is waited for.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from apps.forms.published import PublishedForm
from apps.intake import idempotency
from apps.intake.accept import Pending, wait_seconds
from apps.intake.attempt import Attempt, Caller, as_problem
from apps.intake.gate.base import Entry
from apps.intake.parsing.reserved import Payload
from apps.intake.ticket import RETRY_SECONDS, NotCommittedError
from formhub.core import logs, problem
from formhub.core.clock import Clock, SystemClock
from formhub.core.lanes import drive
from formhub.core.metrics import REFUSED
from formhub.core.problem import Problem

# A thousand submissions take a second. What is not handed over within this time is refused, so that the answer comes
# before gateways give up, however slow the machine.
HAND_OVER_SECONDS = 3.5
# So many ask the gate before the first waits for it; of one key only one, whose outcome decides about the next.
GROUP_LINES = 100
Answer = dict[str, Any]
Read = Callable[[], Payload]


@dataclass(slots=True)
class _Line:
    """A submission on its way. `twin`: an earlier line with the same key and answers, whose outcome is this one's."""

    attempt: Attempt
    pending: Pending | None = None
    twin: "_Line | None" = None
    answer: Answer | None = None


def submit(
    form: PublishedForm, caller: Caller, reads: Iterable[Read], clock: Clock | None = None
) -> tuple[list[Answer], Entry]:
    """The answers, each a 202's body or a problem, both with `status`; and where the last line stood at the limits.

    `reads`: for each submission a function that reads it, and may raise Problem.
    """
    clock = clock or SystemClock()
    until = clock.monotonic() + HAND_OVER_SECONDS
    lines: list[_Line] = []
    group: list[_Line] = []
    sent: dict[str, _Line] = {}
    for read in reads:
        line = _Line(Attempt(form, caller))
        lines.append(line)
        if clock.monotonic() > until:
            line.answer = _refused(_not_reached())
            continue
        line.attempt.read(read)
        if len(group) == GROUP_LINES or _one_has(group, line.attempt.payload.key):
            _take(group, sent)
            group = []
        line.attempt.ask()
        group.append(line)
    _take(group, sent)
    # One wait for all: a thousand receipts that stay away are waited for no longer than one.
    until = clock.monotonic() + wait_seconds()
    for line in lines:
        if line.pending is not None:
            line.pending.ask_log(max(0.0, until - clock.monotonic()))
    return [_outcome(line) for line in lines], lines[-1].attempt.entry


def _one_has(group: list[_Line], key: str) -> bool:
    return bool(key) and any(line.attempt.payload.key == key for line in group)


def _take(group: list[_Line], sent: dict[str, _Line]) -> None:
    for line in group:
        with logs.context(form=line.attempt.form.id):
            _take_one(line, sent)


def _take_one(line: _Line, sent: dict[str, _Line]) -> None:
    """As far as the log; what is refused on the way, or was answered before, has its answer now."""
    attempt = line.attempt
    try:
        drive(attempt.passed())
        line.twin = _twin(attempt, sent)
        if line.twin is None:
            _send(line, sent)
    except (Problem, NotCommittedError) as error:
        line.answer = _refused(error)


def _twin(attempt: Attempt, sent: dict[str, _Line]) -> _Line | None:
    """The line of this batch that is on its way under the same key. Raises Problem 422 if it has other answers.

    The gate's record would tell as much, but only while Redis is there.
    """
    first = sent.get(attempt.payload.key)
    if first is not None and first.attempt.parsed != attempt.parsed:
        attempt.withdraw()
        raise idempotency.reused()
    return first


def _send(line: _Line, sent: dict[str, _Line]) -> None:
    attempt = line.attempt
    if before := attempt.replayed():
        line.answer = _with_status(before)
        return
    try:
        line.pending = attempt.send()
    except Exception:
        attempt.withdraw()
        raise
    if attempt.payload.key:
        sent[attempt.payload.key] = line


def _outcome(line: _Line) -> Answer:
    if line.answer is None:
        line.answer = _accepted(line) if line.twin is None else _outcome(line.twin)
    return line.answer


def _accepted(line: _Line) -> Answer:
    assert line.pending is not None
    try:
        return _with_status(line.attempt.accepted(line.pending.result()))
    except NotCommittedError as error:
        line.attempt.withdraw()
        return _refused(error)


def _with_status(body: Answer) -> Answer:
    return {"status": 202, **body}


def _refused(error: Problem | NotCommittedError) -> Answer:
    """The problem as a line has it: it has no headers, so that the one number in them is a member."""
    found = as_problem(error)
    assert found is not None
    REFUSED.labels(found.code).inc()
    body = problem.body(found)
    if seconds := found.headers.get("Retry-After"):
        body["retry_after"] = int(seconds)
    return body


def _not_reached() -> Problem:
    detail = "The batch took too long before this submission's turn; nothing of it was kept. Send it again."
    return Problem(503, "not_reached", detail, headers={"Retry-After": str(RETRY_SECONDS)})
