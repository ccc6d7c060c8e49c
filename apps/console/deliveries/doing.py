"""What is done from the delivery console: pause, resume, back-fill, replay. Nothing by a link alone."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from apps.console.deliveries.asking import MOMENT, Filters
from apps.console.deliveries.pages import actions_of, shown, the_editable
from apps.forms.published import PublishedForm
from apps.orgs import access, audit
from apps.sinks import actions, replay
from apps.sinks.admin.lists import as_uuid
from apps.sinks.admin.replaying import OfDelivered, OfFailed, Replaying, perform
from apps.sinks.changes import VERBS
from apps.sinks.models import Binding, Parked
from apps.sinks.positions import since
from apps.sinks.replay import Wanted

SAID: dict[str, Any] = {
    "pause": gettext_lazy("The action is paused. What is submitted waits, and nothing is lost."),
    "resume": gettext_lazy("The action goes on with what has gathered."),
    "fill_later": gettext_lazy("The back-fill stops where it is. What comes in is delivered."),
    "fill_on": gettext_lazy("The back-fill goes on."),
}


class BackFillForm(forms.Form):
    since = forms.DateTimeField(
        required=False,
        label=gettext_lazy("Accepted from (UTC)"),
        help_text=gettext_lazy("Empty: everything that the archive holds."),
        widget=forms.DateTimeInput(attrs={**MOMENT, "class": "input"}),
    )


@require_POST
@login_required
def act(request: HttpRequest, form: str, action: int, verb: str) -> HttpResponse:
    """Pause, resume, put a back-fill off, let it go on."""
    found = the_editable(request, form)
    if verb not in SAID:
        raise Http404
    binding = _action(found, action)
    VERBS[verb].act(binding)
    audit.record(access.actor(request), found.organization, VERBS[verb].recorded, binding)
    messages.success(request, SAID[verb])
    return _back(found)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def back_fill(request: HttpRequest, form: str, action: int) -> HttpResponse:
    """Says what a back-fill does, asks from when on, and begins it; its progress is on the form's page."""
    found = the_editable(request, form)
    binding = _action(found, action)
    asked = BackFillForm(request.POST if request.method == "POST" else None)
    if not asked.is_valid():
        return shown(request, "console/deliveries/fill.html", {"form": found, "action": binding, "asked": asked})
    moment: datetime | None = asked.cleaned_data["since"]
    actions.back_fill(binding, since(found.id, moment))
    said = {"since": ["", moment.isoformat()]} if moment else {}
    audit.record(access.actor(request), found.organization, VERBS["fill"].recorded, binding, said)
    messages.success(request, _("The back-fill has begun. It goes on by itself: you may leave this page."))
    return _back(found)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def replay_asked(request: HttpRequest, form: str) -> HttpResponse:
    """Counts what would be tried again and asks, then does it. Narrowed as the list of failed ones is."""
    found = the_editable(request, form)
    filters = Filters(request.GET, actions_of(found), states=False)
    if filters.errors:
        raise Http404  # nobody must get more than the filter would have left
    asked = _asked(request, filters)
    if request.method != "POST":
        context = {
            "form": found,
            "asked": asked,
            "count": asked.count(),
            "unsure": asked.unsure(),
            "counted": replay.AT_ONCE,
            "narrows": filters.narrows or "failed" in request.GET or "delivery" in request.GET,
        }
        return shown(request, "console/deliveries/replay.html", context)
    concerned = [one for one in filters.bindings if asked.rows.filter(binding=one).exists()]
    if perform(request, asked):
        for binding in concerned:
            audit.record(access.actor(request), found.organization, replay.RECORDED, binding)
    return _back(found)


def _asked(request: HttpRequest, filters: Filters) -> Replaying:
    """`of=delivered`: what an action delivered, by one `delivery` or in all; else what failed."""
    bindings, asked = filters.bindings, filters.asked
    only = bindings[0] if len(bindings) == 1 else None
    delivery = as_uuid(request.GET.get("delivery", ""))
    if delivery is None and "delivery" in request.GET:
        raise Http404  # an id that is none must not mean all of them
    if request.GET.get("of") == "delivered":
        if only is None or "action" not in request.GET:
            raise Http404
        return OfDelivered(only, request.GET)
    submissions = [asked.submission] if asked.submission else []
    wanted = Wanted(asked.code, asked.since, asked.until, submissions, delivery)
    return OfFailed(only, _one(request, wanted.narrow(Parked.objects.filter(binding__in=bindings), "parked_at")))


def _one(request: HttpRequest, rows: QuerySet[Parked]) -> QuerySet[Parked]:
    """`failed`: the row that somebody chose."""
    chosen = request.GET.get("failed", "")
    if not chosen:
        return rows
    if not chosen.isascii() or not chosen.isdigit() or len(chosen) > 18:
        raise Http404
    return rows.filter(pk=int(chosen))


def _action(form: PublishedForm, key: int) -> Binding:
    found = actions_of(form).filter(pk=key).first() if key < 2**63 else None
    if found is None:
        raise Http404
    return found


def _back(form: PublishedForm) -> HttpResponse:
    return HttpResponseRedirect(reverse("deliveries", args=[form.public_id]))
