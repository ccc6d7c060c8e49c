"""The delivery console's pages, as members of a form's organization and others see them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.archive.tests.rows import a_form, rows
from apps.console.tests.cast import a_key, a_member
from apps.forms.models import Form
from apps.orgs.models import AuditEntry, Role
from apps.sinks import actions, listing, tally
from apps.sinks.config import Settings
from apps.sinks.listing import Asked
from apps.sinks.models import Batch, BatchItem, BatchState, Binding, BindingState, Parked, Tally, Walk
from apps.sinks.registry import registry
from apps.sinks.tests.kinds import Letterbox, Shelf
from formhub.core.ids import uuid7

pytestmark = [pytest.mark.services, pytest.mark.django_db]
PAGES = ("deliveries", "deliveries-list", "deliveries-failed", "deliveries-hours")


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"shelf": Shelf, "letterbox": Letterbox}
    monkeypatch.setattr(registry, "get", kinds.__getitem__)
    monkeypatch.setattr(registry, "kinds", lambda: list(kinds.values()))


@pytest.fixture
def form() -> Form:
    return a_form()


def an_action(form: Form, name: str = "Oak", kind: type[Shelf] = Shelf) -> Binding:
    return actions.create(
        organization_id=form.organization_id,
        form_id=form.pk,
        sink=kind,
        name=name,
        settings=Settings({"shelf": name}, {}),
        position=0,
    )


def a_delivery(action: Binding, submissions: int = 1, state: str = BatchState.DELIVERED, **changes: Any) -> Batch:
    place = action.destination
    place.sequence += 1
    place.save()
    values = {"sequence": place.sequence, "turn": str(place.sequence), "size": submissions, "state": state, **changes}
    batch = Batch.objects.create(organization_id=action.organization_id, destination=place, **values)
    for position in range(submissions):
        BatchItem.objects.create(binding=action, submission_id=uuid7(), batch=batch, position=position)
    return batch


def a_failure(action: Binding, submission: UUID | None = None, code: str = "too_long", **changes: Any) -> Parked:
    return Parked.objects.create(
        organization_id=action.organization_id,
        binding=action,
        form_id=action.form_id,
        submission_id=submission or uuid7(),
        position=1,
        code=code,
        message="A cell is too long.",
        **changes,
    )


def see(client: Client, form: Form, page: str = "deliveries", *rest: Any, **query: Any) -> str:
    answer = client.get(reverse(page, args=[form.public_id, *rest]), query)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    return str(answer.content.decode())


def test_the_overview_says_how_each_action_stands_and_what_to_do(form: Form) -> None:
    oak, elm = an_action(form), an_action(form, "Elm")
    Binding.objects.filter(pk=oak.pk).update(delivered=1204, delivered_at=timezone.now())
    actions.pause(elm, "The shelf is gone.", "Buy a shelf.")
    rows(form, [1, 2, 3])
    a_failure(oak)

    text = see(a_member(form), form)

    assert all(words in text for words in ("1204", "some failed", "paused", "The shelf is gone.", "Buy a shelf."))
    assert "<dd>3</dd>" in text
    assert "formaction" not in text  # a viewer only looks


def test_a_form_without_actions_offers_the_first_one(form: Form) -> None:
    assert f"{reverse('admin:sinks_binding_add')}?form={form.pk}" in see(a_member(form), form)


def test_what_renews_itself_is_sent_only_when_something_happened(form: Form) -> None:
    action, client, address = an_action(form), a_member(form), reverse("deliveries", args=[form.public_id])
    first = client.get(address, headers={"X-Live": "1"})
    assert b"<html" not in first.content

    same = client.get(address, headers={"X-Live": "1", "If-None-Match": first.headers["ETag"]})
    actions.pause(action, "Gone.")
    other = client.get(address, headers={"X-Live": "1", "If-None-Match": first.headers["ETag"]})

    assert (same.status_code, same.content) == (304, b"")
    assert other.status_code == 200
    assert "Gone." in other.content.decode()


def test_others_find_nothing_and_nobody_is_asked_to_sign_in(form: Form) -> None:
    action, foreign = an_action(form), a_form("other")
    batch = a_delivery(action)
    addresses = [reverse(page, args=[form.public_id]) for page in (*PAGES, "deliveries-replay")]
    addresses += [
        reverse("delivery", args=[form.public_id, batch.pk]),
        reverse("deliveries-fill", args=[form.public_id, action.pk]),
    ]

    for address in addresses:
        assert a_member(foreign, Role.OWNER).get(address).status_code == 404
        for client in (Client(), a_key(form, "manage")):
            assert client.get(address).headers["Location"].startswith(reverse("admin:login"))


def test_through_ones_own_form_nothing_of_another_is_reached(form: Form) -> None:
    foreign = a_form("other")
    theirs = an_action(foreign, "Theirs")
    batch, failure = a_delivery(theirs), a_failure(theirs)
    mine = a_member(form, Role.OWNER)
    an_action(form)

    def address(page: str, *rest: Any) -> str:
        return reverse(page, args=[form.public_id, *rest])

    assert mine.get(address("delivery", batch.pk)).status_code == 404
    assert mine.get(address("deliveries-fill", theirs.pk)).status_code == 404
    assert mine.post(address("deliveries-act", theirs.pk, "pause")).status_code == 404
    assert mine.get(address("deliveries-replay"), {"action": theirs.pk}).status_code == 404
    mine.post(address("deliveries-replay") + f"?failed={failure.pk}")
    failure.refresh_from_db()
    assert not failure.again
    assert "Theirs" not in see(mine, form, "deliveries-list", submission=batch.items.get().submission_id)


def test_a_viewer_only_looks(form: Form) -> None:
    action, viewer = an_action(form), a_member(form, Role.VIEWER)

    for address in (
        reverse("deliveries-act", args=[form.public_id, action.pk, "pause"]),
        reverse("deliveries-fill", args=[form.public_id, action.pk]),
        reverse("deliveries-replay", args=[form.public_id]),
    ):
        assert viewer.post(address).status_code == 403
    action.refresh_from_db()
    assert action.state == BindingState.ON


def test_pause_and_resume_are_done_and_recorded(form: Form) -> None:
    action, editor = an_action(form), a_member(form, Role.EDITOR)

    def act(verb: str) -> int:
        return int(editor.post(reverse("deliveries-act", args=[form.public_id, action.pk, verb])).status_code)

    assert act("pause") == 302
    action.refresh_from_db()
    assert action.state == BindingState.PAUSED
    assert act("resume") == 302
    action.refresh_from_db()
    assert action.state == BindingState.ON
    assert act("off") == 404
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["paused", "resumed"]


def test_a_link_alone_does_nothing(form: Form) -> None:
    action, editor = an_action(form), a_member(form, Role.EDITOR)

    assert editor.get(reverse("deliveries-act", args=[form.public_id, action.pk, "pause"])).status_code == 405


def test_a_back_fill_begins_at_a_date_and_shows_how_far_it_is(form: Form) -> None:
    action, editor = an_action(form), a_member(form, Role.EDITOR)
    Binding.objects.filter(pk=action.pk).update(since=100, settled_to=100)
    address = reverse("deliveries-fill", args=[form.public_id, action.pk])

    assert "Accepted from (UTC)" in editor.get(address).content.decode()
    assert "Enter a valid date/time." in editor.post(address, {"since": "yesterday"}).content.decode()
    assert editor.post(address, {"since": "2026-11-03T00:00"}).status_code == 302

    walk = Walk.objects.get(binding=action)
    Walk.objects.filter(pk=walk.pk).update(
        start=0, cursor=50, until=100, examined=50, begun_at=timezone.now() - timedelta(seconds=50)
    )
    text = see(editor, form)
    assert "50 %, 50 looked at" in text
    assert "1.0 a second" in text
    assert "Pause the back-fill" in text
    assert AuditEntry.objects.get().action == "back-filled"


def test_the_list_goes_on_where_a_page_ends_and_shows_nothing_twice(form: Form) -> None:
    oak, elm = an_action(form), an_action(form, "Elm")
    made = [a_delivery(action) for _ in range(4) for action in (oak, elm)]
    bindings = [oak, elm]

    seen, after = [], ""
    while True:
        page = listing.deliveries(bindings, Asked(), after, limit=3)
        seen += [batch.pk for batch in page.rows]
        if not page.after:
            break
        after = page.after

    assert seen == [batch.pk for batch in sorted(made, key=lambda batch: batch.pk, reverse=True)]


def test_failures_of_one_moment_are_shown_once_each(form: Form) -> None:
    oak, elm = an_action(form), an_action(form, "Elm")
    made = [a_failure(action) for _ in range(4) for action in (oak, elm)]
    Parked.objects.update(parked_at=timezone.now())

    seen, after = [], ""
    while True:
        page = listing.failures([oak, elm], Asked(), after, limit=3)
        seen += [row.pk for row in page.rows]
        if not page.after:
            break
        after = page.after

    assert seen == [row.pk for row in reversed(made)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Asked(), ["delivered", "waiting", "refused"]),
        (Asked(state="refused"), ["refused"]),
        (Asked(code="gave_up"), ["refused"]),
        (Asked(since=datetime(2100, 1, 1, tzinfo=UTC)), []),
        (Asked(until=datetime(2100, 1, 1, tzinfo=UTC)), ["delivered", "waiting", "refused"]),
    ],
    ids=["all", "by state", "by code", "from a time on", "before a time"],
)
def test_the_list_is_narrowed(form: Form, asked: Asked, found: list[str]) -> None:
    action = an_action(form)
    made = {
        a_delivery(action).pk: "delivered",
        a_delivery(action, state=BatchState.PENDING).pk: "waiting",
        a_delivery(action, state=BatchState.REFUSED, code="gave_up").pk: "refused",
    }

    page = listing.deliveries([action], asked)

    assert [made[batch.pk] for batch in reversed(page.rows)] == found


def test_a_submission_is_found_by_its_id(form: Form) -> None:
    action = an_action(form)
    batch, _ = a_delivery(action, 2), a_delivery(action)
    client = a_member(form)

    text = see(client, form, "deliveries-list", submission=batch.items.all()[0].submission_id)

    assert reverse("delivery", args=[form.public_id, batch.pk]) in text
    assert text.count("submissions</span>") == 1
    assert "Enter a valid UUID." in see(client, form, "deliveries-list", submission="nonsense")


def test_a_delivery_shows_what_was_sent_and_each_attempt(form: Form) -> None:
    action = an_action(form)
    [row] = rows(form, [7])
    tries = [{"at": "2026-11-03T09:14:07+00:00", "code": "ambiguous"}]
    batch = a_delivery(action, 0, BatchState.PENDING, code="ambiguous", last_error="503.", attempts=2, tries=tries)
    BatchItem.objects.create(binding=action, submission_id=row.id, batch=batch, position=7)

    text = see(a_member(form), form, "delivery", batch.pk)

    assert all(
        words in text for words in ("What is your name?", "Person 7", "2026-11-03 09:14:07", "503.", "2 attempts")
    )
    assert "It is tried again by itself." in text


def test_a_delivery_of_which_all_failed_can_still_be_opened(form: Form) -> None:
    action = an_action(form)
    batch = a_delivery(action, 0, BatchState.REFUSED, code="gave_up", size=1)
    failure = a_failure(action, batch_id=batch.pk, code="gave_up")

    text = see(a_member(form, Role.EDITOR), form, "delivery", batch.pk)

    assert str(failure.submission_id) in text
    assert f"?delivery={batch.pk}" in text


def test_replay_asks_with_the_number_and_then_does_it(form: Form) -> None:
    action, editor = an_action(form), a_member(form, Role.EDITOR)
    chosen, other = a_failure(action), a_failure(action, code="gave_up")
    address = reverse("deliveries-replay", args=[form.public_id]) + "?code=too_long"

    assert "1 failed submission will be tried again." in editor.get(address).content.decode()
    chosen.refresh_from_db()
    assert not chosen.again

    with transaction.atomic():
        assert editor.post(address).status_code == 302
    chosen.refresh_from_db()
    other.refresh_from_db()
    assert (chosen.again, other.again) == (True, False)
    assert AuditEntry.objects.get().action == "replayed"


@pytest.mark.parametrize(
    "query",
    ["delivery=nonsense", "of=delivered", "failed=x", "since=yesterday", "of=delivered&action={action}&delivery=1"],
)
def test_a_replay_that_is_asked_for_wrongly_replays_nothing(form: Form, query: str) -> None:
    action, editor = an_action(form, kind=Letterbox), a_member(form, Role.EDITOR)
    a_failure(action)
    a_delivery(action)

    answer = editor.post(reverse("deliveries-replay", args=[form.public_id]) + "?" + query.format(action=action.pk))

    assert answer.status_code == 404
    assert not Parked.objects.filter(again=True).exists()


def test_what_was_delivered_is_delivered_once_more_where_that_is_allowed(form: Form) -> None:
    action, editor = an_action(form, kind=Letterbox), a_member(form, Role.EDITOR)
    batch = a_delivery(action, 2, finished_at=timezone.now())
    text = see(editor, form, "delivery", batch.pk)
    address = (
        f"{reverse('deliveries-replay', args=[form.public_id])}?of=delivered&action={action.pk}&delivery={batch.pk}"
    )
    assert address.replace("&", "&amp;") in text

    editor.post(address)

    assert Parked.objects.filter(again=True, binding=action).count() == 2


def test_hours_are_counted_as_they_happen_and_the_oldest_go(form: Form) -> None:
    action, now = an_action(form), timezone.now()
    long_ago = now - timedelta(days=tally.KEPT_DAYS + 1)
    Tally.objects.create(binding=action, hour=long_ago, delivered=5)

    tally.delivered({action.pk: 3})
    tally.delivered({action.pk: 4})
    tally.failed({action.pk: 1})

    hours = tally.last_hours([action.pk], timezone.now())
    assert len(hours) == 24
    assert sum(hour.delivered for hour in hours) == 7
    assert sum(hour.failed for hour in hours) == 1
    assert Tally.objects.count() == 1
    points = a_member(form).get(reverse("deliveries-hours", args=[form.public_id])).json()["hours"]
    assert sum(point["delivered"] for point in points) == 7


def test_a_mail_about_an_action_leads_to_its_form(form: Form) -> None:
    address = reverse("action-deliveries", args=[an_action(form).pk])

    assert a_member(form).get(address).headers["Location"] == reverse("deliveries", args=[form.public_id])
    assert a_member(a_form("other")).get(address).status_code == 404


def test_an_unknown_delivery_is_not_found(form: Form) -> None:
    assert a_member(form).get(reverse("delivery", args=[form.public_id, uuid4()])).status_code == 404
