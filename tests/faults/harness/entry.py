"""Starts Celery with the points at which a case may make it end, and with a mutation if one is asked for.

`python -m tests.faults.harness.entry worker ...` is `celery worker ...`; product code knows nothing of this. A point
does nothing until its file `armed-<point>` lies in FAULTS_FOLDER: the first process that comes to it then takes the
file away and kills itself.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from celery.__main__ import main

from tests.faults.harness import mutants

FOLDER = Path(os.environ["FAULTS_FOLDER"])


def end_at(point: str) -> None:
    armed = FOLDER / f"armed-{point}"
    try:
        armed.unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def around(owner: Any, name: str, before: str = "", after: str = "") -> None:
    """Put points before and after a call."""
    wrapped: Callable[..., Any] = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        if before:
            end_at(before)
        result = wrapped(*args, **kwargs)
        if after:
            end_at(after)
        return result

    setattr(owner, name, call)


def put_points() -> None:
    from apps.archive import writer
    from apps.sinks.builtin.google_sheets.client import SheetsClient
    from workers import outcomes
    from workers.archiving import ArchiveHandler
    from workers.routing import DeliverHandler, Router

    around(writer, "write", before="archive-before-write")
    around(writer, "advance", after="archive-before-commit")
    around(ArchiveHandler, "handle", after="archive-after-commit")
    around(Router, "route", after="deliver-before-commit")
    around(DeliverHandler, "handle", after="deliver-after-commit")
    around(SheetsClient, "batch_update", before="sheet-before-call", after="sheet-after-call")
    around(outcomes, "delivered", before="ledger-before-mark", after="ledger-after-mark")


if __name__ == "__main__":
    django.setup()
    mutants.install(os.environ.get("FAULTS_MUTANT", ""))
    put_points()
    sys.argv[0] = "celery"
    main()
