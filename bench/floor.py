"""The floor of the submit path: Granian's bare RSGI interface and group commit, nothing else.

`granian --interface rsgi bench.floor:app`. It reads the body, sends an envelope of the usual size on its way and
answers 202 after the broker's receipt. No product can answer faster on this machine with this broker.
"""

import os
from typing import Any

from apps.intake.commit import Bounds, Committer
from apps.intake.ticket import NotCommittedError
from formhub.core.stream.base import Message, partition_of
from formhub.core.stream.kafka import KafkaPublisher

ENVELOPE_BYTES = 524
ANSWER = b'{"id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "form": "k7m2qhx4w9tc", "version": 1}'
JSON = [("content-type", "application/json")]


class App:
    """`/<number>` is a form: its submissions go to one partition, as a real form's do."""

    def __rsgi_init__(self, loop: Any) -> None:
        topic, partitions = os.environ["SUBMISSIONS_TOPIC"], int(os.environ["SUBMISSIONS_PARTITIONS"])
        publisher = KafkaPublisher([os.environ["KAFKA_BOOTSTRAP_SERVERS"]], topic, partitions)
        self._committer = Committer(publisher, Bounds(20_000, 64 * 1024 * 1024, 4.0))
        self._value = b"x" * ENVELOPE_BYTES
        self._partitions = partitions
        self._places: dict[str, tuple[bytes, int]] = {}

    def __rsgi_del__(self, loop: Any) -> None:
        self._committer.close(5.0)

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        await protocol()
        key, partition = self._place(scope.path)
        try:
            await self._committer.submit(Message(key, self._value, (), partition))
        except NotCommittedError:
            protocol.response_empty(503, [])
        else:
            protocol.response_bytes(202, JSON, ANSWER)

    def _place(self, path: str) -> tuple[bytes, int]:
        found = self._places.get(path)
        if found is None:
            key = f"form-{path}".encode()
            found = self._places[path] = (key, partition_of(key, self._partitions))
        return found


app = App()
