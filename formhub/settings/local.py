"""A laptop: one broker, plain HTTP on loopback."""

from formhub.settings import env
from formhub.settings.base import *  # noqa: F403
from formhub.settings.base import LOGGING

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
SUBMISSIONS_PARTITIONS = 6
SUBMISSIONS_REPLICATION = 1
SUBMISSIONS_MIN_INSYNC = 1
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
METRICS_PUBLIC = True
WEB_DRAIN_SECONDS = env.number("WEB_DRAIN_SECONDS", 0)  # no balancer that would have to notice
# A receiver that is being written runs on this laptop.
EGRESS_HTTP = env.flag("EGRESS_HTTP", default=True)
EGRESS_PORTS = env.integers("EGRESS_PORTS")
EGRESS_NETWORKS = env.networks("EGRESS_NETWORKS", "127.0.0.0/8,::1/128")
CHAT_HOSTS_CHECKED = env.flag("CHAT_HOSTS_CHECKED", default=False)
LOG_FORMAT = env.choice("LOG_FORMAT", "console", ("json", "console"))
LOGGING["formatters"]["line"]["kind"] = LOG_FORMAT
