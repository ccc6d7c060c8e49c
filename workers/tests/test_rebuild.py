"""A buffer that was wiped, on the real server: it comes back by itself, and at once by the command."""

from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from apps.archive.models import Submission
from apps.sinks.models import Binding, Destination
from apps.sinks.tests.kinds import Shelf
from workers import routing, tasks, wiring
from workers.buffer.base import Limits
from workers.buffer.redis import RedisBuffer
from workers.tests.test_tasks import _built_anew, an_action, queued, take

__all__ = ["_built_anew", "queued"]  # fixtures
pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def come_to_rest(queued: list[tuple[Any, dict[str, Any]]]) -> None:
    """What beat and the workers do by themselves, until there is nothing left to do."""
    for _ in range(9):
        tasks.sweep()
        tasks.tick()
        if not queued:
            return
        while queued:
            tasks.flush(*queued.pop()[0])
        Destination.objects.update(queued_until=None)
    raise AssertionError("it does not come to rest")


def test_a_wiped_server_costs_nothing_and_changes_no_order(
    queued: list[tuple[Any, dict[str, Any]]], settings: LazySettings
) -> None:
    form = uuid4()
    an_action(form)
    handler = routing.make_handler()
    first, before = take(form, 0, 15)
    handler.handle(first)
    wiring.client(settings.REDIS_BUFFER_URL, 1).flushall()
    second, after = take(form, 15, 9)
    handler.handle(second)
    Submission.objects.update(archived_at=datetime(2026, 1, 1, tzinfo=UTC))

    come_to_rest(queued)

    assert Shelf.rows("oak") == [envelope.id for envelope in before + after]
    assert wiring.buffer().total() == 0


def test_the_command_lists_what_waits_and_says_so(settings: LazySettings, capsys: pytest.CaptureFixture[str]) -> None:
    form = uuid4()
    an_action(form)
    taken, envelopes = take(form, 0, 12)
    routing.make_handler().handle(taken)
    wiring.client(settings.REDIS_BUFFER_URL, 1).flushall()

    for _ in range(2):
        call_command("rebuild_buffer")

    action = Binding.objects.get()
    assert wiring.buffer().peek(action.pk, 99) == [(number, each.id) for number, each in enumerate(envelopes)]
    assert wiring.buffer().total() == 12
    assert "12 submissions listed at 1 actions." in capsys.readouterr().out


def test_what_an_action_has_beyond_its_share_of_the_buffer_is_left_to_the_archive(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    form = uuid4()
    an_action(form)
    take(form, 0, 12)
    small = RedisBuffer(wiring.client(settings.REDIS_BUFFER_URL, 1), Limits(5, 100))
    monkeypatch.setattr(wiring, "buffer", cache(lambda: small))

    call_command("rebuild_buffer")

    assert small.total() == 5
    assert Binding.objects.get().behind_at == 5
    assert "what is more comes from the archive" in capsys.readouterr().out


def test_a_buffer_that_is_away_is_told_in_words(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    form = uuid4()
    an_action(form)
    take(form, 0, 1)
    gone = RedisBuffer(wiring.client("redis://127.0.0.1:9/1", 0.2), Limits(5, 100))
    monkeypatch.setattr(wiring, "buffer", cache(lambda: gone))

    with pytest.raises(CommandError, match="REDIS_BUFFER_URL"):
        call_command("rebuild_buffer")
