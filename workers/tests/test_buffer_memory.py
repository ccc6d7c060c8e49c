import pytest

from workers.buffer.base import Buffer, Limits
from workers.buffer.memory import MemoryBuffer
from workers.tests.buffer_suite import LIMITS, BufferSuite


class TestMemoryBuffer(BufferSuite):
    @pytest.fixture
    def buffer(self) -> Buffer:
        return MemoryBuffer(LIMITS)

    @pytest.fixture
    def roomy(self) -> Buffer:
        return MemoryBuffer(Limits(20_000, 40_000))
