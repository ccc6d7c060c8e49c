from uuid import UUID

import pytest

from apps.sinks.conformance import SinkConformance
from apps.sinks.contract import Context, RetryableError
from apps.sinks.tests.kinds import Letterbox, Shelf, raising

SETTINGS = {"shelf": "oak", "shade": "", "token": "secret"}


class TestShelf(SinkConformance):
    kind = Shelf

    @pytest.fixture(autouse=True)
    def _empty(self) -> None:
        self.kind.reset()

    def make_sink(self, context: Context) -> Shelf:
        return self.kind(SETTINGS, context)

    def times_seen(self, submission: UUID) -> int:
        return self.kind.rows("oak").count(submission)

    def break_service(self) -> bool:
        self.kind.script.append(raising(RetryableError("The shelf is being painted.")))
        return True


class TestLetterbox(TestShelf):
    kind = Letterbox
