"""What an action would send, for people to look at before they save it. Nothing is sent.

The form's newest submission where the caller may read answers and there is one; else one made up from its columns.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings as django_settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from apps.sinks import fitting
from apps.sinks.config import Settings, destination_key
from apps.sinks.contract import Batch, ConfigurationError, Context, DeliveryError, Part, Preview, Sink, Submission
from apps.sinks.selection import Selection
from formhub.core.layout import Column, Kind, Layout

logger = logging.getLogger(__name__)
NOBODY = UUID("00000000-0000-7000-8000-000000000000")


@dataclass(frozen=True, slots=True)
class Draft:
    """An action as it stands in a form, saved or not. `form` is a form of the other room."""

    form: Any
    kind: type[Sink]
    settings: Settings
    selection: Any = None
    binding: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """made_up: the answers are nobody's. trouble: why there is no preview."""

    preview: Preview | None
    made_up: bool = False
    trouble: str = ""


def preview(draft: Draft, *, may_read: bool) -> Outcome:
    layout = fitting.layout_of(draft.form.pk)
    if layout is None:
        return Outcome(None, trouble=_("Publish the form first: before that it has no fields to send."))
    newest = _newest(draft.form.pk) if may_read else None
    submission = newest or _made_up(draft.form.pk, layout)
    try:
        sink = draft.kind(draft.settings.opened, Context(draft.form.organization_id))
        return Outcome(sink.preview(_batch(draft, layout, submission)), made_up=newest is None)
    except ConfigurationError as error:
        return Outcome(None, trouble=f"{error} {error.remedy}".strip())
    except DeliveryError as error:
        return Outcome(None, trouble=str(error))
    except Exception as error:  # noqa: BLE001 - whatever a plug-in raises, the page must answer
        logger.error("preview of an action of form %s: %s", draft.form.pk, type(error).__name__)
        return Outcome(None, trouble=_("The preview failed unexpectedly (%(kind)s).") % {"kind": type(error).__name__})


def _batch(draft: Draft, layout: Layout, submission: Submission) -> Batch:
    chosen = Selection.from_json(draft.selection)
    public = django_settings.PUBLIC_URL
    part = Part(
        binding=draft.binding,
        form=draft.form.pk,
        form_title=draft.form.title,
        config=draft.settings.opened,
        layout=chosen.layout(layout),
        submissions=(replace(submission, answers=chosen.answers(submission.answers)),),
        pages=f"{public}/submissions/{draft.form.public_id}/" if public else "",
    )
    return Batch(NOBODY, 1, destination_key(draft.kind, draft.settings), (part,))


def _newest(form_id: UUID) -> Submission | None:
    archive = import_string(django_settings.SINKS_ARCHIVE)
    with archive.page(form_id, beyond=None, limit=1, newest_first=True) as rows:
        row = next(iter(rows), None)
    if row is None:
        return None
    return Submission(row.id, form_id, row.version, row.position, row.accepted_at, row.answers, row.meta, row.late)


def _made_up(form_id: UUID, layout: Layout) -> Submission:
    answers = {column.key: _SAMPLES[column.kind](column) for column in layout.columns}
    return Submission(NOBODY, form_id, 1, 0, datetime(2026, 1, 31, 12, tzinfo=UTC), answers)


def _some(column: Column) -> list[str]:
    return list(column.labels)[:2] or [_("choice")]


_SAMPLES: Mapping[Kind, Any] = {
    Kind.TEXT: lambda column: _("Sample of “%(label)s”") % {"label": column.label},
    Kind.NUMBER: lambda column: 12,
    Kind.BOOLEAN: lambda column: True,
    Kind.DATE: lambda column: "2026-01-31",
    Kind.DATETIME: lambda column: "2026-01-31T12:00:00+00:00",
    Kind.CHOICE: lambda column: _some(column)[0],
    Kind.CHOICES: _some,
}
