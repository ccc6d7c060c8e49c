"""What lies in a topic of a real broker."""

import time

from kafka import KafkaConsumer, TopicPartition

from formhub.core.envelope import Envelope, decode

SECONDS = 20


def envelopes(server: str, topic: str, partitions: int) -> list[Envelope]:
    """From its start, those of a partition in their order."""
    all_of_it = [TopicPartition(topic, number) for number in range(partitions)]
    consumer = KafkaConsumer(bootstrap_servers=[server], auto_offset_reset="earliest", group_id=None)
    try:
        consumer.assign(all_of_it)
        left = sum(consumer.end_offsets(all_of_it).values())
        found: list[Envelope] = []
        until = time.monotonic() + SECONDS
        while len(found) < left and time.monotonic() < until:
            taken = consumer.poll(timeout_ms=500)
            found += [decode(record.value, record.headers) for records in taken.values() for record in records]
        return found
    finally:
        consumer.close()
