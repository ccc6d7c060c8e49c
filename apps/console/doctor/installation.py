"""The settings: secrets, hosts, TLS, and Django's own checks."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from apps.console.doctor.verdict import Section, Verdict, bad, good, warn, worst
from formhub.core import secrets

KEY_LENGTH = 50
KEY_LETTERS = 5
TOKEN_LENGTH = 20
LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]", "testserver"})
NEW_KEY = "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
NEW_FERNET = "python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"


def section() -> Section:
    return Section(
        "Settings",
        (
            ("secret key", secret_key),
            ("encryption keys", encryption_keys),
            ("debug", debug),
            ("host names", hosts),
            ("TLS", tls),
            ("metrics", metrics),
            ("system checks", system_checks),
        ),
    )


def secret_key() -> Verdict:
    key: str = settings.SECRET_KEY
    if len(key) < KEY_LENGTH or len(set(key)) < KEY_LETTERS or key.startswith("django-insecure-"):
        return bad(
            "is short or guessable: sessions and receipts could be forged",
            f"Set SECRET_KEY (or SECRET_KEY_FILE) to a new one: {NEW_KEY}",
        )
    return good(f"{len(key)} characters")


def encryption_keys() -> Verdict:
    try:
        works = secrets.decrypt(secrets.encrypt({"works": True})) == {"works": True}
    except (ImproperlyConfigured, IndexError, ValueError):
        works = False
    if not works:
        return bad("cannot be used", f"Set ENCRYPTION_KEYS to keys made by: {NEW_FERNET}")
    if settings.SECRET_KEY in settings.ENCRYPTION_KEYS:
        return warn("one is the secret key too", "Make a key for ENCRYPTION_KEYS alone, and put it first.")
    return good(f"{len(settings.ENCRYPTION_KEYS)}, the first one encrypts")


def debug() -> Verdict:
    if settings.DEBUG:
        return bad("is on: error pages show settings and answers", "Set DEBUG=off.")
    return good("is off")


def hosts() -> Verdict:
    if not settings.ALLOWED_HOSTS:
        return bad("none: every request is refused", "Set ALLOWED_HOSTS to the names people use, comma-separated.")
    if "*" in settings.ALLOWED_HOSTS:
        return bad(
            "any is taken: links that are made could lead elsewhere",
            "Set ALLOWED_HOSTS to the names people use, comma-separated.",
        )
    return good(", ".join(settings.ALLOWED_HOSTS))


def tls() -> Verdict:
    if not _public():
        return good("not needed on this machine alone")
    verdicts = []
    if not settings.SECURE_SSL_REDIRECT:
        verdicts.append(warn("plain HTTP is not redirected", "Set SECURE_SSL_REDIRECT=on."))
    if not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE):
        verdicts.append(
            bad("cookies travel over plain HTTP", "Run with DJANGO_SETTINGS_MODULE=formhub.settings.production.")
        )
    if settings.PUBLIC_URL and urlsplit(settings.PUBLIC_URL).scheme != "https":
        verdicts.append(warn("PUBLIC_URL is not https", "Set PUBLIC_URL to the https address."))
    return worst(verdicts, "redirects and cookies are secure")


def metrics() -> Verdict:
    if settings.METRICS_PUBLIC and not settings.METRICS_TOKEN and _public():
        return warn("/metrics is open to everybody", "Set METRICS_TOKEN, or run with formhub.settings.production.")
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < TOKEN_LENGTH:
        return warn("METRICS_TOKEN is short", f"Set METRICS_TOKEN to a new one: {NEW_KEY}")
    if settings.METRICS_TOKEN:
        return good("/metrics needs the token")
    return good("/metrics is closed" if not settings.METRICS_PUBLIC else "/metrics is open on this machine")


def system_checks() -> Verdict:
    return worst([_told(message) for message in _messages()], "no complaint")


def _messages() -> Sequence[checks.CheckMessage]:
    # What TLS and keys need is asked above, in our own words.
    return checks.run_checks(include_deployment_checks=False)


def _told(message: checks.CheckMessage) -> Verdict:
    says, remedy = f"{message.id}: {message.msg}", message.hint or f"See the documentation of {message.id}."
    return bad(says, remedy) if message.level >= checks.ERROR else warn(says, remedy)


def _public() -> bool:
    """Whether others than this machine are served."""
    return not set(settings.ALLOWED_HOSTS) <= LOCAL
