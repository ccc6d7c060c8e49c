"""How the installation is doing, for operators: components, durability, lag, what waits and what failed."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import redis
from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin, UserPassesTestMixin
from django.db import DatabaseError, connection
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.generic import TemplateView

from apps.archive.models import StreamOffset, UnreadRecord
from apps.sinks.models import Binding, BindingState, Destination, Parked
from formhub.core.stream.base import StreamError
from formhub.core.stream.kafka import TopicState, describe_topic

logger = logging.getLogger(__name__)
PROBE_SECONDS = 2.0
GROUPS = ("archive", "deliver")


@dataclass(frozen=True, slots=True)
class Component:
    """One service. `state` is good, wait or bad; `says` is for people."""

    name: str
    state: str
    says: str


@dataclass(frozen=True, slots=True)
class Lag:
    """How many records a group has not taken yet; `read` is False for a group that never stored an offset."""

    group: str
    records: int
    read: bool


@dataclass(frozen=True, slots=True)
class Status:
    components: list[Component]
    durability: str
    lags: list[Lag] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return all(component.state == "good" for component in self.components)


class Probe:
    """Looks at every component once; one that is away is a finding, never an error page."""

    def status(self) -> Status:
        components = [
            self._component("PostgreSQL", self._postgres),
            self._component(_("Valkey: buffer"), lambda: _redis(settings.REDIS_BUFFER_URL, durable=True)),
            self._component(_("Valkey: cache and queues"), lambda: _redis(settings.REDIS_URL, durable=False)),
            self._component("Kafka", self._kafka),
        ]
        database_is_there = components[0].state != "bad"
        return Status(
            components=components,
            durability=self._durability(),
            lags=self._lags() if database_is_there and self.topic else [],
            counts=_counts() if database_is_there else {},
        )

    @cached_property
    def topic(self) -> TopicState | None:
        try:
            return describe_topic(settings.KAFKA_BOOTSTRAP_SERVERS, settings.SUBMISSIONS_TOPIC, PROBE_SECONDS)
        except StreamError:
            return None

    def _component(self, name: str, look: Callable[[], tuple[str, str]]) -> Component:
        try:
            state, says = look()
        except (DatabaseError, redis.RedisError, OSError) as error:
            logger.warning("status: %s is away (%s)", name, type(error).__name__)
            state, says = "bad", _("does not answer")
        return Component(name, state, says)

    def _postgres(self) -> tuple[str, str]:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            version = cursor.fetchone()[0]
            cursor.execute("SHOW fsync")
            flushes = cursor.fetchone()[0] == "on"
        return ("good", version) if flushes else ("bad", _("%(version)s, but fsync is off") % {"version": version})

    def _kafka(self) -> tuple[str, str]:
        if self.topic is None:
            return "bad", _("does not answer, or the topic %(topic)s is missing: run ensure_topics") % {
                "topic": settings.SUBMISSIONS_TOPIC
            }
        return "good", _("%(topic)s, %(count)d partitions") % {
            "topic": settings.SUBMISSIONS_TOPIC,
            "count": self.topic.partitions,
        }

    def _durability(self) -> str:
        topic = self.topic
        if topic is None:
            return _("Unknown while Kafka does not answer: submissions are refused, none is kept in memory only.")
        if topic.flush_messages == 1:
            return _("Accepted means flushed to the disk of %(copies)d broker(s).") % {
                "copies": min(topic.min_insync, topic.replication)
            }
        if topic.min_insync >= 2:
            return _("Accepted means held by %(copies)d brokers, in memory or on disk.") % {"copies": topic.min_insync}
        return _("Not durable: one copy that is not flushed. Set flush.messages=1, or three replicas and two in sync.")

    def _lags(self) -> list[Lag]:
        assert self.topic is not None
        found = []
        for group in GROUPS:
            stored = dict(
                StreamOffset.objects.filter(group=group, topic_id=self.topic.id).values_list("partition", "next_offset")
            )
            waiting = sum(
                max(0, end - max(start, stored.get(partition, 0)))
                for partition, (start, end) in self.topic.bounds.items()
            )
            found.append(Lag(group, waiting, bool(stored)))
        return found


def _redis(url: str, *, durable: bool) -> tuple[str, str]:
    client = redis.Redis.from_url(url, socket_timeout=PROBE_SECONDS, socket_connect_timeout=PROBE_SECONDS)
    try:
        info: dict[str, Any] = client.info()
    finally:
        client.close()
    version = str(info.get("valkey_version") or info.get("redis_version"))
    if durable and info.get("maxmemory_policy") != "noeviction":
        return "bad", _("%(version)s, but it evicts: set maxmemory-policy noeviction") % {"version": version}
    if durable and not info.get("aof_enabled"):
        return "wait", _("%(version)s, without append-only file: a restart rebuilds the buffer") % {"version": version}
    return "good", version


def _counts() -> dict[str, int]:
    states = dict(Binding.objects.values_list("state").annotate(Count("id")))
    return {
        "actions_on": states.get(BindingState.ON, 0),
        "actions_paused": states.get(BindingState.PAUSED, 0),
        "actions_behind": Binding.objects.filter(behind_at__isnull=False).count(),
        "destinations_failing": Destination.objects.filter(failures__gt=0).count(),
        "parked": Parked.objects.count(),
        "unread": UnreadRecord.objects.count(),
    }


class StatusView(LoginRequiredMixin, UserPassesTestMixin, TemplateView):
    """For operators (staff). `?format=json` answers the same as JSON."""

    template_name = "console/status.html"

    def test_func(self) -> bool:
        user = self.request.user
        return user.is_active and bool(getattr(user, "is_staff", False))

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        status = Probe().status()
        if request.GET.get("format") == "json":
            return JsonResponse(asdict(status) | {"good": status.good}, status=200 if status.good else 503)
        return self.render_to_response(self.get_context_data(status=status))
