"""GET /f/{form}/done/{ending}/: what is said to somebody whose answers were received."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.forms.published import PublishedForm
from apps.intake import endings, receipts
from apps.intake.pages.frame import Frame, for_form
from apps.intake.receipts import Receipt
from formhub.core.problem import Problem


@require_safe
def ending(request: HttpRequest, form: str, ending: str) -> HttpResponse:
    """Whichever ending is named, the form's present one is shown: another may have been published meanwhile."""
    try:
        receipt = receipts.read(request.GET.get(endings.RECEIPT, ""))
    except receipts.NoReceiptError:
        receipt = None
    page = _ending(request, form, receipt)
    if receipt is not None and page.status_code != 200:
        # It stands without the form, which may have been taken down since.
        return HttpResponseRedirect(reverse("receipt", args=[receipts.issue(receipt)]))
    return page


@for_form
def _ending(frame: Frame, form: PublishedForm, receipt: Receipt | None) -> HttpResponse:
    if receipt is None or receipt.form != form.id:
        # It would say thanks for answers that this form never got.
        return frame.refuse(Problem(404, "no_ending", ""), title=form.title, link=reverse("form", args=[frame.name]))
    context = {
        "form": form,
        "ending": endings.ending_of(form, frame.language.code),
        "receipt": receipt,
        "receipt_address": reverse("receipt", args=[receipts.issue(receipt)]),
    }
    return frame.respond("intake/ending.html", context)
