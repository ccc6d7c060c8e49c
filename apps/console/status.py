"""How the installation is doing, for operators: components, signs of life, lag, what waits and what failed."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from typing import Any, TypeVar

import redis
from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin, UserPassesTestMixin
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.generic import TemplateView

from apps.console import figures
from apps.console.figures import Figures
from apps.console.parts import Part, parts
from apps.console.readers import Lag, lags
from apps.console.words import duration
from apps.intake import outbox
from apps.orgs import access
from apps.sinks import rates
from apps.sinks.models import BindingState
from formhub.core.redis import connect
from formhub.core.stream.base import StreamError
from formhub.core.stream.kafka import TopicState, describe_topic

logger = logging.getLogger(__name__)
PROBE_SECONDS = 2.0
TROUBLES = ("destinations_failing", "parked", "unread")
AWAY = (Error, redis.RedisError, OSError)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Component:
    """One service. `state` is good, wait or bad; `says` is for people."""

    name: str
    state: str
    says: str


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of a rate its busiest key uses, in percent: at 100 the next call has to wait."""

    kind: str
    label: str
    rate: str
    calls: int
    seconds: float
    percent: int


@dataclass(frozen=True, slots=True)
class Status:
    """waiting: by kind, seconds since the oldest submission that is not delivered was archived."""

    components: list[Component]
    durability: str
    parts: list[Part] = field(default_factory=list)
    lags: list[Lag] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, float] = field(default_factory=dict)
    quotas: list[Quota] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Every component is there and set up as it must be, every part is alive and reads on."""
        lives = [part.state for part in self.parts] + [lag.state for lag in self.lags]
        return all(component.state == "good" for component in self.components) and "bad" not in lives

    @property
    def calm(self) -> bool:
        """Good, and nothing failed that waits for somebody."""
        troubled = any(self.counts.get(name) for name in TROUBLES)
        return self.good and all(lag.state == "good" for lag in self.lags) and not troubled

    def as_json(self) -> dict[str, Any]:
        stated = {
            name: [{**asdict(one), "state": one.state} for one in getattr(self, name)] for name in ("parts", "lags")
        }
        return asdict(self) | stated | {"good": self.good, "calm": self.calm}

    @property
    def longest(self) -> str:
        """How long the oldest submission of all waits, in words; empty when none does."""
        return duration(max(self.waiting.values())) if self.waiting else ""


def _known(read: Callable[[], T]) -> T | None:
    """None where what was there a moment ago does not answer."""
    try:
        return read()
    except AWAY as error:
        logger.warning("status: not known (%s)", type(error).__name__)
        return None


class Probe:
    """Looks at every component once; one that is away is a finding, never an error page."""

    def status(self) -> Status:
        components = [
            self._component("PostgreSQL", self._postgres),
            self._component(_("Valkey: buffer"), lambda: _redis(settings.REDIS_BUFFER_URL, durable=True)),
            self._component(_("Valkey: cache and queues"), lambda: _redis(settings.REDIS_URL, durable=False)),
            self._component("Kafka", self._kafka),
        ]
        if components[0].state != "bad":
            components.append(self._component(_("Outbox"), _outbox))
        database_is_there, cache_is_there = components[0].state != "bad", components[2].state != "bad"
        found = _known(figures.read) if database_is_there else None
        return Status(
            components=components,
            durability=self._durability(),
            parts=(_known(parts) if cache_is_there else None) or [],
            lags=(_known(partial(lags, self.topic)) if database_is_there and self.topic else None) or [],
            counts=_counts(found) if found else {},
            waiting=dict(found.waiting) if found else {},
            quotas=(_known(_quotas) if cache_is_there else None) or [],
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
        except AWAY as error:
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
            return _("Unknown while Kafka does not answer: submissions are kept in PostgreSQL, none in memory only.")
        if topic.flush_messages == 1:
            copies = min(topic.min_insync, topic.replication)
            return ngettext(
                "Accepted means flushed to the disk of one broker.",
                "Accepted means flushed to the disks of %(copies)d brokers.",
                copies,
            ) % {"copies": copies}
        if topic.min_insync >= 2:
            return _("Accepted means held by %(copies)d brokers, in memory or on disk.") % {"copies": topic.min_insync}
        return _("Not durable: one copy that is not flushed. Set flush.messages=1, or three replicas and two in sync.")


def _outbox() -> tuple[str, str]:
    """What was accepted while the log took none, and is not there yet."""
    state = outbox.state()
    if state.refused:
        return "bad", _("the log refuses %(count)d: run manage.py relay --refused once it takes them") % {
            "count": state.refused
        }
    if not state.rows:
        return "good", _("empty")
    values = {"rows": state.rows, "age": duration(figures.age(state)), "percent": round(100 * figures.used(state))}
    return "wait", _("%(rows)d wait for the log, the oldest for %(age)s; %(percent)d %% full") % values


def _redis(url: str, *, durable: bool) -> tuple[str, str]:
    with _client(url) as client:
        info: dict[str, Any] = client.info()
    version = str(info.get("valkey_version") or info.get("redis_version"))
    if durable and info.get("maxmemory_policy") != "noeviction":
        return "bad", _("%(version)s, but it evicts: set maxmemory-policy noeviction") % {"version": version}
    if durable and not info.get("aof_enabled"):
        return "wait", _("%(version)s, without append-only file: a restart rebuilds the buffer") % {"version": version}
    return "good", version


def _client(url: str) -> Any:
    return connect(url, PROBE_SECONDS)


def _counts(found: Figures) -> dict[str, int]:
    return {
        "actions_on": found.in_state(BindingState.ON),
        "actions_paused": found.in_state(BindingState.PAUSED),
        "actions_behind": sum(found.behind.values()),
        "destinations_failing": sum(found.failing.values()),
        "parked": sum(found.parked.values()),
        "unread": found.unread,
    }


def _quotas() -> list[Quota]:
    with _client(settings.REDIS_URL) as client:
        return [
            Quota(
                one.kind.name,
                str(one.kind.label),
                one.rate.name,
                one.rate.calls,
                one.rate.seconds,
                round(100 * one.used),
            )
            for one in rates.usage(client)
        ]


class StatusView(LoginRequiredMixin, UserPassesTestMixin, TemplateView):
    """For operators (staff). `?format=json` answers the same as JSON."""

    template_name = "console/status.html"

    def test_func(self) -> bool:
        return access.is_operator(self.request.user)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        status = Probe().status()
        if request.GET.get("format") == "json":
            return JsonResponse(status.as_json(), status=200 if status.good else 503)
        return self.render_to_response(self.get_context_data(status=status))
