"""Every metric of ours, named once, with the part that it measures.

Labels never carry ids of tenants: their number must not grow with forms or organizations.
"""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10)

# Intake
ACCEPTED = Counter("formhub_intake_accepted_total", "Submissions answered with 202", ["door"])
REFUSED = Counter("formhub_intake_refused_total", "Submissions refused", ["reason"])
ACK_SECONDS = Histogram("formhub_intake_ack_seconds", "Wait for the broker's receipt", buckets=_SECONDS)
GROUP_SIZE = Histogram(
    "formhub_intake_group_size",
    "Submissions in one group commit",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000),
)
PENDING = Gauge("formhub_intake_pending", "Submissions waiting for a receipt", multiprocess_mode="livesum")
FAILED_OPEN = Counter("formhub_intake_failed_open_total", "Checks left out because Redis was away", ["check"])

# Log and consumers
CONSUMED = Counter("formhub_consumer_records_total", "Records taken from the log", ["group"])
UNREAD = Counter("formhub_consumer_unread_total", "Records kept aside as unreadable", ["group", "reason"])
LAG = Gauge(
    "formhub_consumer_lag_records",
    "Records not yet taken",
    ["group", "partition"],
    multiprocess_mode="livemax",
)
ARCHIVED = Counter("formhub_archive_rows_total", "Rows inserted into the archive")
ARCHIVE_SECONDS = Histogram("formhub_archive_batch_seconds", "Time of one archive transaction", buckets=_SECONDS)

# Delivery
BUFFERED = Counter("formhub_buffer_appended_total", "Entries put into buffers")
FLUSHED = Counter("formhub_flush_items_total", "Submissions by the outcome of their batch", ["kind", "outcome"])
FLUSH_SECONDS = Histogram("formhub_flush_seconds", "Time of one delivery call", ["kind"], buckets=_SECONDS)
BATCH_SIZE = Histogram(
    "formhub_flush_batch_size",
    "Submissions in a batch",
    ["kind"],
    buckets=(1, 5, 10, 50, 100, 250, 500, 1000),
)
PARKED = Counter("formhub_parked_total", "Submissions parked", ["kind", "code"])
