"""A submission's answers as people read them: the question's words, and what stands in the form's table."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import formats, timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from apps.archive import queries
from apps.forms import published
from formhub.core.layout import Cell, Column


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is empty for a question that was not answered."""

    key: str
    label: str
    text: str


def answers(form_id: UUID, given: Mapping[str, Any]) -> list[Answer]:
    """Every question of the form as it is now, then answers to questions that only earlier versions asked.

    Answers that no published version knows, or those of a form that is gone, stand under their keys.
    """
    form = published.by_id(form_id)
    known: tuple[Column, ...] = form.layout.columns if form else ()
    asked: Collection[str] = form.compiled.fields if form else ()
    shown = [column for column in known if column.key in asked or column.key in given]
    found = [Answer(column.key, column.label, text(column.cell(given.get(column.key)))) for column in shown]
    named = {column.key for column in shown}
    return found + [Answer(key, key, _plain(value)) for key, value in given.items() if key not in named]


@dataclass(frozen=True, slots=True)
class Noted:
    """What a processor noted of a submission, in words: pairs of a name and a text."""

    label: str
    pairs: Sequence[tuple[str, str]]


def results(form_id: UUID, submission_id: UUID) -> list[Noted]:
    describe = import_string(settings.ARCHIVE_DESCRIBE)
    return [Noted(*describe(result.stream, result.body)) for result in queries.results(form_id, submission_id)]


def columns(form_id: UUID) -> list[Column]:
    """Of the questions that the form asks now; none for a form that is gone."""
    form = published.by_id(form_id)
    return [column for column in form.layout.columns if column.key in form.compiled.fields] if form else []


def text(cell: Cell) -> str:
    """A cell in the reader's language."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return _("Yes") if cell else _("No")
    if isinstance(cell, datetime):
        moment = timezone.localtime(cell) if timezone.is_aware(cell) else cell
        return formats.date_format(moment, "DATETIME_FORMAT")
    if isinstance(cell, date):
        return formats.date_format(cell, "DATE_FORMAT")
    return str(formats.localize(cell))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
