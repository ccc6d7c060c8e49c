"""A laptop's settings, with as many copies of the log as the world of a case has brokers."""

from formhub.settings import env
from formhub.settings.local import *  # noqa: F403

SUBMISSIONS_REPLICATION = env.integer("SUBMISSIONS_REPLICATION", 1)
SUBMISSIONS_MIN_INSYNC = env.integer("SUBMISSIONS_MIN_INSYNC", 1)
