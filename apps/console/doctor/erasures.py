"""Erasures: whether the journal holds them all, and the database all of the journal."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from apps.archive import erasing
from apps.console import replay
from apps.console.doctor.verdict import Section, Verdict, bad, good, warn
from apps.console.words import duration
from formhub.core.journal import Journal

LATE = timedelta(minutes=5)
LONG = timedelta(days=1)


def section() -> Section:
    return Section(
        "Erasing",
        (("journal", journal), ("after a restore", restored), ("under way", under_way)),
        away="The checks above say who does not answer.",
    )


def journal() -> Verdict:
    """The workers write it, wherever they run: the doctor sees by the database whether they do."""
    since = erasing.oldest_unwritten()
    if since is not None and (age := timezone.now() - since) > LATE:
        return bad(
            f"an erasure has not been written into it for {duration(age.total_seconds())}: a restore would undo it",
            "See the worker's log. TOMBSTONE_JOURNAL must be a folder that workers can write and all of them share.",
        )
    return good(f"holds every erasure; {settings.TOMBSTONE_JOURNAL} on the workers' machines")


def restored() -> Verdict:
    missing = replay.missing(Journal(settings.TOMBSTONE_JOURNAL).tail())
    if missing:
        return bad(
            f"{missing} of the last erasures are unknown to the database: it was restored",
            "Stop consumers and workers, run manage.py replay_tombstones, and start them again.",
        )
    return good("nothing that was erased is to be erased again")


def under_way() -> Verdict:
    since = erasing.oldest_open()
    if since is not None and (age := timezone.now() - since) > LONG:
        return warn(
            f"one was begun {duration(age.total_seconds())} ago and is not over",
            "It ends with the delivery that may hold the submission: see Deliveries in the admin for those not over.",
        )
    return good("none takes long")
