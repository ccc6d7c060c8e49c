"""What stands for each placeholder of a text: words about the submission, and the answers as people read them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.sinks.builtin.wording import placeholders
from apps.sinks.contract import Part, Submission
from formhub.core.layout import Cell, Column, Kind, Layout

VALUE_MAX = 5_000  # characters of one answer
ANSWERS_MAX = 50_000  # of all answers together
VALUES_MAX = 100_000  # of all that is put into a text, however often it names a placeholder
NAMES_SHOWN = 20
PLAIN = ("form", "id", "accepted_at")  # placeholders that hold nothing of what was answered
WORDS = (*PLAIN, "link", "answers")  # all that are no question's key
_SAMPLE = Submission(
    id=UUID("00000000-0000-7000-8000-000000000000"),
    form=UUID("00000000-0000-7000-8000-000000000000"),
    version=1,
    position=0,
    accepted_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
    answers={},
)


def of(part: Part, submission: Submission, line: int = VALUE_MAX) -> Callable[[str], str]:
    """The value for a placeholder's name. Empty for a field that the form no longer has. line: the longest that one
    answer may be in the list of all.
    """
    known: dict[str, Callable[[], str]] = {
        "form": lambda: part.form_title,
        "id": lambda: str(submission.id),
        "accepted_at": lambda: _shown(submission.accepted_at),
        "link": lambda: part.link(submission),
        "answers": lambda: _answers(part.layout, submission, line),
    }
    return lambda name: known[name]() if name in known else _answer(part.layout, submission, name)


def bounded(value: Callable[[str], str]) -> Callable[[str], str]:
    """The same until so much was put in; nothing after that."""
    left = VALUES_MAX

    def found(name: str) -> str:
        nonlocal left
        text = value(name)[:left]
        left -= len(text)
        return text

    return found


def sample(config: Mapping[str, Any], title: str, layout: Layout, answers: Mapping[str, Any]) -> Part:
    """A part with one submission that is none."""
    made = replace(_SAMPLE, answers=answers)
    return Part(0, made.form, title, config, layout, (made,))


def sample_of(config: Mapping[str, Any], texts: Iterable[str]) -> Part:
    """The same for settings of which the form is not known: each question's key is its answer."""
    names = dict.fromkeys(name for text in texts for name in placeholders.names(text))
    keys = [name for name in names if name not in WORDS]
    layout = Layout(tuple(Column(key, key, Kind.TEXT) for key in keys))
    return sample(config, _("Your form"), layout, {key: f"[{key}]" for key in keys})


def unknown(
    config: Mapping[str, Any], settings: Iterable[str], layout: Layout, others: Sequence[str]
) -> dict[str, str]:
    """Placeholders that are neither among `others` nor questions of the form, by the setting they stand in."""
    keys = [column.key for column in layout.columns]
    found = {}
    for setting in settings:
        odd = [name for name in placeholders.names(str(config[setting])) if name not in (*others, *keys)]
        if odd:
            found[setting] = _("There is no {{ %(name)s }}. Use one of these, or remove it: %(known)s.") % {
                "name": odd[0],
                "known": listed([*others, *keys]),
            }
    return found


def listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (", …" if len(names) > NAMES_SHOWN else "")


def _answer(layout: Layout, submission: Submission, key: str) -> str:
    column = next((column for column in layout.columns if column.key == key), None)
    return "" if column is None else _shown(column.cell(submission.answers.get(key)))


def _answers(layout: Layout, submission: Submission, line: int) -> str:
    given = [
        f"{column.label}: {shown}"
        for column, cell in zip(layout.columns, layout.row(submission.answers), strict=True)
        if (shown := _shown(cell, line))
    ]
    text = "\n".join(given)
    return text if len(text) <= ANSWERS_MAX else text[:ANSWERS_MAX] + "\n…"


def _shown(cell: Cell, longest: int = VALUE_MAX) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return _("yes") if cell else _("no")
    if isinstance(cell, datetime):
        # A time that was answered without a zone is shown as it was given.
        return f"{cell.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if cell.tzinfo else f"{cell:%Y-%m-%d %H:%M}"
    text = str(cell)
    return text if len(text) <= longest else text[:longest] + "…"
