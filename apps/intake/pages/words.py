"""What pages say where there is no form to fill in, or answers could not be taken: what happened, and what to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from formhub.core.problem import Problem


@dataclass(frozen=True, slots=True)
class Message:
    """A page by itself. `text`: what is the matter; `remedy`: what to do about it."""

    status: int
    title: str
    text: str
    remedy: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """Above a form whose answers were not taken though nothing is wrong with them."""

    title: str
    text: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


def message(problem: Problem) -> Message:
    """Whatever has no message of its own concerns a body that our own pages do not send."""
    title, text, remedy = _MESSAGES.get(problem.code, _unreadable)()
    if problem.code == "form_closed" and problem.detail:
        text = problem.detail  # its owner's own words
    return Message(problem.status, title, text, remedy, problem.headers)


def notice(problem: Problem) -> Notice | None:
    """What a form says above answers that it keeps; None for a problem that it cannot keep them after."""
    words = _NOTICES.get(problem.code)
    if words is None:
        return None
    title, text = words(problem)
    return Notice(title, text, problem.status, problem.headers)


def form_changed() -> Notice:
    return Notice(
        _("The form has changed since you opened it"),
        _("Some questions were changed or removed. Your other answers are kept: look through them, then send them."),
        409,
    )


def in_time(seconds: int) -> str:
    """Rounded up: whoever comes at that time is not sent away once more."""
    if seconds < 90:
        return ngettext("in %(number)s second", "in %(number)s seconds", seconds) % {"number": seconds}
    if seconds < 90 * 60:
        minutes = ceil(seconds / 60)
        return ngettext("in %(number)s minute", "in %(number)s minutes", minutes) % {"number": minutes}
    hours = ceil(seconds / 3600)
    return ngettext("in %(number)s hour", "in %(number)s hours", hours) % {"number": hours}


def _not_found() -> tuple[str, str, str]:
    return (
        _("There is no form here"),
        _("The address may be mistyped, or the form is not published yet or was taken down."),
        _("Check the address. If you followed a link, tell whoever gave it to you."),
    )


def _not_looked_up() -> tuple[str, str, str]:
    return (
        _("The form cannot be shown just now"),
        _("Something is wrong on our side. It should be over soon."),
        _("Wait a moment, then load this page again."),
    )


def _closed() -> tuple[str, str, str]:
    return (
        _("This form is closed"),
        _("It takes no more answers."),
        _("If you still have something to send, ask whoever gave you the link."),
    )


def _key_required() -> tuple[str, str, str]:
    return (
        _("This form cannot be filled in here"),
        _("It takes answers from programs only."),
        _("If you expected questions here, ask whoever gave you the link."),
    )


def _too_large() -> tuple[str, str, str]:
    return (
        _("Your answers are too long"),
        _("Together they are larger than a form can send, so nothing was sent."),
        _("Go back, where your browser still has them, shorten the longest ones and send again."),
    )


def _unreadable() -> tuple[str, str, str]:
    return (
        _("Your answers could not be read"),
        _("They arrived incomplete or damaged, so nothing was kept."),
        _("Go back, where your browser still has them, and send again."),
    )


def _no_ending() -> tuple[str, str, str]:
    return (
        _("There is nothing to show here"),
        _("This page is shown once answers were received, and its address is incomplete."),
        _("If you have not sent your answers yet, open the form."),
    )


def _no_receipt() -> tuple[str, str, str]:
    return (
        _("This is no receipt of ours"),
        _("The address is incomplete or was changed."),
        _("Copy it once more from where you kept it."),
    )


_MESSAGES: Mapping[str, Callable[[], tuple[str, str, str]]] = {
    "not_found": _not_found,
    "not_looked_up": _not_looked_up,
    "form_closed": _closed,
    "key_required": _key_required,
    "body_too_large": _too_large,
    "no_ending": _no_ending,
    "no_receipt": _no_receipt,
}


def _not_stored(problem: Problem) -> tuple[str, str]:
    return _not_sent(), _(
        "They could not be stored just now. They are still in the form below: wait a moment, then send them again. "
        "However often you press, they are received once."
    )


def _rate_limited(problem: Problem) -> tuple[str, str]:
    when = in_time(int(problem.headers.get("Retry-After", "60")))
    return _not_sent(), _(
        "Too many answers are arriving at once. Yours are still in the form below: send them again %(when)s."
    ) % {"when": when}


def _still_running(problem: Problem) -> tuple[str, str]:
    return _("Your answers are still on their way"), _(
        "They were sent before and are being stored. Wait a few seconds, then send them again: they are received once."
    )


def _too_long(problem: Problem) -> tuple[str, str]:
    return _not_sent(), _("Together they are larger than can be stored. Shorten the longest ones, then send them.")


def _not_sent() -> str:
    return _("Your answers were not sent yet")


_NOTICES: Mapping[str, Callable[[Problem], tuple[str, str]]] = {
    "not_stored": _not_stored,
    "rate_limited": _rate_limited,
    "still_running": _still_running,
    "submission_too_large": _too_long,
}
