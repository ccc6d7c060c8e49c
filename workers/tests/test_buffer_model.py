"""Both buffers against one simple model, with the server lost, away, or silent after it did what was asked."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.conf import LazySettings
from hypothesis import HealthCheck, given
from hypothesis import settings as bounds
from hypothesis import strategies as st
from redis import Redis

from deploy.local.valkey import Valkey
from workers.buffer.base import Buffer, BufferUnavailableError, Group, Limits
from workers.buffer.memory import MemoryBuffer
from workers.buffer.redis import RedisBuffer

LIMITS = Limits(binding=12, total=20)
BINDINGS = (1, 2, 3)
DESTINATION = {1: 7, 2: 7, 3: 8}
MANY = 100
Step = tuple[Any, ...]


class Model:
    """What a buffer is, as plainly as it can be said."""

    def __init__(self) -> None:
        self.entries: dict[int, dict[UUID, int]] = {binding: {} for binding in BINDINGS}
        self.ready: dict[int, float] = {}

    def total(self) -> int:
        return sum(map(len, self.entries.values()))

    def append(self, group: Group, now: float) -> None:
        held = self.entries[group.binding]
        room = max(0, min(LIMITS.binding - len(held), LIMITS.total - self.total()))
        for position, submission in group.entries[:room]:
            held.setdefault(submission, position)
        if len(group.entries) > room or len(held) >= group.full:
            self.ready[group.destination] = min(now, self.ready.get(group.destination, now))
        else:
            self.ready.setdefault(group.destination, now + group.wait)

    def settle(self, destination: int, settled: dict[int, int], now: float, wait: float, full: int) -> None:
        for binding, position in settled.items():
            self.entries[binding] = {id: at for id, at in self.entries[binding].items() if at > position}
        left = sum(len(self.entries[binding]) for binding in settled)
        self.ready.pop(destination, None)
        if left:
            self.ready[destination] = now if left >= full else now + wait

    def due(self, now: float, again_at: float) -> set[int]:
        found = {destination for destination, at in self.ready.items() if at <= now}
        self.ready.update(dict.fromkeys(found, again_at))
        return found


positions = st.lists(st.integers(0, 59), min_size=1, max_size=15, unique=True).map(sorted)
times = st.integers(0, 50)
appends = st.tuples(st.just("append"), st.sampled_from(BINDINGS), positions, times)
settles = st.tuples(st.just("settle"), st.sampled_from(BINDINGS), st.integers(-1, 60), times)
dues = st.tuples(st.just("due"), times)
forgets = st.tuples(st.just("forget"), st.sampled_from(BINDINGS), st.integers(0, 29))
drops = st.tuples(st.just("drop"), st.sampled_from(BINDINGS))
faults = st.tuples(st.sampled_from(["lost", "away", "silent"]))
histories = st.lists(st.one_of(appends, appends, settles, dues, forgets, drops, faults), max_size=25)


def an_id(position: int) -> UUID:
    """Two positions share an id, as when a record stands in the log twice."""
    return UUID(int=position % 30)


def play(buffer: Buffer, history: list[Step], lose: Callable[[], None], away: Callable[[bool], None]) -> None:
    """`lose`: everything is gone. `away`: whether the buffer answers with nothing but errors from now on."""
    model, again = Model(), 1
    for step in history:
        match step:
            case ("silent",):
                again = 2
            case ("lost",):
                lose()
                model = Model()
            case ("away",):
                away(True)
                with pytest.raises(BufferUnavailableError):
                    buffer.append([Group(1, 7, 5, 6, [(1, an_id(1))])], 0)
                away(False)
            case _:
                # Whoever heard nothing asks once more.
                for _ in range(again):
                    ask(buffer, model, step)
                again = 1
        compare(buffer, model)


def ask(buffer: Buffer, model: Model, step: Step) -> None:
    match step:
        case ("append", binding, found, now):
            group = Group(binding, DESTINATION[binding], 5, 6, [(position, an_id(position)) for position in found])
            buffer.append([group], now)
            model.append(group, now)
        case ("settle", binding, position, now):
            buffer.settle(DESTINATION[binding], {binding: position}, now, 5, 6)
            model.settle(DESTINATION[binding], {binding: position}, now, 5, 6)
        case ("due", now):
            assert set(buffer.due(now, MANY, now + 30)) == model.due(now, now + 30)
        case ("forget", binding, number):
            buffer.forget([binding], [UUID(int=number)])
            model.entries[binding].pop(UUID(int=number), None)
        case ("drop", binding):
            buffer.drop(binding)
            model.entries[binding].clear()


def compare(buffer: Buffer, model: Model) -> None:
    for binding, held in model.entries.items():
        assert buffer.peek(binding, MANY) == sorted((position, id) for id, position in held.items())
    assert buffer.sizes(BINDINGS) == {binding: len(held) for binding, held in model.entries.items()}
    assert buffer.total() == model.total() <= LIMITS.total
    assert buffer.bindings() == {binding for binding, held in model.entries.items() if held}


@given(history=histories)
@bounds(max_examples=200, deadline=None)
def test_a_buffer_in_memory_is_what_the_model_says(history: list[Step]) -> None:
    buffer = MemoryBuffer(LIMITS)

    play(buffer, history, buffer.clear, lambda gone: setattr(buffer, "broken", gone))


@given(history=histories)
@bounds(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_buffer_on_a_server_is_what_the_model_says(
    valkey_service: Valkey, settings: LazySettings, history: list[Step]
) -> None:
    with Redis.from_url(settings.REDIS_BUFFER_URL) as client:
        client.flushdb()

        def away(gone: bool) -> None:
            # A server that takes no memory refuses to write, and says so.
            client.config_set("maxmemory", 1 if gone else 0)

        try:
            play(RedisBuffer(client, LIMITS), history, client.flushdb, away)
        finally:
            away(False)
