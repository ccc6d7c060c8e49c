"""From which position a change of an action counts.

The log is another room's; the settings SINKS_LOG_END (form id -> position) and SINKS_POSITION_AT (form id, moment ->
position or None) name its functions.
"""

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string


def log_end(form_id: UUID) -> int:
    """The position that the form's next submission will have at least."""
    end: int = import_string(settings.SINKS_LOG_END)(form_id)
    return end


def since(form_id: UUID, moment: datetime | None) -> int:
    """After which position a back-fill has to look: all that was accepted from `moment` on, or all there is."""
    if moment is None:
        return -1
    first: int | None = import_string(settings.SINKS_POSITION_AT)(form_id, moment)
    return log_end(form_id) - 1 if first is None else first - 1
