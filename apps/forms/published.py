"""Published forms for other rooms: read-only, cached per process, without SQL while nothing changes.

An entry is checked against the database when it is older than FRESH_SECONDS: by one request, while the others go on
with what is there; or, once `keep_fresh` was called in a process, by a thread of its own, and then no request waits
for the database at all. While the database is away entries serve for STALE_SECONDS.
"""

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db import Error, close_old_connections
from django.utils import timezone

from apps.forms import schema
from apps.forms.fields import UnknownType, text
from apps.forms.models import Form
from formhub.core.clock import Clock, SystemClock
from formhub.core.layout import Layout

FRESH_SECONDS = 2.0
STALE_SECONDS = 600.0
IDLE_SECONDS = 900.0  # a form nobody asks for is forgotten, so that checking the rest stays cheap
FORMS_MAX = 2_000
NAMES_MAX = 10_000
CHUNK = 500

logger = logging.getLogger(__name__)
Name = str | UUID
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PublishedForm:
    """A form as it takes answers now. `layout` has the columns of `version`, then those only older versions had."""

    id: UUID
    organization: UUID
    public_id: str
    slug: str
    title: str
    version: int
    salt: bytes
    key_required: bool
    allowed_origins: Sequence[str]
    closed: bool
    closed_text: str
    rates: Mapping[str, str]
    compiled: schema.Compiled
    layout: Layout
    definition: Mapping[str, Any]
    ending_title: str = ""
    ending_text: str = ""
    organization_slug: str = ""
    region: str = ""
    published_at: datetime | None = None


class NotCached(Exception):  # noqa: N818 - an answer, not a failure
    """Only the database can tell: ask again where SQL is allowed."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether an entry is still current."""

    changed: datetime
    version: int | None
    organization_slug: str
    closed: bool


class Source(Protocol):
    def resolve(self, name: str) -> UUID | None:
        """The id of the published form with this public id or organization~slug."""

    def stamps(self, ids: Sequence[UUID]) -> dict[UUID, Stamp]:
        """Stamps of those that are published."""

    def load(self, id: UUID) -> tuple[PublishedForm, Stamp] | None:
        """The form, or None if it is gone or not published."""


@dataclass(slots=True)
class _Entry:
    form: PublishedForm
    stamp: Stamp
    names: frozenset[Name]
    checked: float
    used: float = field(compare=False)


