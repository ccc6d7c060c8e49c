"""What a web process begins beside answering requests. Wiring: nothing but entry points imports this module."""

from apps.forms import published
from formhub.core import exposition
from formhub.core.metrics import WEB
from formhub.core.presence import Pulse


def start_web() -> None:
    # From here on no request waits for the database to learn that a form changed.
    published.keep_fresh()
    exposition.process.be(WEB)
    exposition.serve_in_turn()
    Pulse({WEB: lambda: True}).start()
