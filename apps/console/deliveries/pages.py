"""Pages of the delivery console. They work without scripts; with them the figures renew themselves."""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.archive import queries as archive
from apps.archive import readable
from apps.console.deliveries import advice
from apps.console.deliveries.asking import Filters
from apps.console.reading import readable_form
from apps.forms.published import PublishedForm
from apps.orgs import access
from apps.orgs.access import Right
from apps.sinks import listing, replay, summary, tally
from apps.sinks.models import UNFINISHED, Batch, BatchItem, BatchState, Binding
from apps.sinks.queries import carries, contents

ITEMS_SHOWN = 100


@require_safe
@login_required
def overview(request: HttpRequest, form: str) -> HttpResponse:
    """Each action of a form at a glance. Asked by our script, the part that changes, or 304 where it has not."""
    found = the_form(request, form)
    context = {
        "form": found,
        "summaries": summary.of(found.id),
        "hours": tally.last_hours(actions_of(found).values_list("pk", flat=True), timezone.now()),
        "may_edit": may_edit(request, found),
    }
    live = render_to_string("console/deliveries/live.html", context, request)
    tag = f'"{hashlib.sha256(live.encode()).hexdigest()[:32]}"'
    response: HttpResponse
    if request.headers.get("X-Live") != "1":
        response = shown(
            request, "console/deliveries/overview.html", {**context, "tab": "overview", "live": live, "tag": tag}
        )
    elif request.headers.get("If-None-Match") == tag:
        response = HttpResponseNotModified()
    else:
        response = HttpResponse(live)
    response["ETag"] = tag
    response["Cache-Control"] = "private, no-store"
    response["Vary"] = "Cookie, X-Live"
    return response


@require_safe
@login_required
def of_action(request: HttpRequest, action: int) -> HttpResponse:
    """Where mails about an action lead: to its form's page."""
    mine = access.scoped(Binding.objects.all(), access.actor(request))
    found = mine.filter(pk=action).values_list("form__public_id", flat=True).first() if action < 2**63 else None
    if found is None:
        raise Http404
    return redirect("deliveries", found)


@require_safe
@login_required
def hours(request: HttpRequest, form: str) -> HttpResponse:
    """What the chart shows."""
    found = the_form(request, form)
    rows = tally.last_hours(actions_of(found).values_list("pk", flat=True), timezone.now())
    points = [{"at": row.at, "delivered": row.delivered, "failed": row.failed} for row in rows]
    response = JsonResponse({"hours": points})
    response["Cache-Control"] = "private, no-store"
    return response


@require_safe
@login_required
def deliveries(request: HttpRequest, form: str) -> HttpResponse:
    found = the_form(request, form)
    filters = Filters(request.GET, actions_of(found))
    page = listing.deliveries(filters.bindings, filters.asked, request.GET.get("after", ""))
    return shown(request, "console/deliveries/list.html", _list(request, found, filters, page, "list"))


@require_safe
@login_required
def failed(request: HttpRequest, form: str) -> HttpResponse:
    """Submissions that were given up, with the reason."""
    found = the_form(request, form)
    filters = Filters(request.GET, actions_of(found), states=False)
    page = listing.failures(filters.bindings, filters.asked, request.GET.get("after", ""))
    rows = [(row, advice.remedy(row.code)) for row in page.rows]
    context = _list(request, found, filters, page, "failed")
    return shown(request, "console/deliveries/failed.html", {**context, "rows": rows})


@require_safe
@login_required
def delivery(request: HttpRequest, form: str, id: UUID) -> HttpResponse:
    """One: what it carried, each attempt, and what to do."""
    found = the_form(request, form)
    bindings = actions_of(found)
    batch = Batch.objects.filter(carries(bindings.values("pk")), pk=id).select_related("destination").first()
    # What was given up is carried no more, and yet its delivery can be opened.
    gone = batch is None and replay.of_delivery(bindings, id).exists()
    batch = Batch.objects.select_related("destination").get(pk=id) if gone else batch
    if batch is None:
        raise Http404
    items = contents(batch, ITEMS_SHOWN, bindings.values("pk"))
    one = archive.get(found.id, items[0].submission_id) if len(items) == 1 else None
    delivered = {item.binding_id for item in items if isinstance(item, BatchItem)}
    ended = batch.state == BatchState.DELIVERED and may_edit(request, found)
    repeatable = [one for one in bindings.filter(pk__in=delivered) if ended and replay.can_repeat(one)]
    context = {
        "form": found,
        "batch": batch,
        "items": items,
        "more": max(0, batch.size - len(items)) if items else 0,
        "answers": readable.answers(found.id, one.answers) if one else [],
        "failed": list(replay.of_delivery(bindings, id)[:ITEMS_SHOWN]),
        "remedy": advice.remedy(batch.code),
        "attempts": [(datetime.fromisoformat(each["at"]), each["code"]) for each in batch.tries],
        "waits": batch.state in UNFINISHED,
        "repeatable": repeatable,
        "may_edit": may_edit(request, found),
    }
    return shown(request, "console/deliveries/one.html", context)


def the_form(request: HttpRequest, name: str) -> PublishedForm:
    """Raises Http404, for a form of others as for none."""
    found = readable_form(access.actor(request), name)
    if found is None:
        raise Http404
    return found


def the_editable(request: HttpRequest, name: str) -> PublishedForm:
    """Raises Http404, and PermissionDenied for those who may only look."""
    found = the_form(request, name)
    if not may_edit(request, found):
        raise PermissionDenied
    return found


def may_edit(request: HttpRequest, form: PublishedForm) -> bool:
    return access.allowed(access.actor(request), form.organization, Right.EDIT)


def actions_of(form: PublishedForm) -> QuerySet[Binding]:
    return Binding.objects.filter(form=form.id, organization=form.organization).order_by("pk")


def shown(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    response = render(request, template, context)
    response["Cache-Control"] = "private, no-store"
    return response


def _list(request: HttpRequest, form: PublishedForm, filters: Filters, page: listing.Page, tab: str) -> dict[str, Any]:
    return {
        "tab": tab,
        "form": form,
        "filters": filters,
        "page": page,
        "newest": filters.address() if request.GET.get("after") else "",
        "older": filters.address(after=page.after) if page.after else "",
        "replay": reverse("deliveries-replay", args=[form.public_id]) + filters.address(),
        "may_edit": may_edit(request, form),
    }
