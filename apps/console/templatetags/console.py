"""Figures and kinds in words, for templates of the console."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.console.words import duration
from apps.sinks.models import FormerItem
from apps.sinks.registry import label_of

register = template.Library()
register.filter("in_words", duration)
register.filter("kind_label", label_of)


@register.filter
def since(moment: datetime) -> str:
    """No finer than minutes: a page that shows it is the same until something happens."""
    seconds = (timezone.now() - moment).total_seconds()
    return duration(seconds - seconds % 60) if seconds >= 60 else _("less than a minute")


@register.filter
def percent(share: float) -> int:
    return round(100 * share)


@register.filter
def is_former(item: object) -> bool:
    """Whether it was delivered once more since, by another delivery."""
    return isinstance(item, FormerItem)
