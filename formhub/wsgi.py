"""The WSGI entry point: Granian (`granian --interface wsgi formhub.wsgi:application`) or any other server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "formhub.settings.local")
application = get_wsgi_application()

from apps.forms import published  # noqa: E402 - models can be reached only now
from formhub.core import exposition  # noqa: E402
from formhub.core.metrics import WEB  # noqa: E402
from formhub.core.presence import Pulse  # noqa: E402

# From here on no request waits for the database to learn that a form changed.
published.keep_fresh()
exposition.process.be(WEB)
exposition.serve_in_turn()
Pulse({WEB: lambda: True}).start()
