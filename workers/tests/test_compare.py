"""What stands at a destination, held against archive and ledger."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.sinks.contract import Batch, Rate
from apps.sinks.models import Batch as Delivery
from apps.sinks.models import BatchItem, Binding, Destination, FormerItem, Parked
from apps.sinks.tests.kinds import Shelf
from formhub.core.clock import ManualClock
from formhub.core.ids import uuid7
from workers import reconcile
from workers.compare import CannotTellError, Compared, Comparison
from workers.limits import LocalLimiter
from workers.tests.conftest import KINDS, Cast, ids

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


class Window(Shelf):
    """A shelf that one can look at: what is late is put there only where it does not stand yet."""

    name, label = "window", "Window"
    policy = Shelf.policy.__class__(max_items=10, repeatable=True, rates=(Rate("look", 1, 60),))
    standing: list[UUID]

    @classmethod
    def reset(cls) -> None:
        super().reset()
        cls.standing = []

    def _land(self, batch: Batch) -> None:
        super()._land(batch)
        self.standing += [id for id in batch.ids if not (batch.late and id in self.standing)]

    def present(self) -> Iterator[Sequence[UUID]]:
        for first in range(0, len(self.standing), 7):
            self.context.spend("look")
            yield self.standing[first : first + 7]


@pytest.fixture
def cast(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Cast:
    monkeypatch.setitem(KINDS, "window", Window)
    Window.reset()
    # Finished before the comparison begins by any clock.
    cast.clock = ManualClock(timezone.now() + timedelta(minutes=1))
    return cast


@pytest.fixture
def delivered(cast: Cast) -> Binding:
    action = cast.action(kind=Window)
    cast.archive.add(cast.form, 25)
    for _ in range(4):
        Destination.objects.update(next_attempt_at=None)
        cast.clock.advance(120)
        cast.flush(action)
    assert len(Window.standing) == 25
    return action


def compared(cast: Cast, action: Binding, *, resend: bool = False) -> Compared:
    limiter = LocalLimiter(cast.clock)
    return Comparison(KINDS.__getitem__, cast.archive, limiter, cast.clock, cast.clock.advance).run(
        action, resend=resend
    )


def flush(cast: Cast, action: Binding) -> None:
    for _ in range(4):
        cast.clock.advance(120)
        cast.flush(action)


def test_where_everything_is_in_order_nothing_is_found(cast: Cast, delivered: Binding) -> None:
    assert compared(cast, delivered) == Compared(shown=25)


def test_what_stands_there_and_the_ledger_lost_is_written_down_and_never_sent_twice(
    cast: Cast, delivered: Binding
) -> None:
    lost = Window.standing[5:9]
    BatchItem.objects.filter(submission_id__in=lost).delete()

    assert compared(cast, delivered).recorded == 4
    reconcile.begin()
    while reconcile.step(cast.archive) is not None:
        pass
    flush(cast, delivered)

    assert Window.rows("oak").count(lost[0]) == 1
    assert BatchItem.objects.count() == 25
    assert Delivery.objects.get(code="found_there").size == 4
    assert compared(cast, delivered).recorded == 0


def test_after_the_whole_ledger_was_set_back_what_stands_there_is_not_sent_again(
    cast: Cast, delivered: Binding
) -> None:
    before = list(Window.standing)
    Delivery.objects.all().delete()
    BatchItem.objects.all().delete()
    Binding.objects.update(settled_to=-1, delivered=0)
    new = cast.archive.add(cast.form, 3)

    assert compared(cast, delivered).recorded == 25
    flush(cast, delivered)

    assert Window.rows("oak")[-3:] == ids(new)
    assert Window.standing == before + ids(new)


def test_what_failed_and_stands_there_all_the_same_has_arrived(cast: Cast, delivered: Binding) -> None:
    item = BatchItem.objects.get(submission_id=Window.standing[3])
    Parked.objects.create(
        organization_id=delivered.organization_id, binding=delivered, form_id=cast.form, position=item.position,
        submission_id=item.submission_id, code="outcome_unknown",
    )  # fmt: skip
    BatchItem.objects.filter(submission_id=item.submission_id).delete()

    assert compared(cast, delivered).recorded == 1

    assert not Parked.objects.exists()


def test_what_no_archive_has_is_named(cast: Cast, delivered: Binding) -> None:
    stranger = uuid7()
    Window.standing.append(stranger)

    found = compared(cast, delivered)

    assert (found.strangers, found.named["strangers"]) == (1, [stranger])


def test_another_forms_rows_at_the_same_destination_are_no_strangers(cast: Cast, delivered: Binding) -> None:
    other = cast.action(kind=Window, form_id=uuid4())
    cast.archive.add(other.form_id, 2)
    flush(cast, other)

    found = compared(cast, delivered)

    assert (found.shown, found.strangers, found.recorded) == (27, 0, 0)


def test_what_was_delivered_and_is_gone_is_named_and_sent_again_when_asked(cast: Cast, delivered: Binding) -> None:
    gone = [Window.standing.pop(4), Window.standing.pop(10)]

    assert compared(cast, delivered).named["gone"] == gone
    assert compared(cast, delivered, resend=True).resent == 2
    flush(cast, delivered)

    assert Window.standing[-2:] == gone
    assert Window.standing.count(gone[0]) == 1
    assert FormerItem.objects.count() == 2
    assert compared(cast, delivered) == Compared(shown=25)


def test_what_was_erased_is_not_missed(cast: Cast, delivered: Binding) -> None:
    cast.archive.erase(cast.form, Window.standing.pop(4))

    assert compared(cast, delivered).gone == 0


def test_a_kind_that_cannot_tell_and_rows_that_look_the_same_are_refused(cast: Cast, delivered: Binding) -> None:
    with pytest.raises(CannotTellError, match="cannot tell"):
        compared(cast, cast.action("elm"))
    cast.action(kind=Window)
    with pytest.raises(CannotTellError, match="Another action"):
        compared(cast, delivered)


def test_the_command_goes_on_after_an_action_that_cannot_be_compared(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cast.action("elm")
    action = cast.action(kind=Window)
    monkeypatch.setattr("workers.management.commands.reconcile.registry.get", KINDS.__getitem__)
    monkeypatch.setattr("workers.management.commands.reconcile.archive", cast.archive)
    monkeypatch.setattr("workers.management.commands.reconcile.wiring.limiter", lambda: LocalLimiter(cast.clock))

    call_command("reconcile", sink=True)

    said = capsys.readouterr().out
    assert "not compared. Shelf cannot tell" in said
    assert f"action {action.pk}: 0 stand there" in said


def test_resending_needs_a_look_at_the_destination() -> None:
    with pytest.raises(CommandError, match="needs --sink"):
        call_command("reconcile", resend_missing=True)
