"""Settings shared by every installation: safe when nothing but the secrets and the service URLs are set."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import django_stubs_ext
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

from formhub.core import redis
from formhub.settings import env

# Lets annotations such as ModelForm[Any] stand in running code too.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent.parent
VERSION = "0.1.0"


# A server that is gone without a word is noticed within half a minute, not after the system's two hours (seconds, and
# milliseconds for the last).
_NOTICED = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def database(url: str) -> dict[str, Any]:
    """Django's database settings from postgres://user:password@host:port/name?option=value.

    A `host` in the query names a socket folder. Raises ImproperlyConfigured for another scheme.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("DATABASE_URL must begin with postgres:// or postgresql://.")
    options: dict[str, Any] = {**_NOTICED, **dict(parse_qsl(parts.query))}
    host = options.pop("host", parts.hostname or "")
    return {
        "ENGINE": "django_prometheus.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
        "CONN_MAX_AGE": env.integer("DATABASE_CONN_MAX_AGE", 60),
        "CONN_HEALTH_CHECKS": True,
    }


# Security. No defaults: a bare start fails and says what to set.
SECRET_KEY = env.secret("SECRET_KEY")
# Keys of secrets at rest (urlsafe base64, 32 bytes), newest first, apart from SECRET_KEY so that either can be
# rotated alone.
ENCRYPTION_KEYS = [key.strip() for key in env.secret("ENCRYPTION_KEYS").split(",") if key.strip()]
DEBUG = env.flag("DEBUG", default=False)
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.items("CSRF_TRUSTED_ORIGINS")
PUBLIC_URL = env.text("PUBLIC_URL", "").rstrip("/")  # where people reach this installation; empty: as requested
# How many proxies in front of us append to X-Forwarded-For. Zero: the header is ignored.
TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES", 0)

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "apps.orgs",
    "apps.orgs.admin_app.FormHubAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
    "apps.forms",
    "apps.intake",
    "apps.archive",
    "apps.sinks",
    "apps.streams",
    "apps.console",
    "workers",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "formhub.core.stopping.CloseMiddleware",
    "formhub.core.requests.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "formhub.core.requests.ProblemMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

# What a submission passes instead: see formhub.core.lanes.
SHORT_MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "formhub.core.stopping.CloseMiddleware",
    "formhub.core.requests.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "formhub.core.counted.CountedMiddleware",
]

ROOT_URLCONF = "formhub.urls"
WSGI_APPLICATION = "formhub.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database(env.secret("DATABASE_URL"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "orgs.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# The admin in the product's own look; the accent is the deep blue-violet of static/formhub/formhub.css.
UNFOLD = {
    "SITE_TITLE": "FormHub",
    "SITE_HEADER": "FormHub",
    "SITE_SYMBOL": "dynamic_form",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 285)",
            "100": "oklch(94% .03 285)",
            "200": "oklch(89% .06 285)",
            "300": "oklch(81% .1 285)",
            "400": "oklch(70% .15 285)",
            "500": "oklch(58% .19 285)",
            "600": "oklch(46% .19 285)",
            "700": "oklch(41% .18 285)",
            "800": "oklch(36% .15 285)",
            "900": "oklch(31% .12 285)",
            "950": "oklch(22% .09 285)",
        },
    },
    "SIDEBAR": {"show_search": True, "show_all_applications": False},
    "STYLES": [lambda request: static("orgs/theme.css")],
}

# Browser policy: nothing from elsewhere, nothing inline. The admin's own, looser one is set on its pages.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'self'"],
        "img-src": ["'self'", "data:"],
    },
}
SECURE_CONTENT_TYPE_NOSNIFF = True
# A form of 600 fields is one page of the admin, with ten inputs for each.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
# Not "no-referrer": browsers would send `Origin: null` with every form, which the CSRF check rightly refuses.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"
SILENCED_SYSTEM_CHECKS = ["security.W019"]  # it asks for DENY, but forms are shown in frames of our own pages

