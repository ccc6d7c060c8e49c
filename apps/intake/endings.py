"""What people see after sending: the ending of the form, or ours where it has none."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.forms.fields import text
from apps.forms.published import PublishedForm
from apps.intake import receipts
from apps.intake.receipts import Receipt

KEY = "received"  # of our own ending
RECEIPT = "receipt"


@dataclass(frozen=True, slots=True)
class Ending:
    key: str
    title: str
    text: str


def ending_of(form: PublishedForm, language: str) -> Ending:
    found: dict[str, Any] = next(iter(form.definition.get("endings", [])), {})
    return Ending(
        key=found.get("key", KEY),
        title=text(found.get("title", ""), language) or _("Your answers were received"),
        text=text(found.get("text", ""), language),
    )


def address(form: PublishedForm, name: str, receipt: Receipt, **query: str) -> str:
    """The path of the ending's page for a respondent of the form that they know by this name.

    The receipt travels in the query, not in a cookie: a page inside another site's has no cookies of its own in most
    browsers, two tabs would overwrite each other's, and the page can be reloaded. Whoever sees the address learns what
    the receipt itself says, when something was received and its number; and pages send no referrer.
    """
    path = reverse("ending", args=[name, ending_of(form, "").key])
    return f"{path}?{urlencode({RECEIPT: receipts.issue(receipt), **query})}"
