"""Records put into the log past the web server, as only a case can make them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from kafka import KafkaProducer

from formhub.core.envelope import Envelope, encode
from formhub.core.ids import uuid7
from formhub.core.stream.base import partition_of
from tests.canary import ANSWER
from tests.faults.harness.case import Case
from tests.faults.harness.journal import digest

PARTITIONS = 6


@contextmanager
def producer(case: Case) -> Iterator[Any]:
    made = KafkaProducer(bootstrap_servers=case.world.bootstrap.split(","), acks="all", max_request_size=2_000_000)
    try:
        yield made
    finally:
        made.close(timeout=10)


def form_of(case: Case) -> tuple[UUID, UUID]:
    """Organization and form of the first target, by their inner ids."""
    [(organization, form)] = case.world.sql(
        "SELECT organization_id, id FROM forms_form WHERE public_id = %s", case.targets[0]["form"]
    )
    return organization, form


def an_envelope(case: Case, key: str, **answers: str) -> Envelope:
    organization, form = form_of(case)
    body = {"name": "Zoë", "roll": key, "email": "zoe@example.org", "university": ANSWER, **answers}
    return Envelope(uuid7(), organization, form, 1, datetime.now(UTC), body)


def put(kafka: Any, case: Case, value: bytes, headers: Any, key: bytes) -> None:
    partition = partition_of(key, PARTITIONS)
    kafka.send(case.world.topic, value, key, list(headers), partition).get(timeout=15)


def put_accepted(kafka: Any, case: Case, envelope: Envelope, times: int = 1) -> None:
    """As if a client had been told of it; its key is the roll number."""
    key = str(envelope.answers["roll"])
    case.journal.sent(key, case.targets[0]["form"], digest(envelope.answers))
    case.journal.ok(key, str(envelope.id))
    for _ in range(times):
        put(kafka, case, *encode(envelope), envelope.key)
