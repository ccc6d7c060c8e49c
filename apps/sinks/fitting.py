"""Whether an action's settings fit its form, of which only the columns are known here.

The form is another room's; the setting SINKS_LAYOUT (form id -> layout or None) names its function.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from apps.sinks.config import Settings
from apps.sinks.contract import Sink
from apps.sinks.selection import Problem, Selection
from formhub.core.layout import Layout


def layout_of(form_id: UUID) -> Layout | None:
    """None: it is not published yet, nothing is known of it."""
    found: Layout | None = import_string(django_settings.SINKS_LAYOUT)(form_id)
    return found


def misfits(kind: type[Sink], settings: Settings, form_id: UUID, selection: Any = None) -> Mapping[str, str]:
    """By setting, what is wrong with it for what the action sends of its form."""
    layout = layout_of(form_id)
    return {} if layout is None else kind.misfits(settings.opened, Selection.from_json(selection).layout(layout))


def unsendable(selection: Any, form_id: UUID) -> list[Problem]:
    """What of a selection the form does not have."""
    layout = layout_of(form_id)
    return [] if layout is None else list(Selection.from_json(selection).problems(layout))
