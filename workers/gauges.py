"""What the workers look up when they are scraped, beside the state in Postgres."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from formhub.core import metrics
from formhub.core.exposition import gauge
from workers import wiring
from workers.buffer.base import BufferUnavailableError


class BufferEntries(Collector):
    def collect(self) -> Iterator[Metric]:
        try:
            entries = wiring.buffer().total()
        except BufferUnavailableError:
            yield gauge(metrics.STATE_KNOWN, {("buffer",): 0})
        else:
            yield gauge(metrics.STATE_KNOWN, {("buffer",): 1})
            yield gauge(metrics.BUFFER_ENTRIES, {(): entries})
