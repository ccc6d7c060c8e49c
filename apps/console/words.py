"""Figures in words, for pages and the doctor."""

from django.utils.translation import gettext as _

_UNITS = ((86_400, 172_800, "d"), (3_600, 7_200, "h"), (60, 120, "min"))


def duration(seconds: float) -> str:
    """In the largest unit of which there are two: 90 s, 5 min, 3 h, 2 d."""
    for size, least, unit in _UNITS:
        if seconds >= least:
            return f"{int(seconds // size)} {unit}"
    return _("%(count)d s") % {"count": int(seconds)}
