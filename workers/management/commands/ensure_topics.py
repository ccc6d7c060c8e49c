"""Makes the topics of submissions and of every processor's stream, with the settings that the promises need.

One that is there is compared with them.
"""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.streams import registry, topics
from formhub.core.stream.base import StreamError
from formhub.core.stream.kafka import TopicSettings, ensure_topic


class Command(BaseCommand):
    help = "Create the topics unless they are there, and say how an existing one differs. Safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--wait", type=float, default=30.0, help="seconds to wait for the broker")

    def handle(self, *args: Any, **options: Any) -> None:
        for topic in (topics.submissions(), *map(topics.of, registry.usable())):
            self._ensure(topic.name, topic.wanted, options["wait"])

    def _ensure(self, topic: str, wanted: TopicSettings, wait: float) -> None:
        try:
            differences = ensure_topic(settings.KAFKA_BOOTSTRAP_SERVERS, topic, wanted, wait)
        except StreamError as error:
            servers = ", ".join(settings.KAFKA_BOOTSTRAP_SERVERS)
            raise CommandError(f"{error}. Is Kafka running at {servers}?") from error
        for difference in differences:
            self.stderr.write(self.style.WARNING(f"{topic}: {difference}"))
        if not differences:
            self.stdout.write(f"{topic} is as it should be")
