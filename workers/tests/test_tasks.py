"""From the log to the shelf with everything real but the log's records: archive, ledger, buffer, tasks."""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.utils import timezone

from apps.archive import offsets
from apps.archive.models import StreamOffset, Submission
from apps.sinks import actions
from apps.sinks.config import Settings
from apps.sinks.models import Destination
from apps.sinks.positions import log_end
from apps.sinks.registry import registry
from apps.sinks.tests.kinds import Shelf
from deploy.local.valkey import Valkey
from formhub.core.envelope import Envelope
from formhub.core.ids import uuid7
from formhub.core.stream.base import Record, partition_of
from workers import due, routing, tasks, wiring
from workers.consumer import Decoded, Span, Taken
from workers.tests.conftest import KINDS

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
TOPIC_ID = "topic"


@pytest.fixture(autouse=True)
def _built_anew(valkey_service: Valkey, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    Shelf.reset()
    for made in (wiring.buffer, wiring.limiter, wiring.flusher):
        made.cache_clear()
    wiring.client(settings.REDIS_BUFFER_URL, 1).flushdb()
    monkeypatch.setattr(registry, "get", KINDS.__getitem__)
    monkeypatch.setattr(registry, "names", lambda: sorted(KINDS))
    yield
    for made in (wiring.buffer, wiring.limiter, wiring.flusher):
        made.cache_clear()


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """Tasks on their way to a worker."""
    sent: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(tasks.flush, "apply_async", lambda args, **options: sent.append((args, options)))
    return sent


def take(form: UUID, first: int, count: int) -> tuple[Taken, list[Envelope]]:
    """A poll's worth as the consumer hands it over, archived already."""
    partition = partition_of(str(form).encode(), 6)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    envelopes = [Envelope(uuid7(), uuid4(), form, 1, moment, {"n": number}) for number in range(count)]
    decoded = []
    for number, envelope in enumerate(envelopes):
        record = Record("submissions.v1", partition, first + number, envelope.key, b"", (), 0)
        decoded.append(Decoded(record, envelope, first + number))
        Submission.objects.create(
            organization_id=envelope.organization,
            form_id=form,
            id=envelope.id,
            version=1,
            position=first + number,
            accepted_at=moment,
            archived_at=timezone.now(),
            late=False,
            answers=envelope.answers,
            meta={},
        )
    StreamOffset.objects.filter(group="archive").update(next_offset=first + count)
    return Taken("submissions.v1", TOPIC_ID, decoded, [], {partition: Span(first, first + count)}), envelopes


def an_action(form: UUID) -> int:
    for group in ("archive", "deliver"):
        offsets.place(group, "submissions.v1", TOPIC_ID, 0, {partition_of(str(form).encode(), 6): 0})
    return actions.create(
        organization_id=uuid4(),
        form_id=form,
        sink=Shelf,
        name="Oak",
        settings=Settings({"shelf": "oak"}, {}),
        position=log_end(form),
    ).destination_id


def test_what_was_accepted_reaches_the_shelf(queued: list[tuple[Any, dict[str, Any]]]) -> None:
    form = uuid4()
    destination = an_action(form)
    handler = routing.make_handler()
    taken, envelopes = take(form, 0, 12)

    handler.handle(taken)
    tasks.tick()
    assert queued == [((destination,), {"queue": "flush.shelf", "expires": due.QUEUED_SECONDS})]
    tasks.flush(destination)
    tasks.flush(destination)

    assert Shelf.rows("oak") == [envelope.id for envelope in envelopes]
    assert StreamOffset.objects.get(group="deliver").next_offset == 12


def test_the_command_delivers_what_is_due_without_beat_and_workers() -> None:
    form = uuid4()
    an_action(form)
    taken, envelopes = take(form, 0, 10)  # a full batch: nothing of it waits for more
    routing.make_handler().handle(taken)
    said = StringIO()

    call_command("deliver_due", stdout=said)

    assert Shelf.rows("oak") == [envelope.id for envelope in envelopes]
    assert int(said.getvalue().split()[0]) >= 1


def test_two_beats_queue_one_flush(queued: list[tuple[Any, dict[str, Any]]]) -> None:
    destination = an_action(uuid4())
    Destination.objects.update(next_attempt_at=timezone.now())

    tasks.tick()
    tasks.tick()

    assert [args for args, _ in queued] == [(destination,)]


def test_records_read_again_after_a_crash_before_the_offsets_are_delivered_once() -> None:
    form = uuid4()
    destination = an_action(form)
    handler = routing.make_handler()
    taken, envelopes = take(form, 0, 4)

    handler._router.route((decoded.position, decoded.envelope) for decoded in taken.decoded)
    handler.handle(taken)
    tasks.flush(destination)

    assert Shelf.rows("oak") == [envelope.id for envelope in envelopes]


def test_a_handler_that_was_overtaken_is_told(queued: list[tuple[Any, dict[str, Any]]]) -> None:
    form = uuid4()
    an_action(form)
    taken, _ = take(form, 0, 2)
    StreamOffset.objects.filter(group="deliver").update(next_offset=2)

    with pytest.raises(offsets.OffsetMovedError):
        routing.make_handler().handle(taken)


def test_a_kind_that_is_not_installed_has_no_queue_and_is_told_by_any_worker(
    queued: list[tuple[Any, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = an_action(uuid4())
    Destination.objects.update(next_attempt_at=timezone.now())
    monkeypatch.setattr(registry, "names", lambda: ["letterbox"])

    tasks.tick()

    assert queued == [((destination,), {"queue": tasks.ANY, "expires": due.QUEUED_SECONDS})]
    assert tasks.queues() == ["flush.letterbox", tasks.OWNERS]


def test_mails_to_owners_are_sent_by_who_may_leave_the_house(settings: LazySettings) -> None:
    assert {tasks.notify.name: {"queue": tasks.OWNERS}} == settings.CELERY_TASK_ROUTES


def test_a_sweep_wakes_what_the_buffer_forgot(queued: list[tuple[Any, dict[str, Any]]], settings: LazySettings) -> None:
    form = uuid4()
    destination = an_action(form)
    taken, _ = take(form, 0, 4)
    routing.make_handler().handle(taken)
    wiring.client(settings.REDIS_BUFFER_URL, 1).flushdb()
    Submission.objects.update(archived_at=datetime(2026, 1, 1, tzinfo=UTC))

    tasks.sweep()
    tasks.tick()

    assert [args for args, _ in queued] == [(destination,)]
