from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError

from apps.forms import published, schema
from apps.forms.published import Cache, NotCached, PublishedForm, Stamp
from apps.forms.tests.documents import a_document
from formhub.core.clock import ManualClock
from formhub.core.ids import uuid7

COMPILED = schema.compile(a_document())


def a_form(**changes: Any) -> PublishedForm:
    form = PublishedForm(
        id=uuid7(),
        organization=uuid7(),
        public_id="k7m2qhx4w9tc",
        slug="survey",
        title="Survey",
        version=1,
        salt=bytes(16),
        key_required=False,
        allowed_origins=(),
        closed=False,
        closed_text="",
        rates={},
        compiled=COMPILED,
        layout=COMPILED.layout,
        definition={},
        organization_slug="bce",
    )
    return replace(form, **changes)


class MemorySource:
    """Forms in a dict; `calls` counts what would have been SQL, `away` plays a database that is gone."""

    def __init__(self, *forms: PublishedForm) -> None:
        self.forms = {form.id: form for form in forms}
        self.calls = 0
        self.away = False

    def resolve(self, name: str) -> UUID | None:
        self._call()
        found = (f for f in self.forms.values() if name in {f.public_id, f"{f.organization_slug}~{f.slug}"})
        return next((form.id for form in found), None)

    def stamps(self, ids: Sequence[UUID]) -> dict[UUID, Stamp]:
        self._call()
        return {id: self._stamp(self.forms[id]) for id in ids if id in self.forms}

    def load(self, id: UUID) -> tuple[PublishedForm, Stamp] | None:
        self._call()
        form = self.forms.get(id)
        return (form, self._stamp(form)) if form else None

    def put(self, form: PublishedForm) -> None:
        self.forms[form.id] = form

    def _stamp(self, form: PublishedForm) -> Stamp:
        return Stamp(datetime(2026, 1, 1, tzinfo=UTC), form.version, form.organization_slug + form.slug, form.closed)

    def _call(self) -> None:
        self.calls += 1
        if self.away:
            raise OperationalError("connection refused")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_a_form_is_found_by_public_id_short_name_and_id(clock: ManualClock) -> None:
    form = a_form()
    cache = Cache(MemorySource(form), clock)

    assert [cache.get(name) for name in ("k7m2qhx4w9tc", "bce~survey", form.id)] == [form] * 3
    assert cache.get("bce~other") is None


def test_a_fresh_entry_needs_no_sql(clock: ManualClock) -> None:
    source = MemorySource(a_form())
    cache = Cache(source, clock)
    cache.get("k7m2qhx4w9tc")
    calls = source.calls

    for _ in range(100):
        cache.get("k7m2qhx4w9tc")
        cache.get("bce~survey")

    assert source.calls == calls


def test_a_change_is_seen_after_two_seconds(clock: ManualClock) -> None:
    form = a_form()
    source = MemorySource(form)
    cache = Cache(source, clock)
    cache.get("k7m2qhx4w9tc")

    source.put(replace(form, version=2))
    clock.advance(2.1)

    found = cache.get("k7m2qhx4w9tc")
    assert found is not None
    assert found.version == 2


def test_a_deleted_form_is_gone_after_two_seconds(clock: ManualClock) -> None:
    form = a_form()
    source = MemorySource(form)
    cache = Cache(source, clock)
    cache.get(form.id)

    source.forms.clear()
    clock.advance(2.1)

    assert cache.get(form.id) is None


def test_a_short_name_leads_to_the_form_that_has_it_now(clock: ManualClock) -> None:
    former, latter = a_form(), a_form(public_id="x" * 12, slug="other")
    source = MemorySource(former, latter)
    cache = Cache(source, clock)
    cache.get("bce~survey")

    source.put(replace(former, slug="old"))
    source.put(replace(latter, slug="survey"))
    clock.advance(2.1)

    found = cache.get("bce~survey")
    assert found is not None
    assert found.id == latter.id


def test_forms_are_served_for_minutes_while_the_database_is_away(clock: ManualClock) -> None:
    form = a_form()
    source = MemorySource(form)
    cache = Cache(source, clock)
    cache.get("k7m2qhx4w9tc")
    source.away = True

    clock.advance(500)
    assert cache.get("k7m2qhx4w9tc") == form
    with pytest.raises(OperationalError):
        cache.get("never-seen")
    clock.advance(200)
    with pytest.raises(OperationalError):
        cache.get("k7m2qhx4w9tc")

    source.away = False
    assert cache.get("k7m2qhx4w9tc") == form


def test_a_database_that_is_away_is_not_asked_by_every_request(clock: ManualClock) -> None:
    source = MemorySource(a_form())
    cache = Cache(source, clock)
    cache.get("k7m2qhx4w9tc")
    source.away, source.calls = True, 0
    clock.advance(60)

    for _ in range(100):
        cache.get("k7m2qhx4w9tc")

    assert source.calls == 1


def test_unknown_names_are_remembered_briefly_and_not_without_end(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "NAMES_MAX", 10)
    source = MemorySource()
    cache = Cache(source, clock)

    for number in range(1_000):
        cache.get(f"name-{number}")
    assert len(cache._absent) == 10
    calls = source.calls
    assert cache.get("name-999") is None
    assert source.calls == calls

    source.put(a_form(public_id="name-999"))
    clock.advance(2.1)
    assert cache.get("name-999") is not None


def test_the_least_recently_used_form_makes_room(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "FORMS_MAX", 2)
    forms = [a_form(public_id=f"form-{number}", slug=f"s{number}") for number in range(3)]
    cache = Cache(MemorySource(*forms), clock)

    for name in ("form-0", "form-1", "form-0", "form-2"):
        clock.advance(0.1)
        cache.get(name)

    assert set(cache._entries) == {forms[0].id, forms[2].id}


def test_peek_answers_without_sql_or_not_at_all(clock: ManualClock) -> None:
    source = MemorySource(a_form())
    cache = Cache(source, clock)

    with pytest.raises(NotCached):
        cache.peek("k7m2qhx4w9tc")
    assert source.calls == 0
    cache.get("k7m2qhx4w9tc")
    assert cache.peek("k7m2qhx4w9tc") is not None


def test_with_a_thread_that_refreshes_no_request_checks(clock: ManualClock) -> None:
    form = a_form()
    source = MemorySource(form)
    cache = Cache(source, clock)
    cache.kept_fresh = True
    cache.get("k7m2qhx4w9tc")
    source.put(replace(form, version=2))
    calls = source.calls
    clock.advance(3)

    assert cache.get("k7m2qhx4w9tc") == form
    assert source.calls == calls
    cache.refresh()

    found = cache.peek("k7m2qhx4w9tc")
    assert found is not None
    assert found.version == 2


def test_a_form_nobody_asks_for_is_forgotten(clock: ManualClock) -> None:
    cache = Cache(MemorySource(a_form()), clock)
    cache.get("k7m2qhx4w9tc")

    clock.advance(1_000)
    cache.refresh()

    assert not cache._entries
