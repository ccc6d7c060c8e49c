"""From which position a change of an action counts.

The log is another room's; the setting SINKS_LOG_END names its function (form id -> position).
"""

from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string


def log_end(form_id: UUID) -> int:
    """The position that the form's next submission will have at least."""
    end: int = import_string(settings.SINKS_LOG_END)(form_id)
    return end
