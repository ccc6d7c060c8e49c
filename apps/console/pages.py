"""Pages that join rooms, for members who are signed in."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.archive import queries, readable
from apps.console.reading import readable_form, standing
from apps.orgs import access


@require_safe
@login_required
def submission(request: HttpRequest, form: str, id: UUID) -> HttpResponse:
    """A submission: where it stands at each action, and its answers in the form's words."""
    found = readable_form(access.actor(request), form)
    stored = queries.get(found.id, id) if found else None
    if found is None or stored is None:
        raise Http404
    context = {
        "form": found,
        "submission": stored,
        "states": standing(stored),
        "answers": readable.answers(found.id, stored.answers),
    }
    response = render(request, "console/submission.html", context)
    response["Cache-Control"] = "private, no-store"
    return response
