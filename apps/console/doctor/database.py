"""PostgreSQL: is it there, durable, up to date, and silent about what people answered."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from apps.console import figures
from apps.console.doctor.verdict import Section, Verdict, bad, good, warn, worst
from apps.console.words import duration
from apps.intake import outbox
from apps.sinks.models import Binding
from formhub.core import secrets
from formhub.core.secrets import SecretUnreadableError

VERSION_LEAST = 14
SECRETS_MAX = 1_000
SKEW_WARN, SKEW_BAD = 2.0, 30.0
FULL = 0.8
OUTBOX_FULL, OUTBOX_SECONDS = 0.5, 60.0
AWAY = "Look at DATABASE_URL, and whether the server runs and lets this machine in."


def section() -> Section:
    return Section(
        "PostgreSQL",
        (
            ("migrations", migrations),
            ("durability", durability),
            ("its log", its_log),
            ("connections", connections),
            ("outbox", its_outbox),
            ("secrets", stored_secrets),
            ("clock", clock),
        ),
        first=("server", server),
        away=AWAY,
    )


def server() -> Verdict:
    number = int(_show("server_version_num")) // 10_000
    version = _show("server_version")
    if number < VERSION_LEAST:
        return bad(f"{version} is too old", f"Upgrade PostgreSQL to {VERSION_LEAST} or newer.")
    return good(version)


def migrations() -> Verdict:
    executor = MigrationExecutor(connection)
    loader = executor.loader
    missing = executor.migration_plan(loader.graph.leaf_nodes())
    if missing:
        names = ", ".join(f"{each.app_label}.{each.name}" for each, _ in missing[:3])
        return bad(f"{len(missing)} not applied ({names}, ...)", "Run manage.py migrate.")
    ours = {app for app, _ in loader.disk_migrations or ()}
    unknown = [key for key in loader.applied_migrations or () if key[0] in ours and key not in loader.graph.nodes]
    if unknown:
        return warn(f"the database is ahead of this code by {len(unknown)}", "Deploy the newer code here too.")
    return good("all applied")


def durability() -> Verdict:
    verdicts = []
    for name, loses in (
        ("fsync", "a power cut can destroy the archive"),
        ("full_page_writes", "a power cut can destroy pages of the archive"),
        ("synchronous_commit", "a power cut loses what was just archived"),
    ):
        if _show(name) == "off":
            verdicts.append(bad(f"{name} is off: {loses}", f"Set {name} = on in postgresql.conf."))
    return worst(verdicts, "what is committed is on disk")


def its_log() -> Verdict:
    """The server's log repeats statements and rows that fail, and those hold answers."""
    user = settings.DATABASES["default"]["USER"] or "the role"
    verdicts = []
    if _show("log_min_messages") not in {"log", "fatal", "panic"}:
        verdicts.append(
            warn("errors are logged with the values in them", f"ALTER ROLE {user} SET log_min_messages = 'log';")
        )
    if _show("log_statement") in {"mod", "all"}:
        verdicts.append(warn("statements are logged", f"ALTER ROLE {user} SET log_statement = 'none';"))
    if int(_number("log_min_duration_statement")) >= 0:
        verdicts.append(
            warn("slow statements are logged", f"ALTER ROLE {user} SET log_min_duration_statement = -1;"),
        )
    return worst(verdicts, "holds no answers")


def connections() -> Verdict:
    [(used,)] = _rows("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
    most = int(_show("max_connections"))
    if used > FULL * most:
        return warn(
            f"{used} of {most} in use",
            "Raise max_connections, put a pooler in front, or run fewer threads.",
        )
    return good(f"{used} of {most} in use")


def its_outbox() -> Verdict:
    """What was accepted while the log took none: it empties by itself within seconds of the log's return."""
    state = outbox.state()
    share = figures.used(state)
    verdicts = []
    if share > OUTBOX_FULL:
        verdicts.append(
            bad(
                f"{100 * share:.0f} % full; beyond it submissions are answered 503",
                "Bring Kafka back, or raise OUTBOX_ROWS_MAX and OUTBOX_BYTES_MAX if the disk has the space.",
            )
        )
    if (oldest := figures.age(state)) > OUTBOX_SECONDS:
        verdicts.append(
            warn(
                f"{state.rows} wait, the oldest for {duration(oldest)}",
                "See whether Kafka, beat and a worker run; manage.py relay does it by hand.",
            )
        )
    if state.refused:
        verdicts.append(
            warn(
                f"the log refuses {state.refused}",
                "Put the topic's settings right (manage.py ensure_topics tells), then manage.py relay --refused.",
            )
        )
    return worst(verdicts, f"{state.rows} wait for the log" if state.rows else "empty")


def stored_secrets() -> Verdict:
    tokens = Binding.objects.exclude(secrets="").order_by("-pk").values_list("pk", "secrets")[:SECRETS_MAX]
    closed = [key for key, token in tokens if not _opens(token)]
    if closed:
        return bad(
            f"those of {len(closed)} actions cannot be opened (the first: action {closed[0]})",
            "Put the key they were encrypted with back at the end of ENCRYPTION_KEYS.",
        )
    return good(f"those of {len(tokens)} actions can be opened")


def clock() -> Verdict:
    [(there,)] = _rows("SELECT clock_timestamp()")
    return skewed((timezone.now() - there).total_seconds(), "the database's")


def skewed(seconds: float, whose: str) -> Verdict:
    """This machine's clock against another."""
    says = f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} {whose}"
    remedy = "Let both machines keep time by NTP."
    if abs(seconds) > SKEW_BAD:
        return bad(says, remedy)
    return warn(says, remedy) if abs(seconds) > SKEW_WARN else good(f"within {max(0.1, abs(seconds)):.1f} s of {whose}")


def _opens(token: str) -> bool:
    try:
        secrets.decrypt(token)
    except SecretUnreadableError:
        return False
    return True


def _show(name: str) -> str:
    [(value,)] = _rows("SELECT current_setting(%s)", [name])
    return str(value)


def _number(name: str) -> str:
    [(value,)] = _rows("SELECT setting FROM pg_settings WHERE name = %s", [name])
    return str(value)


def _rows(query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, list(values))
        return list(cursor.fetchall())
