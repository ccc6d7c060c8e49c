from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.sinks import actions, replay
from apps.sinks.contract import AmbiguousError, PermanentError
from apps.sinks.models import Batch as Delivery
from apps.sinks.models import BatchItem, BatchState, Binding, FormerItem, Parked
from apps.sinks.queries import Standing, contents, counts, states
from apps.sinks.registry import registry
from apps.sinks.replay import OnceOnlyError, Wanted
from apps.sinks.tests.kinds import Letterbox, Shelf, raising
from workers.tests.conftest import KINDS, Cast, ids

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "get", KINDS.__getitem__)
    monkeypatch.setattr(registry, "kinds", lambda: [*KINDS.values()])


def parked(action: Binding, count: int = 1, **changes: object) -> list[Parked]:
    """Failed submissions, none of which is in the archive."""
    rows = []
    for n in range(count):
        values = {"code": "too_long", "form_id": action.form_id, "position": n, "submission_id": uuid4()}
        values |= {"organization_id": action.organization_id, "binding": action, **changes}
        rows.append(Parked.objects.create(**values))
    return rows


class TestFailed:
    def test_all_of_an_action_are_tried_again_and_none_of_another(self, cast: Cast) -> None:
        ours, theirs = cast.action(), cast.action("elm")
        parked(ours, 3)
        other = parked(theirs)[0]

        done = replay.ask_failed(Parked.objects.filter(binding=ours))

        assert (done.count, done.more) == (3, False)
        assert counts([ours.pk])[ours.pk].again == 3
        other.refresh_from_db()
        assert not other.again

    @pytest.mark.parametrize(
        ("wanted", "count"),
        [
            (Wanted(code="too_long"), 2),
            (Wanted(code="gone"), 1),
            (Wanted(since=timezone.now()), 3),
            (Wanted(until=timezone.now()), 0),
            (Wanted(submissions=(uuid4(),)), 0),
        ],
        ids=["by code", "by another code", "failed since", "failed until", "by id"],
    )
    def test_only_those_wanted(self, cast: Cast, wanted: Wanted, count: int) -> None:
        action = cast.action()
        parked(action, 2)
        parked(action, code="gone")

        assert replay.ask_failed(Parked.objects.all(), wanted).count == count

    def test_asking_twice_asks_once(self, cast: Cast) -> None:
        parked(cast.action(), 2)

        assert [replay.ask_failed(Parked.objects.all()).count for _ in range(2)] == [2, 0]

    def test_many_go_in_chunks_and_so_many_at_once(self, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(replay, "CHUNK", 2)
        parked(cast.action(), 5)
        told: list[int] = []

        first = replay.ask_failed(Parked.objects.all(), limit=3, told=told.append)
        second = replay.ask_failed(Parked.objects.all(), limit=3)

        assert ((first.count, first.more), (second.count, second.more)) == ((3, True), (2, False))
        assert told == [2, 3]

    def test_a_paused_action_tries_them_when_it_is_resumed(self, cast: Cast) -> None:
        action = cast.action()
        rows = cast.archive.add(cast.form, 1)
        Shelf.script = [raising(PermanentError("Too long.", code="too_long"))]
        cast.flush(action)
        actions.pause(action)

        replay.ask_failed(Parked.objects.all())
        cast.flush(action)
        assert Shelf.rows("oak") == []
        actions.resume(action)
        cast.flush(action)

        assert Shelf.rows("oak") == ids(rows)

    def test_what_may_have_arrived_is_tried_again_only_by_its_code_where_all_land_once(self, cast: Cast) -> None:
        parked(cast.action(), code=replay.UNKNOWN)
        parked(cast.action("box", kind=Letterbox), code=replay.UNKNOWN)

        assert replay.ask_failed(Parked.objects.all()).count == 1
        assert replay.unsure(Parked.objects.all()).count() == 1
        assert replay.ask_failed(Parked.objects.all(), Wanted(code=replay.UNKNOWN)).count == 1

    def test_the_statements_do_not_grow_with_the_rows(self, cast: Cast) -> None:
        action = cast.action()
        parked(action, 1)
        with CaptureQueriesContext(
            connection,
        ) as few:
            replay.ask_failed(Parked.objects.all())
        parked(action, 20)
        with CaptureQueriesContext(connection) as many:
            replay.ask_failed(Parked.objects.all())

        assert len(many) == len(few)


class TestDelivered:
    def test_it_is_delivered_once_more_beside_the_old_delivery(self, cast: Cast) -> None:
        action = cast.action("box", kind=Letterbox)
        rows = cast.archive.add(cast.form, 2)
        cast.flush(action)
        old = Delivery.objects.get()

        done = replay.ask_delivered(action, Wanted(submissions=(rows[0].id,)))
        waiting = states(cast.form, rows[0].id, 0)[0].standing
        cast.flush(action)

        assert (done.count, waiting) == (1, Standing.WAITING)
        assert Letterbox.rows("box") == [*ids(rows), rows[0].id]
        assert [item.submission_id for item in contents(old, 10)] == ids(rows)
        new = Delivery.objects.exclude(pk=old.pk).get()
        assert (new.late, new.state, states(cast.form, rows[0].id, 0)[0].standing) == (
            True, BatchState.DELIVERED, Standing.DELIVERED,
        )  # fmt: skip

    def test_it_counts_once(self, cast: Cast) -> None:
        action = cast.action("box", kind=Letterbox)
        cast.archive.add(cast.form, 2)
        cast.flush(action)

        replay.ask_delivered(action)
        cast.flush(action)

        assert counts([action.pk])[action.pk].delivered == 2

    def test_one_that_fails_then_is_a_failed_one_and_the_old_delivery_stays(self, cast: Cast) -> None:
        action = cast.action("box", kind=Letterbox)
        rows = cast.archive.add(cast.form, 1)
        cast.flush(action)
        replay.ask_delivered(action)
        Letterbox.script = [raising(PermanentError("Gone.", code="gone"))]

        cast.flush(action)

        assert Parked.objects.get().code == "gone"
        assert FormerItem.objects.get().submission_id == rows[0].id
        assert BatchItem.objects.count() == 0
        replay.ask_failed(Parked.objects.all())
        cast.flush(action)
        assert Letterbox.rows("box") == [rows[0].id] * 2

    def test_as_often_as_somebody_asks(self, cast: Cast) -> None:
        action = cast.action("box", kind=Letterbox)
        rows = cast.archive.add(cast.form, 1)
        cast.flush(action)

        for _ in range(3):
            replay.ask_delivered(action)
            cast.flush(action)

        assert Letterbox.rows("box") == [rows[0].id] * 4
        assert FormerItem.objects.count() == 3

    def test_what_waits_for_it_is_not_asked_for_twice(self, cast: Cast) -> None:
        action = cast.action("box", kind=Letterbox)
        cast.archive.add(cast.form, 2)
        cast.flush(action)

        assert [replay.ask_delivered(action).count for _ in range(2)] == [2, 0]

    @pytest.mark.parametrize("state", [BatchState.PENDING, BatchState.SENDING, BatchState.AMBIGUOUS])
    def test_nothing_moves_in_a_delivery_under_way(self, cast: Cast, state: BatchState) -> None:
        action = cast.action("box", kind=Letterbox)
        cast.archive.add(cast.form, 2)
        Letterbox.script = [raising(AmbiguousError("Lost."))]
        cast.flush(action)
        Delivery.objects.update(state=state)

        assert replay.ask_delivered(action).count == 0
        assert replay.ask_failed(Parked.objects.all()).count == 0
        assert BatchItem.objects.count() == 2

    def test_in_chunks_and_so_many_at_once(self, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(replay, "CHUNK", 2)
        action = cast.action("box", kind=Letterbox)
        cast.archive.add(cast.form, 5)
        cast.flush(action)

        first, second = replay.ask_delivered(action, limit=3), replay.ask_delivered(action, limit=3)

        assert ((first.count, first.more), (second.count, second.more)) == ((3, True), (2, False))

    def test_a_kind_that_delivers_once_refuses_it(self, cast: Cast) -> None:
        action = cast.action()
        cast.archive.add(cast.form, 1)
        cast.flush(action)

        with pytest.raises(OnceOnlyError, match="oak"):
            replay.ask_delivered(action)

        assert FormerItem.objects.count() == 0


class TestCommand:
    def test_it_says_how_many_and_changes_nothing_in_a_dry_run(self, cast: Cast) -> None:
        action = cast.action()
        parked(action, 2)

        assert "2 failed" in told("--action", str(action.pk), "--dry-run")
        assert not Parked.objects.filter(again=True).exists()

    def test_it_reaches_one_form_alone(self, cast: Cast) -> None:
        parked(cast.action(), 2)
        parked(cast.action("elm", form_id=uuid4()), 3)

        assert "2 failed" in told("--form", str(cast.form))
        assert Parked.objects.filter(again=True).count() == 2

    def test_it_delivers_once_more_what_was_delivered(self, cast: Cast) -> None:
        action = cast.action("box", kind=Letterbox)
        cast.archive.add(cast.form, 2)
        cast.flush(action)

        assert "2 delivered" in told("--action", str(action.pk), "--delivered", "--dry-run")
        assert "2 delivered" in told("--action", str(action.pk), "--delivered")

    @pytest.mark.parametrize(
        "args",
        [("--action", "0"), ("--all", "--delivered"), ("--form", "nothing"), ("--organization", "nobody"), ()],
        ids=["no such action", "delivered of all", "no such form", "no such organization", "nothing said"],
    )
    def test_it_refuses_what_it_does_not_understand(self, args: tuple[str, ...]) -> None:
        with pytest.raises(CommandError):
            told(*args)


def told(*args: str) -> str:
    out = StringIO()
    call_command("replay", *args, stdout=out, stderr=StringIO())
    return out.getvalue()
