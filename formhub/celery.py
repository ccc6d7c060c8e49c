"""The Celery application. Wiring: nothing imports this module."""

import os

from celery import Celery

from formhub.core import broker
from workers import observe, step

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "formhub.settings.local")
broker.install()
app = Celery("formhub")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workers"])
step.install(app)
observe.install(app, "apps.console.figures.Deliveries", "workers.gauges.BufferEntries")
