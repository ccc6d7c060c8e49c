"""The WSGI entry point: Granian (`granian --interface wsgi formhub.wsgi:application`) or any other server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "formhub.settings.local")
site = get_wsgi_application()

from formhub.core.wsgi import Application  # noqa: E402 - settings can be read only now
from formhub.starting import start_web  # noqa: E402

start_web()
application = Application(site)