# Redis: one server for the buffer (durable, never evicts), one for the cache, the throttle and Celery. Each is named by
# redis:// or, where sentinels say which of several is the master, by redis+sentinel:// (see formhub.core.redis).
REDIS_URL = redis.checked("REDIS_URL", env.secret("REDIS_URL"))
REDIS_BUFFER_URL = redis.checked("REDIS_BUFFER_URL", env.secret("REDIS_BUFFER_URL", REDIS_URL))
REDIS_TIMEOUT_SECONDS = env.number("REDIS_TIMEOUT_SECONDS", 0.25, at_least=0.01)
CACHES = {
    "default": {
        "BACKEND": "django_prometheus.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "formhub",
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.DefaultClient",
            "CONNECTION_FACTORY": "formhub.core.redis.CacheConnections",
            "SOCKET_CONNECT_TIMEOUT": REDIS_TIMEOUT_SECONDS,
            "SOCKET_TIMEOUT": REDIS_TIMEOUT_SECONDS,
            "IGNORE_EXCEPTIONS": True,
        },
    },
}

# The log.
KAFKA_BOOTSTRAP_SERVERS = env.items("KAFKA_BOOTSTRAP_SERVERS")
# Over TLS where the authority that signed the brokers' certificates is named; certificate and key, in PEM, are our own.
KAFKA_CA_FILE = env.file("KAFKA_CA_FILE")
KAFKA_CERT_FILE, KAFKA_KEY_FILE = env.pair("KAFKA_CERT_FILE", "KAFKA_KEY_FILE", needs="KAFKA_CA_FILE")
SUBMISSIONS_TOPIC = env.text("SUBMISSIONS_TOPIC", "submissions.v1")
SUBMISSIONS_PARTITIONS = env.integer("SUBMISSIONS_PARTITIONS", 24, at_least=1)
SUBMISSIONS_REPLICATION = env.integer("SUBMISSIONS_REPLICATION", 3, at_least=1)
SUBMISSIONS_MIN_INSYNC = env.integer("SUBMISSIONS_MIN_INSYNC", 2, at_least=1)
SUBMISSIONS_RETENTION_HOURS = env.integer("SUBMISSIONS_RETENTION_HOURS", 7 * 24, at_least=1)

# Intake: a submission is accepted only after the broker has it. The wait for Kafka stays below the gateway's 10 s.
INTAKE_KAFKA_SECONDS = env.number("INTAKE_KAFKA_SECONDS", 4, at_least=0.1)
# Where the log takes nothing, submissions go into the outbox in Postgres, as many as this holds; together the two waits
# stay below 7 s.
INTAKE_OUTBOX_SECONDS = env.number("INTAKE_OUTBOX_SECONDS", 2, at_least=0.1)
OUTBOX_ROWS_MAX = env.integer("OUTBOX_ROWS_MAX", 1_000_000, at_least=1)
OUTBOX_BYTES_MAX = env.integer("OUTBOX_BYTES_MAX", 2 * 1024 * 1024 * 1024, at_least=2 * 1024 * 1024)
INTAKE_PENDING_MAX = env.integer("INTAKE_PENDING_MAX", 20_000, at_least=1)
INTAKE_PENDING_BYTES_MAX = env.integer("INTAKE_PENDING_BYTES_MAX", 64 * 1024 * 1024, at_least=2 * 1024 * 1024)
INTAKE_BODY_BYTES_MAX = env.integer("INTAKE_BODY_BYTES_MAX", 1024 * 1024, at_least=1024)
INTAKE_BATCH_BYTES_MAX = env.integer("INTAKE_BATCH_BYTES_MAX", 5 * 1024 * 1024, at_least=1024)
INTAKE_BATCH_ITEMS_MAX = env.integer("INTAKE_BATCH_ITEMS_MAX", 1000, at_least=1)
INTAKE_PER_ADDRESS_AND_FORM = env.text("INTAKE_PER_ADDRESS_AND_FORM", "60/minute")
INTAKE_PER_KEY = env.text("INTAKE_PER_KEY", "600/minute")
INTAKE_PER_FORM = env.text("INTAKE_PER_FORM", "60000/minute")
INTAKE_PER_ORGANIZATION = env.text("INTAKE_PER_ORGANIZATION", "120000/minute")
IDEMPOTENCY_HOURS = env.integer("IDEMPOTENCY_HOURS", 48, at_least=1)

