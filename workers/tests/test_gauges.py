from uuid import uuid4

import pytest
from prometheus_client import generate_latest

from workers import wiring
from workers.buffer.base import Group, Limits
from workers.buffer.memory import MemoryBuffer
from workers.gauges import BufferEntries


@pytest.fixture
def buffer(monkeypatch: pytest.MonkeyPatch) -> MemoryBuffer:
    made = MemoryBuffer(Limits(100, 100))
    monkeypatch.setattr(wiring, "buffer", lambda: made)
    return made


def test_the_entries_of_all_buffers_are_counted(buffer: MemoryBuffer) -> None:
    buffer.append([Group(number, number, 1.0, 10, [(1, uuid4()), (2, uuid4())]) for number in range(3)], 0.0)

    assert "formhub_buffer_entries 6.0" in generate_latest(BufferEntries()).decode()


def test_a_buffer_that_is_away_is_told_as_unknown_and_not_as_empty(buffer: MemoryBuffer) -> None:
    buffer.broken = True

    text = generate_latest(BufferEntries()).decode()

    assert 'formhub_state_known{source="buffer"} 0.0' in text
    assert "formhub_buffer_entries" not in text
