"""How a page was asked for, and what every answer with a page has in common."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation

from apps.forms.published import PublishedForm
from apps.intake import process
from apps.intake.attempt import find_form
from apps.intake.pages import languages, words
from apps.intake.pages.languages import Language
from formhub.core.lanes import drive, on_loop
from formhub.core.problem import Problem

EMBED = "embed"
# A form may be kept, with what was typed, for somebody who goes back to it; all else holds somebody's own affairs.
FOR_GOING_BACK, NOWHERE = "private, no-cache", "private, no-store"
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
Rest = ParamSpec("Rest")


@dataclass(frozen=True, slots=True)
class Frame:
    """In which language a page is shown, and whether inside a page of another site.

    `origins`: the sites that may do so, none for all. `name`: the form's in the address.
    """

    request: HttpRequest
    name: str
    language: Language
    embed: bool
    origins: Sequence[str] = ()

    @classmethod
    def of(cls, request: HttpRequest, name: str = "", form: PublishedForm | None = None) -> "Frame":
        code = (
            languages.chosen(request, form.definition["languages"])
            if form
            else translation.get_language_from_request(request)
        )
        origins = form.allowed_origins if form else ()
        return cls(request, name, languages.described(code), request.GET.get(EMBED) == "1", origins)

    @property
    def query(self) -> dict[str, str]:
        """What the addresses of this visit's further pages carry on."""
        asked = {languages.PARAMETER: self.language.code} if languages.PARAMETER in self.request.GET else {}
        return asked | ({EMBED: "1"} if self.embed else {})

    def respond(
        self,
        template: str,
        context: Mapping[str, Any],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        cache: str = NOWHERE,
    ) -> HttpResponse:
        # Without the request: what context processors bring is for people who sign in.
        page = render_to_string(template, {"frame": self, **context})
        response = HttpResponse(page, status=status, headers=dict(headers or {}))
        response["Cache-Control"] = cache
        response["Content-Language"] = self.language.code
        response["Referrer-Policy"] = "no-referrer"
        response["X-Robots-Tag"] = "noindex"
        return self.finished(response)

    def finished(self, response: HttpResponse) -> HttpResponse:
        """With what says who may show it in a page: on the short way (formhub.core.lanes) nobody else does."""
        policy = {"form-action": ["'self'"], "frame-ancestors": self._ancestors()}
        response["Content-Security-Policy"] = build_policy(replace=policy)
        if self.embed:
            response.xframe_options_exempt = True
        else:
            response["X-Frame-Options"] = settings.X_FRAME_OPTIONS
        return response

    async def made(self, make: Callable[[], HttpResponse]) -> HttpResponse:
        """A page in its language. A thread makes it where a loop must not be held up: many questions take their time.

        As many wait for one as the server takes requests at a time.
        """

        def in_language() -> HttpResponse:
            with translation.override(self.language.ours):
                return make()

        if not on_loop():
            return in_language()
        return await asyncio.get_running_loop().run_in_executor(process.pages(), in_language)

    def refuse(self, problem: Problem, *, title: str = "", link: str = "") -> HttpResponse:
        """A page that says why there is nothing to fill in. `title`: the form's; `link`: where to go instead."""
        message = words.message(problem)
        context = {"message": message, "form_title": title, "link": link}
        return self.respond("intake/message.html", context, message.status, message.headers)

    def _ancestors(self) -> list[str]:
        if not self.embed:
            return ["'self'"]
        # What could be read as anything but an origin is none.
        return [origin for origin in self.origins if _ORIGIN.fullmatch(origin)] or ["'none'" if self.origins else "*"]


def for_form(
    view: Callable[Concatenate[Frame, PublishedForm, Rest], HttpResponse],
) -> Callable[..., HttpResponse]:
    """A view of the form named in the address, in one of its languages; without a form, a page that says so."""

    @wraps(view)
    def wrapped(request: HttpRequest, form: str, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponse:
        try:
            found = drive(find_form(form))
        except Problem as problem:
            return Frame.of(request, form).refuse(problem)
        frame = Frame.of(request, form, found)
        with translation.override(frame.language.ours):
            return view(frame, found, *args, **kwargs)

    return wrapped
