"""The RSGI entry point, which takes submissions on an event loop: `granian --interface rsgi formhub.rsgi:application`.

WSGI (`formhub.wsgi`) answers the same, with a thread for each request.
"""

from django.conf import settings

from formhub.core.rsgi import Application, Bounds
from formhub.wsgi import application as site

application = Application(
    site,
    Bounds(settings.WEB_THREADS, settings.WEB_WAITING_MAX, settings.WEB_BODIES_BYTES_MAX, settings.WEB_BODY_SECONDS),
)
