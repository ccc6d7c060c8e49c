"""The page behind the link of a mail that puts an end to further ones."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.sinks import suppression
from apps.sinks.models import Suppression
from apps.sinks.suppression import UnknownLinkError


@csrf_exempt  # mail programs ask for it without a session (RFC 8058); the link alone is the proof
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest) -> HttpResponse:
    """Looking at it changes nothing: programs that check mails follow their links."""
    try:
        asked = suppression.opened(request.GET.get("of", ""))
    except UnknownLinkError:
        return _page(request, None, status=404)
    if request.method == "POST":
        suppression.suppress(asked)
    return _page(request, asked, done=suppression.stands(asked))


def _page(request: HttpRequest, asked: Suppression | None, *, done: bool = False, status: int = 200) -> HttpResponse:
    response = render(request, "sinks/unsubscribe.html", {"asked": asked, "done": done}, status=status)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response
