"""One of FormHub's processes by its role, for containers and units: `python -m formhub web`. Wiring.

The role is the first argument, or FORMHUB_ROLE; what follows goes to the command. `python -m formhub probe` asks
whether the role of FORMHUB_ROLE lives. Each takes this process's place, so that signals reach it.
"""

import os
import sys
from collections.abc import Sequence

CELERY = ("-m", "celery", "--app", "formhub", "--quiet")
WORKER = (*CELERY, "worker", "--pool", "threads", "--without-gossip", "--without-mingle", "--loglevel", "WARNING")
LOOPS = "archive,deliver,processors"
# What is probed of a role, beside the loops of a consumer.
PARTS = {"egress": ("egress",), "worker": ("worker",), "beat": ("beat",)}
ROLES = ("web", "consumer", "egress", "worker", "beat", "migrate")


class UnknownRoleError(ValueError):
    """The message names the roles."""


def command(role: str, rest: Sequence[str] = ()) -> list[str]:
    """Of a role, for this Python. A consumer may be given its loops: `consumer archive`. Raises UnknownRoleError."""
    if role == "web":
        return ["-m", "formhub.serve", "--host", "0.0.0.0", "--port", "8000", *rest]  # noqa: S104 - in a container
    if role == "consumer":
        loops, options = _loops(rest)
        return [*WORKER, "-c", "1", "-Q", "consumer", "-n", "consumer@%h", "--consume", loops, *options]
    if role == "egress":
        return [*WORKER, "-c", "8", "-Q", _queues(), "-n", "egress@%h", *rest]
    if role == "worker":
        return [*WORKER, "-c", "8", "-Q", "celery", "-n", "worker@%h", *rest]
    if role == "beat":
        return [*CELERY, "beat", "--schedule", "/tmp/beat", "--loglevel", "WARNING", *rest]  # noqa: S108 - made anew
    raise UnknownRoleError(f"{role or 'nothing'} is no role: name one of {', '.join(ROLES)}, or probe.")


def probe(role: str, rest: Sequence[str] = ()) -> list[str]:
    """The command that ends with 0 while a process of the role lives. Raises UnknownRoleError."""
    if role == "consumer":
        return ["manage.py", "probe", *_loops(rest)[0].split(",")]
    if role in PARTS:
        return ["manage.py", "probe", *PARTS[role]]
    raise UnknownRoleError(f"{role or 'nothing'} has no probe here: set FORMHUB_ROLE to one of consumer, {_names()}.")


def _names() -> str:
    return ", ".join(PARTS)


def _loops(rest: Sequence[str]) -> tuple[str, Sequence[str]]:
    named = bool(rest) and not rest[0].startswith("-")
    return (rest[0], rest[1:]) if named else (LOOPS, rest)


def _queues() -> str:
    import django

    django.setup()
    from workers import tasks

    return ",".join(tasks.queues())


def _migrate() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", "--no-input")
    call_command("ensure_topics")


def _answers() -> None:
    from urllib.request import urlopen

    with urlopen("http://127.0.0.1:8000/livez", timeout=5):
        return


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "formhub.settings.production")
    words = sys.argv[1:]
    asked = words[:1] == ["probe"]
    role, *rest = words[asked:] or [os.environ.get("FORMHUB_ROLE", "")]
    try:
        if role == "migrate" and not asked:
            _migrate()
        elif asked and role == "web":
            _answers()
        else:
            wanted = probe(role, rest) if asked else command(role, rest)
            os.execv(sys.executable, [sys.executable, *wanted])  # noqa: S606 - without a shell, as it should be
    except UnknownRoleError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