# The management API.
MANAGE_PER_KEY = env.text("MANAGE_PER_KEY", "600/minute")  # and per person who is signed in
INVITATION_DAYS = env.integer("INVITATION_DAYS", 7, at_least=1)

# The web server, each process of it: connections it holds, idle ones included (20 kB each); and under RSGI threads for
# pages and the management API, how many requests may wait for one, how much of bodies is held on the loop, and for how
# long a body, or a piece of a long one, is waited for.
WEB_CONNECTIONS_MAX = env.integer("WEB_CONNECTIONS_MAX", 16_000, at_least=1)
WEB_THREADS = env.integer("WEB_THREADS", 16, at_least=1)
WEB_WAITING_MAX = env.integer("WEB_WAITING_MAX", 200, at_least=0)
WEB_BODIES_BYTES_MAX = env.integer("WEB_BODIES_BYTES_MAX", 64 * 1024 * 1024, at_least=2 * 1024 * 1024)
WEB_BODY_SECONDS = env.number("WEB_BODY_SECONDS", 30, at_least=1)
# A web server that was told to stop (formhub.serve): for how long it goes on as before while it says that it is not
# ready, so that balancers notice, and for how long requests under way are waited for after that.
WEB_DRAIN_SECONDS = env.number("WEB_DRAIN_SECONDS", 8)
WEB_STOP_SECONDS = env.integer("WEB_STOP_SECONDS", 30, at_least=1)

# Consumers.
CONSUMER_BATCH_MAX_ITEMS = env.integer("CONSUMER_BATCH_MAX_ITEMS", 2000, at_least=1)
HEARTBEAT_DIR = Path(env.text("HEARTBEAT_DIR", str(BASE_DIR / ".formhub" / "heartbeats")))

# Buffer: bounds per action and as a whole.
BUFFER_BINDING_MAX_ITEMS = env.integer("BUFFER_BINDING_MAX_ITEMS", 50_000, at_least=10)
BUFFER_MAX_BYTES = env.integer("BUFFER_MAX_BYTES", 1024 * 1024 * 1024, at_least=1024 * 1024)

# Erasing. The journal keeps what was erased outside the database, so that it must not lie where its backups do; only
# workers write it. A line is of use for as long as a backup is kept that was made before it.
TOMBSTONE_JOURNAL = Path(env.text("TOMBSTONE_JOURNAL", str(BASE_DIR / ".formhub" / "tombstones")))
TOMBSTONE_JOURNAL_DAYS = env.integer("TOMBSTONE_JOURNAL_DAYS", 400, at_least=31)

# How many submissions go with a form that is deleted is asked of this function (form id -> number).
FORMS_SUBMISSIONS = "apps.archive.queries.count"

# Actions. Where a change of an action takes effect is asked of this function (form id -> position), and from where a
# back-fill that begins at a moment has to look, of the other (form id, moment -> position or None).
SINKS_LOG_END = "apps.archive.queries.log_end"
SINKS_POSITION_AT = "apps.archive.queries.position_at"
# The columns of a form that settings are checked against (form id -> layout, or None before it is published).
SINKS_LAYOUT = "apps.forms.published.layout"
# Where submissions are looked up that wait for an action: a module with `places` and `oldest_after`.
SINKS_ARCHIVE = "apps.archive.queries"
# How a processor's result is told to people is asked of this function (stream, result -> title, pairs of texts).
ARCHIVE_DESCRIBE = "apps.streams.shown.describe"
# How many destinations of one kind, whose last call failed, are called at a time: dead ones must not fill a pool.
FLUSH_FAILING_MAX = env.integer("FLUSH_FAILING_MAX", 2, at_least=1)

