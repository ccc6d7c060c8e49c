"""Pages that a respondent sees."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.forms import published
from apps.intake import receipts


@require_safe
def receipt(request: HttpRequest, token: str) -> HttpResponse:
    try:
        found = receipts.read(token)
    except receipts.NoReceiptError:
        raise Http404 from None
    # The form may be gone, or was never to be found again: the receipt stands without it.
    form = published.by_id(found.form)
    response = render(request, "intake/receipt.html", {"receipt": found, "form": form})
    response["Cache-Control"] = "private, no-store"
    response["X-Robots-Tag"] = "noindex"
    return response
