"""Whether an action's settings fit its form, of which only the columns are known here.

The form is another room's; the setting SINKS_LAYOUT (form id -> layout or None) names its function.
"""

from collections.abc import Mapping
from uuid import UUID

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from apps.sinks.config import Settings
from apps.sinks.contract import Sink


def misfits(kind: type[Sink], settings: Settings, form_id: UUID) -> Mapping[str, str]:
    """By setting, what is wrong. Nothing is known of a form that is not published yet."""
    layout = import_string(django_settings.SINKS_LAYOUT)(form_id)
    return {} if layout is None else kind.misfits(settings.opened, layout)
