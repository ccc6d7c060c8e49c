from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone
from prometheus_client import generate_latest
from pytest_django import Settings as DjangoSettings

from apps.archive.models import Submission
from apps.console import figures
from apps.console.figures import Deliveries, Figures
from apps.intake.outbox import State
from apps.intake.tests.outboxes import kept
from apps.sinks import actions
from apps.sinks.config import Settings
from apps.sinks.models import Batch, BatchState, Binding, Destination, Parked
from apps.sinks.tests.kinds import Letterbox, Shelf
from formhub.core.ids import uuid7

pytestmark = pytest.mark.django_db


def an_action(kind: type[Shelf] = Shelf, shelf: str = "oak", form: UUID | None = None) -> Binding:
    return actions.create(
        organization_id=uuid4(),
        form_id=form or uuid4(),
        sink=kind,
        name=shelf,
        settings=Settings({"shelf": shelf}, {}),
        position=0,
    )


def archived(form: UUID, position: int, age: float) -> None:
    Submission.objects.create(
        organization_id=uuid4(),
        form_id=form,
        id=uuid7(),
        version=1,
        position=position,
        accepted_at=datetime(2026, 1, 1, tzinfo=UTC),
        archived_at=timezone.now() - timedelta(seconds=age),
        answers={},
    )


def parked(binding: Binding) -> None:
    Parked.objects.create(
        organization_id=binding.organization_id,
        binding=binding,
        form_id=binding.form_id,
        submission_id=uuid4(),
        position=1,
        code="x",
    )


def test_actions_are_counted_by_kind_and_state() -> None:
    an_action()
    actions.pause(an_action(shelf="elm"))
    Binding.objects.filter(pk=an_action(Letterbox, "box").pk).update(behind_at=3)
    Destination.objects.filter(kind="letterbox").update(failures=1)
    for _ in range(3):
        parked(an_action(shelf=str(uuid4())))

    found = figures.read()

    assert found.actions == {("shelf", "on"): 4, ("shelf", "paused"): 1, ("letterbox", "on"): 1}
    assert (found.behind, found.failing, found.parked) == ({"letterbox": 1}, {"letterbox": 1}, {"shelf": 3})


def test_the_oldest_undelivered_submission_is_dated_by_when_it_was_archived() -> None:
    form = uuid4()
    settled, waiting = an_action(form=form), an_action(Letterbox, form=form)
    archived(form, 1, age=500)
    archived(form, 2, age=100)
    Binding.objects.filter(pk=settled.pk).update(settled_to=2)
    Binding.objects.filter(pk=waiting.pk).update(settled_to=1)

    found = figures.read().waiting

    assert found.keys() == {"letterbox"}
    assert 100 <= found["letterbox"] < 200


def test_a_delivery_that_has_not_ended_waits_too_and_a_paused_action_does_not() -> None:
    form = uuid4()
    going, paused = an_action(form=form), an_action(Letterbox, form=form)
    archived(form, 1, age=10)
    Binding.objects.filter(pk=going.pk).update(settled_to=1)
    for action in (going, paused):
        batch = Batch.objects.create(
            organization_id=action.organization_id, destination=action.destination, sequence=1, turn="1", size=1
        )
        Batch.objects.filter(pk=batch.pk).update(created_at=timezone.now() - timedelta(seconds=300))
    actions.pause(paused)

    found = figures.read().waiting
    assert found.keys() == {"shelf"}
    assert 300 <= found["shelf"] < 400

    Batch.objects.update(state=BatchState.DELIVERED)
    assert figures.read().waiting == {}


def test_what_an_action_that_is_off_no_longer_owes_does_not_wait() -> None:
    action = an_action()
    actions.switch_off(action, 1)
    Binding.objects.filter(pk=action.pk).update(settled_to=0)
    archived(action.form_id, 5, age=900)

    assert figures.read().waiting == {}


def test_the_outbox_is_told_by_its_rows_its_oldest_and_what_the_log_refuses(settings: DjangoSettings) -> None:
    settings.OUTBOX_ROWS_MAX = 10
    kept(age=300)
    row = kept(age=900, refused="too large")

    found = figures.read().outbox
    assert (found.rows, found.refused) == (2, 1)
    assert found.bytes > row.size
    # What is set aside waits for nobody.
    assert 300 <= figures.age(found) < 400
    assert figures.used(found) == 0.2


def test_the_bound_of_the_outbox_that_is_reached_first_counts(settings: DjangoSettings) -> None:
    settings.OUTBOX_ROWS_MAX, settings.OUTBOX_BYTES_MAX = 100, 1_000

    assert figures.used(State(10, 900, None, 0)) == 0.9
    assert figures.used(State(10, 50, None, 0)) == 0.1
    assert figures.age(State(0, 0, None, 0)) == 0


def test_counting_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "COUNTED_MAX", 2)
    for number in range(4):
        parked(an_action(shelf=str(number)))

    assert figures.read().parked == {"shelf": 2}


FOUND = Figures(
    actions={("shelf", "on"): 2, ("shelf", "paused"): 1},
    behind={},
    failing={"shelf": 1},
    parked={},
    waiting={"shelf": 12.5},
    unread=7,
    outbox=State(3, 1_500, None, 2),
)


class Scrape:
    def __init__(self, *answers: Figures | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.deliveries = Deliveries(self.read)

    def read(self) -> Figures:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def text(self) -> str:
        return generate_latest(self.deliveries).decode()


def test_a_scrape_tells_each_kind_its_zeros_too() -> None:
    text = Scrape(FOUND).text()

    assert 'formhub_state_known{source="postgres"} 1.0' in text
    assert 'formhub_actions{kind="shelf",state="paused"} 1.0' in text
    assert 'formhub_parked{kind="shelf"} 0.0' in text
    assert 'formhub_oldest_waiting_seconds{kind="shelf"} 12.5' in text
    assert "formhub_unread_records 7.0" in text
    assert "formhub_outbox_rows 3.0" in text
    assert "formhub_outbox_bytes 1500.0" in text
    assert "formhub_outbox_refused 2.0" in text
    assert "formhub_outbox_oldest_seconds 0.0" in text


def test_many_scrapes_ask_the_database_once() -> None:
    scrape = Scrape(FOUND)

    assert len({scrape.text() for _ in range(5)}) == 1
    assert scrape.asked == 1


def test_without_the_database_nothing_stale_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "FRESH_SECONDS", 0)
    scrape = Scrape(FOUND, OperationalError("gone"), FOUND)

    texts = [scrape.text() for _ in range(3)]

    assert 'formhub_state_known{source="postgres"} 0.0' in texts[1]
    assert "formhub_actions" not in texts[1]
    assert texts[2] == texts[0]
