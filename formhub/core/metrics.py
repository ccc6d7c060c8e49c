"""Every metric of ours, named once, with the part that it measures and the roles whose processes export it.

Labels never carry ids of tenants: their number must not grow with forms or organizations. Moments are in seconds since
1970. docs/operations.md holds the same as a table; a test compares the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

ROLES = WEB, CONSUMER, WORKER, BEAT = "web", "consumer", "worker", "beat"
LABEL_VALUES_MAX = 50
Roles = tuple[str, ...]
Mode = Literal["livesum", "livemax"]

# A further series for each series, which says when this process began to count it, is of no use to us.
disable_created_metrics()  # type: ignore[no-untyped-call]

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10)
_CALL = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
_TRAVEL = (0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400)
_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


@dataclass(frozen=True, slots=True)
class Definition:
    """`name` as it is queried; the samples of a histogram add _bucket, _sum and _count."""

    name: str
    kind: str
    says: str
    labels: tuple[str, ...]
    roles: Roles


DEFINED: dict[str, Definition] = {}


def _define(kind: str, name: str, says: str, labels: Sequence[str], roles: Roles) -> Definition:
    DEFINED[name] = Definition(name, kind, says, tuple(labels), roles)
    return DEFINED[name]


def _counter(name: str, says: str, *labels: str, of: str) -> Counter:
    _define("counter", name, says, labels, (of,))
    return Counter(name, says, labels)


def _gauge(name: str, says: str, *labels: str, of: str | Roles, mode: Mode = "livemax") -> Gauge:
    """`mode`: how the processes of one web server are put together."""
    _define("gauge", name, says, labels, (of,) if isinstance(of, str) else of)
    return Gauge(name, says, labels, multiprocess_mode=mode)


def _histogram(name: str, says: str, *labels: str, of: str, buckets: Sequence[float]) -> Histogram:
    _define("histogram", name, says, labels, (of,))
    return Histogram(name, says, labels, buckets=buckets)


def _asked(name: str, says: str, *labels: str, of: str) -> Definition:
    """A gauge that is worked out when somebody scrapes."""
    return _define("gauge", name, says, labels, (of,))


# Every process
PROCESSES = _gauge(
    "formhub_processes",
    "Processes that run, by their role and the release",
    "role",
    "version",
    of=ROLES,
    mode="livesum",
)

# Intake
ACCEPTED = _counter(
    "formhub_intake_accepted_total", "Submissions answered with 202, by the durable door they took", "door", of=WEB
)
REFUSED = _counter(
    "formhub_intake_refused_total", "Submissions that were not accepted, by the code of the answer", "reason", of=WEB
)
ACK_SECONDS = _histogram(
    "formhub_intake_ack_seconds", "From handing a submission in to the broker's receipt", of=WEB, buckets=_QUICK
)
GROUP_SIZE = _histogram("formhub_intake_group_size", "Submissions in one group commit", of=WEB, buckets=_SIZES)
PENDING = _gauge("formhub_intake_pending", "Submissions that wait for a receipt", of=WEB, mode="livesum")
BREAKER_OPEN = _gauge(
    "formhub_intake_breaker_open",
    "Whether submissions are kept away after failures: of the broker and the outbox 0 or 1, of partitions how many. "
    "It closes with the first submission that succeeds.",
    "scope",
    of=WEB,
)
FAILED_OPEN = _counter(
    "formhub_intake_failed_open_total", "Checks that were left out because Redis was away", "check", of=WEB
)

# The web server's event loop
LOOP_SECONDS = _histogram(
    "formhub_web_loop_seconds", "How long the event loop took to give a sign of life", of=WEB, buckets=_QUICK
)
LOOP_BLOCKED = _counter(
    "formhub_web_loop_blocked_total", "Times that something kept the event loop for half a second or longer", of=WEB
)
WEB_REFUSED = _counter(
    "formhub_web_refused_total",
    "Requests that were turned away before anybody looked at what they want, by the code of the answer",
    "reason",
    of=WEB,
)

# Readers of the log
CONSUMED = _counter("formhub_consumer_records_total", "Records taken from the log and done with", "group", of=CONSUMER)
UNREAD = _counter(
    "formhub_consumer_unread_total", "Records that were kept aside as unreadable", "group", "reason", of=CONSUMER
)
FAILED_TURNS = _counter(
    "formhub_consumer_failed_turns_total",
    "Turns of a loop that failed; what they had begun is done again",
    "group",
    of=CONSUMER,
)
LOST = _counter(
    "formhub_consumer_lost_records_total",
    "Records that left the log, its retention being over, before this group had read them",
    "group",
    of=CONSUMER,
)
LAG = _gauge(
    "formhub_consumer_lag_records",
    "Records not yet taken, of the partitions that this process reads",
    "group",
    "partition",
    of=CONSUMER,
)
LAG_SECONDS = _gauge(
    "formhub_consumer_lag_seconds",
    "Age of the next record not yet taken, of the partitions that this process reads; 0 when none waits",
    "group",
    "partition",
    of=CONSUMER,
)
COMMIT_AGE = _gauge(
    "formhub_consumer_commit_age_seconds",
    "Since a loop last did all that was there to do, or else moved its offsets",
    "group",
    of=CONSUMER,
)
ARCHIVED = _counter("formhub_archive_rows_total", "Rows inserted into the archive", of=CONSUMER)
ARCHIVE_SECONDS = _histogram(
    "formhub_archive_batch_seconds", "Time of one archive transaction", of=CONSUMER, buckets=_QUICK
)
PROCESSED = _counter(
    "formhub_processed_total", "Results of processors: made, or failed", "processor", "outcome", of=CONSUMER
)
BUFFERED = _counter("formhub_buffer_appended_total", "Entries put into the actions' buffers", of=CONSUMER)

# Delivery
FLUSHED = _counter(
    "formhub_flush_items_total", "Submissions offered to a sink, by how the call ended", "kind", "outcome", of=WORKER
)
BATCH_SIZE = _histogram(
    "formhub_flush_batch_size", "Submissions in one offered batch", "kind", of=WORKER, buckets=_SIZES
)
FLUSH_SECONDS = _histogram(
    "formhub_flush_seconds", "Time of one delivery call of a sink", "kind", of=WORKER, buckets=_CALL
)
DELIVERY_SECONDS = _histogram(
    "formhub_delivery_seconds",
    "From accepting a submission to its delivery; those tried again on request are left out",
    "kind",
    of=WORKER,
    buckets=_TRAVEL,
)
PARKED = _counter(
    "formhub_parked_total", "Submissions put aside because they could not be delivered", "kind", "code", of=WORKER
)
MISSED = _counter(
    "formhub_reconcile_missed_total",
    "Submissions owed that the reconciler found written down nowhere, and has delivered late",
    "kind",
    of=WORKER,
)
QUOTA_CALLS = _counter("formhub_quota_calls_total", "Calls charged to a rate of a kind", "kind", "rate", of=WORKER)
QUOTA_HELD = _counter(
    "formhub_quota_held_total", "Deliveries put off because our own rate is used up", "kind", of=WORKER
)
QUOTA_REFUSED = _counter(
    "formhub_quota_refused_total", "Calls that a service refused as too many (429)", "kind", of=WORKER
)

# The outbox
RELAYED = _counter("formhub_outbox_relayed_total", "Submissions brought from the outbox into the log", of=WORKER)

# Tasks
TASK_SECONDS = _histogram("formhub_task_seconds", "Time of one Celery task", "task", of=WORKER, buckets=_CALL)
TASK_FAILURES = _counter("formhub_task_failures_total", "Celery tasks that raised an exception", "task", of=WORKER)
TASKS_RUNNING = _gauge("formhub_tasks_running", "Celery tasks at work in this process", of=WORKER)
TICK_AT = _gauge(
    "formhub_tick_last_timestamp_seconds", "When this process last ran beat's tick, which queues what is due", of=WORKER
)
BEAT_AT = _gauge("formhub_beat_last_tick_timestamp_seconds", "When beat last got its tick queued", of=BEAT)
BEAT_FAILURES = _counter("formhub_beat_failures_total", "Periodic tasks that beat could not queue", of=BEAT)

# The state of deliveries as Postgres and the buffer hold it: every worker exports the same
STATE_KNOWN = _asked(
    "formhub_state_known", "Whether the source of the following could be asked just now", "source", of=WORKER
)
ACTIONS = _asked("formhub_actions", "Actions by kind and state: on, paused, off", "kind", "state", of=WORKER)
ACTIONS_BEHIND = _asked(
    "formhub_actions_behind",
    "Actions whose buffer was full or away, which catch up from the archive",
    "kind",
    of=WORKER,
)
FAILING = _asked("formhub_destinations_failing", "Destinations whose last call failed", "kind", of=WORKER)
PARKED_NOW = _asked(
    "formhub_parked",
    "Submissions that could not be delivered and wait for somebody; counted to 100,000",
    "kind",
    of=WORKER,
)
GAP = _asked(
    "formhub_reconcile_gap",
    "Submissions that the reconciler found missing and that are not on their way yet",
    "kind",
    of=WORKER,
)
OUTBOX_ROWS = _asked("formhub_outbox_rows", "Submissions accepted while the log took none, not yet there", of=WORKER)
OUTBOX_BYTES = _asked("formhub_outbox_bytes", "Bytes that the submissions in the outbox take", of=WORKER)
OUTBOX_USED = _asked(
    "formhub_outbox_used_ratio", "Share of the outbox's bounds that is used, of rows or of bytes: the larger", of=WORKER
)
OUTBOX_OLDEST = _asked(
    "formhub_outbox_oldest_seconds",
    "Since the oldest submission in the outbox was accepted; 0 when none waits",
    of=WORKER,
)
OUTBOX_REFUSED = _asked(
    "formhub_outbox_refused", "Rows that the log refused and the relay set aside; counted to 10,000", of=WORKER
)
UNREAD_NOW = _asked("formhub_unread_records", "Records of the log kept aside as unreadable", of=WORKER)
OLDEST_WAITING = _asked(
    "formhub_oldest_waiting_seconds",
    "Since the oldest submission that an action has not delivered was archived; paused actions are left out",
    "kind",
    of=WORKER,
)
BUFFER_ENTRIES = _asked("formhub_buffer_entries", "Entries in all buffers together", of=WORKER)


class Bounded:
    """Label values that plug-ins choose: after LABEL_VALUES_MAX different ones the rest is `other`."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, value: str) -> str:
        if value in self._seen:
            return value
        if len(self._seen) >= LABEL_VALUES_MAX:
            return "other"
        self._seen.add(value)
        return value


parked_code = Bounded()
