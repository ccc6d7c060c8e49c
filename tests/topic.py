"""What lies in a topic of a real broker."""

from bench import travelled
from formhub.core.envelope import Envelope, decode


def envelopes(server: str, topic: str) -> list[Envelope]:
    """From its start, those of a partition in their order. Raises TimeoutError."""
    return [decode(record.value, record.headers) for record in travelled.records([server], topic)]
