"""A web process: its application, and what it begins beside answering requests. Wiring: only entry points import it."""

import os
from multiprocessing.util import Finalize

from django.core.wsgi import get_wsgi_application

from formhub.core import heap
from formhub.core.wsgi import Application


def web() -> Application:
    """The site behind WSGI, in a process that is ready to answer."""
    heap.tame()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "formhub.settings.local")
    site = get_wsgi_application()
    _begin()
    return Application(site)


def _begin() -> None:
    from apps.forms import published  # models can be reached only now
    from apps.intake import process
    from formhub.core import exposition
    from formhub.core.metrics import WEB
    from formhub.core.presence import Pulse

    # From here on no request waits for the database to learn that a form changed.
    published.keep_fresh()
    exposition.process.be(WEB)
    exposition.serve_in_turn()
    pulse = Pulse({WEB: lambda: True})
    pulse.start()
    # Granian's workers are processes of multiprocessing, which run this at their end, and nothing of atexit.
    Finalize(None, pulse.stop, exitpriority=1)
    Finalize(None, process.close, exitpriority=2)  # the higher one comes first