# Mails go to a server where one is named, else to the console.
EMAIL_HOST = env.text("EMAIL_HOST", "")
EMAIL_PORT = env.integer("EMAIL_PORT", 587, at_least=1)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.secret("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_SSL = env.flag("EMAIL_USE_SSL", default=False)  # TLS from the first byte on, usually at port 465
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=not EMAIL_USE_SSL)
EMAIL_TIMEOUT = 10
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "FormHub <formhub@localhost>")
# Mails of actions: to one respondent of one action in an hour, and of one organization in a day; to one person of a
# team, and in all of one organization, for each of the two kinds. They are counted on the server of REDIS_URL.
MAIL_CONFIRMATIONS_PER_RECIPIENT_HOUR = env.integer("MAIL_CONFIRMATIONS_PER_RECIPIENT_HOUR", 1, at_least=1)
MAIL_CONFIRMATIONS_PER_RECIPIENT_DAY = env.integer("MAIL_CONFIRMATIONS_PER_RECIPIENT_DAY", 5, at_least=1)
MAIL_NOTIFICATIONS_PER_RECIPIENT_HOUR = env.integer("MAIL_NOTIFICATIONS_PER_RECIPIENT_HOUR", 100, at_least=1)
MAIL_NOTIFICATIONS_PER_RECIPIENT_DAY = env.integer("MAIL_NOTIFICATIONS_PER_RECIPIENT_DAY", 1000, at_least=1)
MAIL_PER_ORGANIZATION_HOUR = env.integer("MAIL_PER_ORGANIZATION_HOUR", 1000, at_least=1)
MAIL_PER_ORGANIZATION_DAY = env.integer("MAIL_PER_ORGANIZATION_DAY", 5000, at_least=1)
# What an organization's owners and admins are told by mail: an action was paused by its settings; submissions failed,
# once a day and action, so many minutes after the first; nothing could be delivered for so many minutes.
NOTIFY = env.flag("NOTIFY", default=True)
NOTIFY_FAILED_MINUTES = env.integer("NOTIFY_FAILED_MINUTES", 5)
NOTIFY_FAILING_MINUTES = env.integer("NOTIFY_FAILING_MINUTES", 30, at_least=1)
NOTIFY_PER_DAY = env.integer("NOTIFY_PER_DAY", 50, at_least=1)  # mails to one organization

# Google Sheets. The base address is changed only to reach an emulator, and only then may a token come from elsewhere.
SHEETS_BASE_URL = env.text("SHEETS_BASE_URL", "")
SHEETS_SERVICE_ACCOUNT_FILE = env.text("SHEETS_SERVICE_ACCOUNT_FILE", "")
# Google's calls a minute, reads and writes each; raise them when Google granted more.
SHEETS_QUOTA_PER_ACCOUNT = env.integer("SHEETS_QUOTA_PER_ACCOUNT", 60, at_least=1)
SHEETS_QUOTA_PER_PROJECT = env.integer("SHEETS_QUOTA_PER_PROJECT", 300, at_least=1)

# What may be called at the addresses that organizations type, in webhooks for one: public ones, and those of the
# networks named here (an installation that serves its own house). Empty ports: any.
EGRESS_HTTP = env.flag("EGRESS_HTTP", default=False)  # http:// beside https://
EGRESS_PORTS = env.integers("EGRESS_PORTS", "80,443,8443")
EGRESS_NETWORKS = env.networks("EGRESS_NETWORKS")
EGRESS_CA_FILE = env.file("EGRESS_CA_FILE")  # certificates of authorities to trust beside those that all trust
CHAT_HOSTS_CHECKED = env.flag("CHAT_HOSTS_CHECKED", default=True)  # a webhook of Slack is at Slack
TELEGRAM_API_URL = env.text("TELEGRAM_API_URL", "https://api.telegram.org").rstrip("/")

CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS = redis.broker(
    "CELERY_BROKER_URL", env.secret("CELERY_BROKER_URL", REDIS_URL)
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ROUTES = {"workers.notify": {"queue": "notices"}}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "workers.beat.Scheduler"
# Ticks are hints: two beats, or none for a while, change nothing but the delay.
CELERY_BEAT_SCHEDULE = {
    "tick": {"task": "workers.tick", "schedule": 1.0, "options": {"expires": 5}},
    "sweep": {"task": "workers.sweep", "schedule": 30.0, "options": {"expires": 30}},
    "relay": {"task": "workers.relay", "schedule": 2.0, "options": {"expires": 5}},
    "notify": {"task": "workers.notify", "schedule": 30.0, "options": {"expires": 30}},
    "reconcile": {"task": "workers.reconcile", "schedule": 60.0, "options": {"expires": 60}},
    "erase": {"task": "workers.erase", "schedule": 10.0, "options": {"expires": 10}},
    "erased_stays_erased": {"task": "workers.erased_stays_erased", "schedule": crontab(hour=3, minute=30)},
}

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "formhub.core.problem.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "FormHub",
    "DESCRIPTION": "Take answers to forms, keep every one, and run actions on each.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",  # of 3.1 on its schemas are JSON Schema
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "TAGS": [
        {"name": "Submissions", "description": "Send answers, and read what was sent."},
        {"name": "Forms", "description": "What is asked, by whom, and until when."},
        {"name": "Fields", "description": "The rows of a form's draft, and which types there are."},
        {"name": "Publishing", "description": "From the draft to numbered versions, and back."},
        {"name": "Actions", "description": "What happens with each submission."},
        {"name": "Deliveries", "description": "What was delivered, and what failed."},
        {"name": "Organizations", "description": "Who owns all of it."},
        {"name": "Members", "description": "Who may do what in an organization, and invitations."},
        {"name": "API keys", "description": "Keys for programs."},
        {"name": "Audit trail", "description": "Who changed what."},
    ],
    "POSTPROCESSING_HOOKS": [
        "apps.forms.api.openapi.add_definition",
        "apps.console.api.document.tidy",
    ],
}

# Metrics. /metrics of the web server answers whoever sends the token as a bearer, or everybody on a laptop; every role
# can serve its own on a port of its own (0: none). The folder is for a web server with several worker processes.
METRICS_TOKEN = env.secret("METRICS_TOKEN", "")
METRICS_PUBLIC = False
METRICS_PORT = env.integer("METRICS_PORT", 0)
METRICS_ADDRESS = env.text("METRICS_ADDRESS", "127.0.0.1")
PROMETHEUS_MULTIPROC_DIR = env.folder("PROMETHEUS_MULTIPROC_DIR")

# Logs: a line an event on stderr. See formhub.core.logs for what is never in one.
LOG_FORMAT = env.choice("LOG_FORMAT", "json", ("json", "console"))
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOGGING_CONFIG = "formhub.core.logs.configure"
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"not_throttled": {"()": "formhub.core.logs.NotThrottled"}},
    "formatters": {"line": {"()": "formhub.core.logs.Formatter", "kind": LOG_FORMAT}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    # Other people's debug lines hold statements, addresses and bodies: LOG_LEVEL is for our own loggers.
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        **{name: {"level": LOG_LEVEL} for name in ("formhub", "apps", "workers")},
        # Named, so that what Django and Granian set up for themselves (mails of whole requests, lines of their own
        # form) goes.
        "django": {"level": "INFO"},
        "django.request": {"level": "WARNING", "filters": ["not_throttled"]},
        "django.server": {"level": "INFO", "propagate": True},
        "_granian": {"level": "INFO", "propagate": True},
        "granian.access": {"level": "INFO", "propagate": True},
        "py.warnings": {"level": "WARNING"},
    },
}
