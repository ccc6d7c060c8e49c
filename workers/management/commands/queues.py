"""Names the queues of deliveries, for `celery ... worker -Q`: one for each kind of action that is installed."""

from typing import Any

from django.core.management.base import BaseCommand

from workers import tasks


class Command(BaseCommand):
    help = "Print the queues that a worker for deliveries takes from, comma-separated."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(",".join(tasks.queues()))
