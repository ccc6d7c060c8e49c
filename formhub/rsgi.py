"""The RSGI entry point, which takes submissions on an event loop: `granian --interface rsgi formhub.rsgi:application`.

WSGI (`formhub.wsgi`) answers the same, with a thread for each request.
"""

from formhub.core.rsgi import Application
from formhub.starting import web

application = Application.on(web())
