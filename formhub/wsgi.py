"""The WSGI entry point: Granian (`granian --interface wsgi formhub.wsgi:application`) or any other server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "formhub.settings.local")
application = get_wsgi_application()

from apps.forms import published  # noqa: E402 - models can be reached only now

# From here on no request waits for the database to learn that a form changed.
published.keep_fresh()
