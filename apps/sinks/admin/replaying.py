"""Replays: what would be tried again is counted and asked about first, on a page of its own."""

from collections.abc import Mapping
from typing import Any, Protocol

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.sinks import replay
from apps.sinks.admin.lists import COUNTED, as_uuid
from apps.sinks.models import BatchItem, Binding, Parked
from apps.sinks.replay import Asked, OnceOnlyError, Wanted


class Replaying(Protocol):
    """binding: None if rows of several are meant. refused: why nothing can be replayed. unsure: how many are left out
    because they may have arrived.
    """

    refused: str
    paused: bool
    of_delivered: bool
    rows: QuerySet[Any]

    @property
    def binding(self) -> Binding | None: ...
    def count(self) -> int: ...
    def unsure(self) -> int: ...
    def ask(self, *, unsure: bool) -> Asked: ...


class OfFailed:
    """Failed submissions: of an action, or rows that somebody chose from the list."""

    refused, of_delivered = "", False

    def __init__(self, binding: Binding | None = None, rows: QuerySet[Parked] | None = None) -> None:
        self.binding = binding
        self.rows: QuerySet[Any] = Parked.objects.filter(binding=binding) if rows is None else rows
        self.paused = binding is not None and binding.state == "paused"

    def count(self) -> int:
        return _count(replay.failed(self.rows))

    def unsure(self) -> int:
        return _count(replay.unsure(self.rows))

    def ask(self, *, unsure: bool) -> Asked:
        done = replay.ask_failed(self.rows)
        if not unsure or done.more:
            return done
        also = replay.ask_failed(self.rows, Wanted(code=replay.UNKNOWN), replay.AT_ONCE - done.count)
        return Asked(done.count + also.count, also.more)


class OfDelivered:
    """What an action delivered, in all or by one delivery."""

    of_delivered = True

    def __init__(self, binding: Binding, given: Mapping[str, Any]) -> None:
        self.binding = binding
        self.paused = binding.state == "paused"
        self.wanted = Wanted(delivery=as_uuid(given["delivery"]) if given.get("delivery") else None)
        self.refused = ""
        self.rows: QuerySet[Any] = BatchItem.objects.none()
        try:
            self.rows = replay.delivered(binding, self.wanted)
        except OnceOnlyError as error:
            self.refused = str(error)

    def count(self) -> int:
        return 0 if self.refused else _count(self.rows)

    def unsure(self) -> int:
        return 0

    def ask(self, *, unsure: bool) -> Asked:
        return Asked(0, more=False) if self.refused else replay.ask_delivered(self.binding, self.wanted)


def confirmation(
    admin: Any, request: HttpRequest, asked: Replaying, back: str, fields: Mapping[str, Any] | None = None
) -> HttpResponse:
    """`fields`: what has to be sent again with the answer."""
    count = asked.count()
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Deliver once more") if asked.of_delivered else _("Try again"),
        "opts": admin.opts,
        "asked": asked,
        "count": count,
        "counted_all": count < COUNTED,
        "unsure": asked.unsure(),
        "at_once": replay.AT_ONCE,
        "back": back,
        "fields": [(name, value) for name, values in (fields or {}).items() for value in values],
        "media": admin.media,
    }
    return TemplateResponse(request, "sinks/admin/replay.html", context)


def perform(request: HttpRequest, asked: Replaying) -> int:
    """Does it and says what was done; how many will be tried again."""
    if asked.refused:
        messages.error(request, asked.refused)
        return 0
    done = asked.ask(unsure="unsure" in request.POST)
    text = ngettext(
        "%(count)d submission will be tried again.", "%(count)d submissions will be tried again.", done.count
    ) % {"count": done.count}
    if done.more:
        text += " " + _("Others are left: do it once more for the next ones.")
    messages.success(request, text)
    return done.count


def _count(rows: QuerySet[Any]) -> int:
    return len(rows.order_by().values_list("position")[:COUNTED])
