"""The WSGI entry point: Granian (`granian --interface wsgi formhub.wsgi:application`) or any other server."""

from formhub.starting import web

application = web()
