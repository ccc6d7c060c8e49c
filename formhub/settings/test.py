"""The test suite. Service addresses come from the fixtures that start the services; without them nothing connects."""

import os

# Throw-away values, so that a test run needs nothing set. Port 9 (discard) answers nobody: a fast test that touches
# a service fails at once instead of reaching somebody's real one.
os.environ.setdefault("SECRET_KEY", "test-only")
os.environ.setdefault("ENCRYPTION_KEYS", "dGVzdC1vbmx5LXRlc3Qtb25seS10ZXN0LW9ubHktdGU=")
os.environ.setdefault("DATABASE_URL", "postgres://test@127.0.0.1:9/test")
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:9/0")
os.environ.setdefault("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")

from formhub.settings.base import *  # noqa: F403
from formhub.settings.base import LOGGING

del LOGGING["loggers"]["py.warnings"]  # pytest collects warnings itself
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
SUBMISSIONS_PARTITIONS = 6
SUBMISSIONS_REPLICATION = 1
SUBMISSIONS_MIN_INSYNC = 1
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
