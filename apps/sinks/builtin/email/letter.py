"""What a mail says: the owner's text with the values of one submission put in, as text and as HTML made from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.utils.html import escape

from apps.sinks.builtin.wording import placeholders, values
from apps.sinks.contract import Part, Submission

SUBJECT_MAX = 200


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
    value = values.of(part, submission)
    text = str(config["text"]).replace("\r\n", "\n")
    lines = "\n".join(f"{said} {address}".strip() for said, address in foot)
    plain = placeholders.fill(text, values.bounded(value))
    bounded = values.bounded(value)
    # The owner's text and each value are escaped before they meet: nothing of either is read as HTML.
    body = placeholders.fill(escape(text), lambda name: _as_html(name, bounded(name)))
    return Letter(
        _one_line(placeholders.fill(str(config["subject"]), values.bounded(value))),
        f"{plain}\n\n-- \n{lines}\n" if foot else f"{plain}\n",
        _page(body, "<br>".join(f"{escape(said)} {_anchor(address)}".strip() for said, address in foot)),
    )


def headers(part: Part, submission: Submission, sender: str) -> dict[str, str]:
    """The same on every repeat, so that a mailbox can tell that it has the mail already."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    return {
        "Message-ID": f"<{submission.id}.{part.binding}@{domain}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }


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