class Cache:
    """Published forms by name. Thread-safe; bounded, the least recently used go first."""

    def __init__(self, source: Source, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._entries: dict[UUID, _Entry] = {}
        self._names: OrderedDict[Name, UUID] = OrderedDict()
        self._absent: OrderedDict[Name, float] = OrderedDict()
        self._lock = threading.Lock()
        self._checking = threading.Lock()
        self._next_try = 0.0
        self.kept_fresh = False

    def get(self, name: Name) -> PublishedForm | None:
        """Raises django.db.Error if the database is away and the form was not seen for STALE_SECONDS."""
        now = self._clock.monotonic()
        try:
            return self._known(name, now)
        except NotCached:
            pass
        entry = self._entry(name)
        if entry is None:
            return self._fetch(name, now)
        if now >= self._next_try and self._checking.acquire(blocking=False):
            try:
                self._check([entry.form.id])
            except Error:
                self._next_try = now + FRESH_SECONDS
                if now - entry.checked > STALE_SECONDS:
                    raise
                logger.warning("the database is away: form %s is served as it was", entry.form.id)
            finally:
                self._checking.release()
            entry = self._entry(name)
        if entry is None or now - entry.checked > STALE_SECONDS:
            return self._fetch(name, now)
        return entry.form

    def peek(self, name: Name) -> PublishedForm | None:
        """The form without any SQL. Raises NotCached where only the database can tell."""
        return self._known(name, self._clock.monotonic())

    def refresh(self) -> None:
        """Check every entry; forget those that nobody asked for lately. Raises django.db.Error."""
        now = self._clock.monotonic()
        with self._lock:
            for id in [id for id, entry in self._entries.items() if now - entry.used > IDLE_SECONDS]:
                del self._entries[id]
            ids = list(self._entries)
        for start in range(0, len(ids), CHUNK):
            self._check(ids[start : start + CHUNK])

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._names.clear()
            self._absent.clear()
            self._next_try = 0.0

    def _known(self, name: Name, now: float) -> PublishedForm | None:
        entry = self._entry(name)
        if entry is None:
            absent = self._absent.get(name)
            if absent is not None and now - absent <= FRESH_SECONDS:
                return None
            raise NotCached
        entry.used = now
        if now - entry.checked <= (STALE_SECONDS if self.kept_fresh else FRESH_SECONDS):
            return entry.form
        raise NotCached

    def _entry(self, name: Name) -> _Entry | None:
        id = self._names.get(name)
        entry = None if id is None else self._entries.get(id)
        # A short name may have gone over to another form since.
        return entry if entry is not None and name in entry.names else None

    def _fetch(self, name: Name, now: float) -> PublishedForm | None:
        id = name if isinstance(name, UUID) else self._source.resolve(name)
        found = None if id is None else self._source.load(id)
        with self._lock:
            if found is None:
                _remember(self._absent, name, now)
                return None
            self._absent.pop(name, None)
            self._keep(*found, now)
        return found[0]

    def _check(self, ids: Sequence[UUID]) -> None:
        now = self._clock.monotonic()
        stamps = self._source.stamps(ids)
        for id in ids:
            entry, stamp = self._entries.get(id), stamps.get(id)
            if entry is not None and entry.stamp == stamp:
                entry.checked = now
            elif entry is not None:
                self._replace(id, stamp, now)

    def _replace(self, id: UUID, stamp: Stamp | None, now: float) -> None:
        found = None if stamp is None else self._source.load(id)
        with self._lock:
            used = self._entries[id].used if id in self._entries else now
            self._entries.pop(id, None)
            if found is not None:
                self._keep(*found, now)
                self._entries[id].used = used

    def _keep(self, form: PublishedForm, stamp: Stamp, now: float) -> None:
        names: frozenset[Name] = frozenset({form.id, form.public_id, f"{form.organization_slug}~{form.slug}"})
        self._entries[form.id] = _Entry(form, stamp, names, now, now)
        for name in names:
            _remember(self._names, name, form.id)
        if len(self._entries) > FORMS_MAX:
            del self._entries[min(self._entries, key=lambda id: self._entries[id].used)]


def _remember(known: "OrderedDict[Name, _T]", name: Name, value: _T) -> None:
    known[name] = value
    known.move_to_end(name)
    while len(known) > NAMES_MAX:
        known.popitem(last=False)


class Database:
    """The Source of production."""

    def resolve(self, name: str) -> UUID | None:
        published = Form.objects.filter(live__isnull=False)
        organization, tilde, slug = name.partition("~")
        if tilde:
            return published.filter(organization__slug=organization, slug=slug).values_list("pk", flat=True).first()
        return published.filter(public_id=name).values_list("pk", flat=True).first()

    def stamps(self, ids: Sequence[UUID]) -> dict[UUID, Stamp]:
        rows = Form.objects.filter(pk__in=ids, live__isnull=False)
        now = timezone.now()
        return {
            id: Stamp(changed, version, slug, closed_at is not None and closed_at <= now)
            for id, changed, version, slug, closed_at in rows.values_list(
                "pk", "updated_at", "live_id", "organization__slug", "closed_at"
            )
        }

    def load(self, id: UUID) -> tuple[PublishedForm, Stamp] | None:
        form = Form.objects.select_related("live", "organization").filter(pk=id, live__isnull=False).first()
        if form is None:
            return None
        try:
            return published_form(form), Stamp(form.updated_at, form.live_id, form.organization.slug, form.closed)
        except (UnknownType, ValueError):
            # A version made by newer code than this process runs: no reason to fail the others' refresh.
            logger.exception("form %s: its published version cannot be read", id)
            return None


def published_form(form: Form) -> PublishedForm:
    """The view of a form that has a live version. Raises UnknownType or ValueError if that cannot be compiled."""
    live = form.live
    if live is None:
        raise ValueError("This form is not published.")
    definition: Mapping[str, Any] = live.definition
    ending: Mapping[str, Any] = next(iter(definition.get("endings", [])), {})
    language = definition["languages"][0]
    return PublishedForm(
        id=form.pk,
        organization=form.organization_id,
        public_id=form.public_id,
        slug=form.slug,
        title=definition["title"],
        version=live.number,
        salt=bytes(form.salt),
        key_required=form.key_required,
        allowed_origins=tuple(form.allowed_origins),
        closed=form.closed,
        closed_text=form.closed_text,
        rates=dict(form.rates),
        compiled=schema.compile(definition, form.region),
        layout=Layout.from_json([*live.layout, *live.retired]),
        definition=definition,
        ending_title=text(ending.get("title", ""), language),
        ending_text=text(ending.get("text", ""), language),
        organization_slug=form.organization.slug,
        region=form.region,
        published_at=live.published_at,
    )


_cache = Cache(Database(), SystemClock())
_refresher: threading.Thread | None = None


def by_name(name: str) -> PublishedForm | None:
    """The published form with this public id, or `organization-slug~form-slug`; None if there is none.

    Raises django.db.Error if the database is away and the form was not seen lately.
    """
    return _cache.get(name)


def by_id(form_id: UUID) -> PublishedForm | None:
    return _cache.get(form_id)


def peek(name: str) -> PublishedForm | None:
    """`by_name` where SQL is not allowed, as on an event loop. Raises NotCached where only the database can tell."""
    return _cache.peek(name)


def layout(form_id: UUID) -> Layout | None:
    """The columns of the published version, then those that only earlier versions had; None if not published."""
    form = _cache.get(form_id)
    return form.layout if form else None


def clear() -> None:
    """Forget everything, so that the next look-up asks the database."""
    _cache.clear()


def keep_fresh(names: Iterable[str] = ()) -> None:
    """Check the entries from a thread of this process from now on; called once more it does nothing.

    `names` are looked up first. Meant for servers and workers, which call it when they start.
    """
    global _refresher
    if _refresher is not None and _refresher.is_alive():
        return
    for name in names:
        _cache.get(name)
    _refresher = threading.Thread(target=_refresh_for_ever, name="published-forms", daemon=True)
    _cache.kept_fresh = True
    _refresher.start()


def _refresh_for_ever() -> None:
    pause = threading.Event()
    try:
        while not pause.wait(FRESH_SECONDS):
            close_old_connections()
            try:
                _cache.refresh()
            except Error:
                logger.warning("the database is away: published forms are served as they were")
    finally:
        # Whatever ended it: from here on look-ups check for themselves.
        _cache.kept_fresh = False


def _start_anew() -> None:
    """A forked child has neither the thread nor, maybe, a lock that somebody will release."""
    global _cache, _refresher
    _cache, _refresher = Cache(Database(), SystemClock()), None


os.register_at_fork(after_in_child=_start_anew)
