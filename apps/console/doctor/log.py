"""Kafka: is the topic there, and made so that the promises hold."""

from collections.abc import Callable, Mapping

from django.conf import settings
from django.utils import timezone

from apps.console.doctor.verdict import Section, Verdict, bad, good, warn, worst
from formhub.core.stream import cluster
from formhub.core.stream.kafka import TopicSettings, describe_topic

SECONDS = 5.0
AHEAD_SECONDS = 5.0
DISK_WARN, DISK_BAD = 0.15, 0.05
MAKE = "manage.py ensure_topics tells all that differs; change it with kafka-configs, or make a new topic."


def section() -> Section:
    return Section(
        "Kafka",
        (
            ("settings of the topic", topic_settings),
            ("replicas", replicas),
            ("creation of topics", creation),
            ("disks", disks),
            ("clock", clock),
        ),
        first=("topic", topic),
        away=(
            "Look at KAFKA_BOOTSTRAP_SERVERS and whether the brokers run. If they do, the topic is missing: run "
            "manage.py ensure_topics."
        ),
    )


def topic() -> Verdict:
    found = cluster.partitions(*_asked())
    wanted: int = settings.SUBMISSIONS_PARTITIONS
    if len(found) < wanted:
        return bad(
            f"{len(found)} partitions, and submissions are sent to {wanted}",
            f"Set SUBMISSIONS_PARTITIONS={len(found)} everywhere, or make a new topic.",
        )
    if len(found) > wanted:
        return warn(
            f"{len(found)} partitions, of which {wanted} are used",
            "Leave it: raising SUBMISSIONS_PARTITIONS would move forms, and their order with them.",
        )
    return good(f"{settings.SUBMISSIONS_TOPIC}, {len(found)} partitions")


# What each setting must be, what goes wrong if it is not, and whether that is bad or only worth a warning.
_RULES: Mapping[str, tuple[Callable[[str, str], bool], str, Callable[[str, str], Verdict]]] = {
    "min.insync.replicas": (lambda is_, wanted: int(is_) >= int(wanted), "too few copies before a 202", bad),
    "max.message.bytes": (lambda is_, wanted: int(is_) >= int(wanted), "large submissions are refused", bad),
    "retention.ms": (
        lambda is_, wanted: int(is_) == -1 or int(is_) >= int(wanted),
        "records go before readers that are away for long",
        warn,
    ),
    "cleanup.policy": (lambda is_, wanted: is_ == wanted, "submissions are thrown away", bad),
    "unclean.leader.election.enable": (lambda is_, wanted: is_ == wanted, "what was accepted can be lost", bad),
    "flush.messages": (
        lambda is_, wanted: int(is_) <= int(wanted),
        "the only copy is not on disk when a 202 is sent",
        bad,
    ),
}


def topic_settings() -> Verdict:
    wanted = TopicSettings(
        partitions=settings.SUBMISSIONS_PARTITIONS,
        replication=settings.SUBMISSIONS_REPLICATION,
        min_insync=settings.SUBMISSIONS_MIN_INSYNC,
        retention_hours=settings.SUBMISSIONS_RETENTION_HOURS,
    ).configs()
    found = cluster.topic_settings(*_asked())
    verdicts = []
    for name, value in wanted.items():
        holds, loses, level = _RULES[name]
        if not holds(found[name], value):
            verdicts.append(level(f"{name} is {found[name]}, not {value}: {loses}", MAKE))
    return worst(verdicts, "as the promises need them")


def replicas() -> Verdict:
    found = cluster.partitions(*_asked())
    wanted, least = settings.SUBMISSIONS_REPLICATION, settings.SUBMISSIONS_MIN_INSYNC
    closed = [each.number for each in found if not each.takes(least)]
    lagging = [each.number for each in found if each.in_sync < each.replicas]
    if min(each.replicas for each in found) < wanted:
        return bad(f"fewer than {wanted} of some partition", MAKE)
    if closed:
        return bad(f"partitions {_few(closed)} take no writes: forms in them answer 503", "Start the missing brokers.")
    if lagging:
        return warn(f"partitions {_few(lagging)} lack copies", "Start the missing brokers, or wait for them.")
    return good(f"{wanted}, all in sync")


def creation() -> Verdict:
    brokers = cluster.broker_settings(settings.KAFKA_BOOTSTRAP_SERVERS, SECONDS)
    automatic = sorted(broker for broker, each in brokers.items() if each.get("auto.create.topics.enable") == "true")
    if automatic:
        return warn(
            f"brokers {_few(automatic)} make a topic that is missing with settings of their own",
            "Set auto.create.topics.enable=false on every broker.",
        )
    return good("by ourselves alone")


def disks() -> Verdict:
    found = [each for each in cluster.disks(settings.KAFKA_BOOTSTRAP_SERVERS, SECONDS) if each.total > 0]
    verdicts = []
    for each in found:
        says = f"broker {each.broker} has {100 * each.free // each.total} % free in {each.folder}"
        remedy = "Add disk space, or lower the topic's retention; a broker without space stops."
        if each.free < DISK_BAD * each.total:
            verdicts.append(bad(says, remedy))
        elif each.free < DISK_WARN * each.total:
            verdicts.append(warn(says, remedy))
    least = min((100 * each.free // each.total for each in found), default=None)
    return worst(verdicts, "the brokers do not tell" if least is None else f"at least {least} % free")


def clock() -> Verdict:
    """Records carry the time of whoever sent them: the newest may be old, never of the future."""
    servers, name, seconds = _asked()
    bounds = describe_topic(servers, name, seconds).bounds
    newest = {number: end - 1 for number, (start, end) in bounds.items() if end > start}
    times = cluster.written_at(servers, name, newest, seconds)
    ahead = max((moment - timezone.now()).total_seconds() for moment in times.values()) if times else 0.0
    if ahead > AHEAD_SECONDS:
        return warn(f"the newest record is {ahead:.0f} s of the future", "Let web servers and this machine use NTP.")
    return good("no record is of the future")


def _asked() -> tuple[list[str], str, float]:
    return settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, SECONDS


def _few(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
