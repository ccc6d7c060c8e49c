"""Pages that join rooms, for members who are signed in."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from apps.archive import queries, readable
from apps.archive.queries import Stored
from apps.console import erasing
from apps.console.reading import readable_form, standing
from apps.forms.published import PublishedForm
from apps.orgs import access
from apps.orgs.access import Right


@require_safe
@login_required
def submission(request: HttpRequest, form: str, id: UUID) -> HttpResponse:
    """A submission: where it stands at each action, and its answers in the form's words."""
    found, stored = _found(request, form, id)
    context = {
        "form": found,
        "submission": stored,
        "states": standing(stored),
        "answers": readable.answers(found.id, stored.answers),
        "results": readable.results(found.id, stored.id),
        "may_erase": _may_erase(request, found),
    }
    return _shown(request, "console/submission.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def erase(request: HttpRequest, form: str, id: UUID) -> HttpResponse:
    """Says what goes and what erasing does not reach, then erases."""
    found, stored = _found(request, form, id)
    if not _may_erase(request, found):
        raise PermissionDenied
    if request.method != "POST":
        context = {"form": found, "submission": stored, "copies": erasing.copies(found.id, id)}
        return _shown(request, "console/erase.html", context)
    erasing.erase(access.actor(request), found.organization, found.id, [id])
    messages.success(request, _("The submission was erased."))
    return HttpResponseRedirect(f"{reverse('admin:archive_submission_changelist')}?form={found.id}")


def _found(request: HttpRequest, form: str, id: UUID) -> tuple[PublishedForm, Stored]:
    found = readable_form(access.actor(request), form)
    stored = queries.get(found.id, id) if found else None
    if found is None or stored is None:
        raise Http404
    return found, stored


def _may_erase(request: HttpRequest, form: PublishedForm) -> bool:
    return access.allowed(access.actor(request), form.organization, Right.EDIT)


def _shown(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    response = render(request, template, context)
    response["Cache-Control"] = "private, no-store"
    return response
