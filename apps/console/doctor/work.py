"""The processes and what they do: signs of life, lag, queues, actions and their plug-ins."""

from celery import Celery
from django.conf import settings
from kombu.exceptions import OperationalError

from apps.console import figures, parts, readers
from apps.console.doctor.verdict import Section, Verdict, bad, good, warn, worst
from apps.console.words import duration
from apps.sinks.builtin.google_sheets.config import KeyUnusableError, key_files, parse_key
from apps.sinks.models import Binding, BindingState
from apps.sinks.registry import registry
from formhub.core.stream import cluster
from formhub.core.stream.kafka import describe_topic

SECONDS = 5.0
CELERY_SECONDS = 2.0
WAITING_WARN, WAITING_BAD = 300.0, 3600.0
CONSUMER = "Start a consumer: celery -A formhub worker --pool threads -Q consumer --consume archive,deliver,processors."
START = {
    "web": "Start the web server: granian ... formhub.wsgi:application.",
    "archive": CONSUMER,
    "deliver": CONSUMER,
    "beat": "Start one beat: celery -A formhub beat.",
    "tick": "Start a worker, and beat: celery -A formhub worker --pool threads -Q celery,$(manage.py queues).",
}
AWAY = "The checks above say who does not answer."


def section() -> Section:
    return Section(
        "Work",
        (
            ("signs of life", signs_of_life),
            ("readers", lags),
            ("queues", queues),
            ("plug-ins", plugins),
            ("service account", service_account),
            ("actions", actions),
            ("deliveries", deliveries),
            ("unreadable records", unread),
        ),
        away=AWAY,
    )


def signs_of_life() -> Verdict:
    verdicts = []
    for part in parts.parts():
        silence = f"{part.label} is silent for {part.silence}" if part.silence else f"{part.label} is not running"
        if part.state == "bad":
            verdicts.append(bad(f"{silence}: {part.consequence.lower().rstrip('.')}", START[part.name]))
        elif part.state == "wait":
            verdicts.append(warn(silence, "Start it again, or wait a day until it is forgotten."))
    return worst(verdicts, "from every part")


def lags() -> Verdict:
    servers = settings.KAFKA_BOOTSTRAP_SERVERS
    found = readers.lags(describe_topic(servers, settings.SUBMISSIONS_TOPIC, SECONDS))
    members = cluster.members(servers, [lag.group for lag in found], SECONDS)
    return worst([_lag(lag, members[lag.group]) for lag in found], "have read everything, or soon will have")


def _lag(lag: readers.Lag, members: int) -> Verdict:
    if not lag.read:
        return bad(f"{lag.group} has never read", START["archive"])
    if not members:
        return bad(f"{lag.group} has no reader, {lag.records} records wait", START["archive"])
    kept = 3600 * settings.SUBMISSIONS_RETENTION_HOURS
    if (lag.seconds or 0) > kept / 2:
        return bad(
            f"{lag.group} is {lag.age} behind, and the log keeps {duration(kept)}",
            "Raise the topic's retention.ms at once, then see why the reader is slow.",
        )
    if lag.state != "good":
        level = bad if lag.state == "bad" else warn
        return level(
            f"{lag.group} is {lag.age} and {lag.records} records behind",
            "See the consumer's log; add consumers up to the number of partitions.",
        )
    return good("")


def queues() -> Verdict:
    """Whether somebody takes from each queue, by the names that workers.tasks gives them."""
    wanted = {"celery", "notices", *(f"flush.{name}" for name in registry.names())}
    app = Celery(broker=settings.CELERY_BROKER_URL, set_as_current=False)
    app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    try:
        answers = app.control.inspect(timeout=CELERY_SECONDS).active_queues() or {}
    except OperationalError:
        return bad("the broker of Celery does not answer", "Look at CELERY_BROKER_URL and REDIS_URL.")
    finally:
        app.close()
    taken = {queue["name"] for found in answers.values() for queue in found}
    if missing := sorted(wanted - taken):
        return bad(f"nobody takes from {', '.join(missing)}", START["tick"])
    return good(f"{len(answers)} workers take from all {len(wanted)}")


def plugins() -> Verdict:
    verdicts = [bad(str(error.msg), str(error.hint)) for error in registry.errors()]
    return worst(verdicts, ", ".join(kind.name for kind in registry.kinds()))


def service_account() -> Verdict:
    if not settings.SHEETS_SERVICE_ACCOUNT_FILE:
        return good("none of the installation's own; each action brings its key")
    remedy = "Set SHEETS_SERVICE_ACCOUNT_FILE to the key files as Google gave them, readable for this user."
    found = []
    for path in key_files():
        try:
            found.append(parse_key(path.read_text()))
        except OSError as error:
            return bad(f"{path} cannot be read ({error.strerror})", remedy)
        except KeyUnusableError as error:
            return bad(f"{path}: {error}", remedy)
    if len({account.project for account in found}) > 1:
        return bad("the accounts are of several Cloud projects", "Use accounts of one project: others are left out.")
    return good(", ".join(account.email for account in found)) if found else bad("no key file is there", remedy)


def actions() -> Verdict:
    found = figures.read()
    paused = found.in_state(BindingState.PAUSED)
    if not paused:
        return good(f"{found.in_state(BindingState.ON)} on, none paused")
    first = Binding.objects.filter(state=BindingState.PAUSED).order_by("paused_at").first()
    why = f" (the first: action {first.pk}, {first.pause_reason or 'by somebody'})" if first else ""
    return warn(f"{paused} paused{why}", "See Actions in the admin: each says what to change before it is resumed.")


def deliveries() -> Verdict:
    found = figures.read()
    verdicts = []
    if failing := sum(found.failing.values()):
        remedy = "See Deliveries in the admin; they are tried again."
        verdicts.append(warn(f"the last call of {failing} destinations failed", remedy))
    if parked := sum(found.parked.values()):
        remedy = "See Failed submissions in the admin for the reason of each."
        verdicts.append(warn(f"{parked} submissions could not be delivered", remedy))
    if found.waiting and (longest := max(found.waiting.values())) > WAITING_WARN:
        level = bad if longest > WAITING_BAD else warn
        verdicts.append(level(f"one waits for {duration(longest)}", "See the worker's log for its destination."))
    return worst(verdicts, "nothing waits for long, nothing failed")


def unread() -> Verdict:
    if count := figures.read().unread:
        return warn(f"{count} kept aside", "See Unreadable records in the admin for the reason of each.")
    return good("none")
