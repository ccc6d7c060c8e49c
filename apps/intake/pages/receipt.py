"""GET /r/{token}/: that, and when, answers were received."""

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apps.forms import published
from apps.forms.published import PublishedForm
from apps.intake import receipts
from apps.intake.pages.frame import Frame
from formhub.core.problem import Problem


@require_safe
def receipt(request: HttpRequest, token: str) -> HttpResponse:
    frame = Frame.of(request)
    try:
        found = receipts.read(token)
    except receipts.NoReceiptError:
        return frame.refuse(Problem(404, "no_receipt", ""))
    return frame.respond("intake/receipt.html", {"receipt": found, "form": _form(found)})


def _form(receipt: receipts.Receipt) -> PublishedForm | None:
    """The receipt stands without its form, which may be gone, or out of reach just now."""
    try:
        return published.by_id(receipt.form)
    except Error:
        return None
