"""What a mail says: the owner's text with the values of one submission put in, as text and as HTML made from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any
from uuid import UUID

from django.core.mail import EmailMultiAlternatives
from django.utils.html import escape
from django.utils.translation import gettext as _

from apps.sinks.builtin.email import placeholders
from apps.sinks.contract import Part, Submission
from formhub.core.layout import Cell, Layout

SUBJECT_MAX = 200
VALUE_MAX = 5_000  # characters of one answer
ANSWERS_MAX = 50_000  # of all answers together
VALUES_MAX = 100_000  # of all that is put into a text, however often it names a placeholder
PLAIN = ("form", "id", "accepted_at")  # placeholders that hold nothing of what was answered
SAMPLE = Submission(
    id=UUID("00000000-0000-7000-8000-000000000000"),
    form=UUID("00000000-0000-7000-8000-000000000000"),
    version=1,
    position=0,
    accepted_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
    answers={},
)


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    text: str
    html: str

    def message(self, to: Sequence[str], headers: Mapping[str, str], reply_to: str = "") -> EmailMultiAlternatives:
        made = EmailMultiAlternatives(
            self.subject, self.text, to=list(to), headers=dict(headers), reply_to=[reply_to] if reply_to else None
        )
        made.attach_alternative(self.html, "text/html")
        return made


def write(
    config: Mapping[str, Any], part: Part, submission: Submission, foot: Sequence[tuple[str, str]] = ()
) -> Letter:
    """foot: lines of our own below the owner's text, each with the address that it ends with (or none)."""
    known = _values(part, submission)

    def value(name: str) -> str:
        return known[name]() if name in known else _answer(part.layout, submission, name)

    text = str(config["text"]).replace("\r\n", "\n")
    lines = "\n".join(f"{said} {address}".strip() for said, address in foot)
    plain = placeholders.fill(text, _bounded(value))
    bounded = _bounded(value)
    # The owner's text and each value are escaped before they meet: nothing of either is read as HTML.
    body = placeholders.fill(escape(text), lambda name: _as_html(name, bounded(name)))
    return Letter(
        _one_line(placeholders.fill(str(config["subject"]), _bounded(value))),
        f"{plain}\n\n-- \n{lines}\n" if foot else f"{plain}\n",
        _page(body, "<br>".join(f"{escape(said)} {_anchor(address)}".strip() for said, address in foot)),
    )


def preview(config: Mapping[str, Any], title: str, layout: Layout, answers: Mapping[str, Any]) -> Letter:
    """As `write` would have it for a submission that is none."""
    sample = replace(SAMPLE, answers=answers)
    return write(config, Part(0, sample.form, title, config, layout, (sample,)), sample)


def headers(part: Part, submission: Submission, sender: str) -> dict[str, str]:
    """The same on every repeat, so that a mailbox can tell that it has the mail already."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    return {
        "Message-ID": f"<{submission.id}.{part.binding}@{domain}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }


def _bounded(value: Callable[[str], str]) -> Callable[[str], str]:
    """The same until so much was put in; nothing after that."""
    left = VALUES_MAX

    def bounded(name: str) -> str:
        nonlocal left
        found = value(name)[:left]
        left -= len(found)
        return found

    return bounded


def _values(part: Part, submission: Submission) -> dict[str, Callable[[], str]]:
    return {
        "form": lambda: part.form_title,
        "id": lambda: str(submission.id),
        "accepted_at": lambda: _shown(submission.accepted_at),
        "link": lambda: part.link(submission),
        "answers": lambda: _answers(part.layout, submission),
    }


def _answer(layout: Layout, submission: Submission, key: str) -> str:
    """Empty for a field that the form no longer has."""
    column = next((column for column in layout.columns if column.key == key), None)
    return "" if column is None else _shown(column.cell(submission.answers.get(key)))


def _answers(layout: Layout, submission: Submission) -> str:
    given = [
        f"{column.label}: {shown}"
        for column, cell in zip(layout.columns, layout.row(submission.answers), strict=True)
        if (shown := _shown(cell))
    ]
    text = "\n".join(given)
    return text if len(text) <= ANSWERS_MAX else text[:ANSWERS_MAX] + "\n…"


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return _("yes") if cell else _("no")
    if isinstance(cell, datetime):
        # A time that was answered without a zone is shown as it was given.
        return f"{cell.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if cell.tzinfo else f"{cell:%Y-%m-%d %H:%M}"
    text = str(cell)
    return text if len(text) <= VALUE_MAX else text[:VALUE_MAX] + "…"


def _one_line(text: str) -> str:
    """A subject is one line of what can be printed: a line break would begin another header."""
    line = " ".join(text.split())
    return "".join(letter for letter in line if letter.isprintable())[:SUBJECT_MAX]


def _as_html(name: str, value: str) -> str:
    return _anchor(value) if name == "link" else escape(value)


def _anchor(address: str) -> str:
    return f'<a href="{escape(address)}">{escape(address)}</a>' if address else ""


def _page(body: str, foot: str) -> str:
    paragraphs = [f"<p>{part.strip().replace(chr(10), '<br>')}</p>" for part in body.split("\n\n") if part.strip()]
    if foot:
        paragraphs.append(f'<p style="color:#595959;font-size:13px">{foot}</p>')
    return (
        '<!doctype html><html><head><meta charset="utf-8"></head>'
        f'<body style="font-family:sans-serif;line-height:1.5">{"".join(paragraphs)}</body></html>'
    )
