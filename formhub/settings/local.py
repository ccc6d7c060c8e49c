"""A laptop: one broker, plain HTTP on loopback."""

from formhub.settings.base import *  # noqa: F403

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
SUBMISSIONS_PARTITIONS = 6
SUBMISSIONS_REPLICATION = 1
SUBMISSIONS_MIN_INSYNC = 1
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
