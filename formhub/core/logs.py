"""What every process writes to stderr: an event a line, with the ids that it concerns, never what people answered.

Whoever logs, by structlog or by the standard library, passes the one Formatter below. Its rules:

- An exception is its type and the places that it passed through: no local variables, no source lines. Its message is
  written only where nobody's data can be in it: for our own classes (save those of plug-ins), for the few of others
  named here, for what the operating system says, and for what Postgres says of connections and statements. Of the
  data that Postgres refused it shows the SQLSTATE alone.
- An exception among a message's arguments is replaced in the same way; so is what Celery repeats of a task's
  arguments and results.
- In every text API keys, tokens, passwords in addresses, query strings and the details of database errors are cut.
- Other people's loggers write warnings and worse: their debug lines hold statements and bodies.
"""

import logging
import logging.config
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

OURS = frozenset({"formhub", "apps", "workers"})
# Their messages are written by plug-ins, which may be wrong about what they hold.
PLUGINS = "apps.sinks.contract"
# Messages that are addressed to the operator, or name a machine at most.
SPOKEN = frozenset(
    {
        "django.core.management.base.CommandError",
        "django.core.management.base.SystemCheckError",
        "django.core.exceptions.ImproperlyConfigured",
        "celery.exceptions.ImproperlyConfigured",
        "kafka.errors.KafkaConnectionError",
    }
)
# Classes of SQLSTATE in which Postgres speaks of connections, resources and statements; 22 and 23 quote data.
STATED = frozenset({"08", "28", "3D", "40", "42", "53", "55", "57", "58"})
CUT = "…"
TEXT_MAX = 2000
FRAMES_MAX = 40
CHAIN_MAX = 5
DEPTH_MAX = 2 * CHAIN_MAX
_ROOT = Path(__file__).resolve().parents[2]
# Of a logger's arguments by name: what Celery and a web server's access log say of content.
_CONTENT = frozenset({"args", "kwargs", "exc", "traceback", "return_value", "query_string", "body", "headers", "data"})
_WARNING = re.compile(r"(?P<file>.*?):(?P<line>\d+): (?P<kind>\w+): (?P<text>.*)")
_PLAIN = (str, int, float, bool, UUID, datetime, date, type(None))
# What every line begins with, whoever wrote it.
_BEGIN: Sequence[Processor] = (
    lambda logger, name, event: {**_ids.get(), **event},
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
)
# One variable for all ids: a request sets them thousands of times a second, and writes a line now and then.
_ids: ContextVar[Mapping[str, object]] = ContextVar("formhub_ids", default={})  # noqa: B039 - never changed in place
# Arguments that may hold an exception, or are one.
_HOLDERS = (BaseException, Mapping, list, tuple, set, frozenset)
_CUTS: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"fh_[a-z]+_[\w-]+"), f"fh_{CUT}"),
    (re.compile(r"\b(authorization\W{1,4})(\w+\s+)?[\w.~+/=-]+", re.IGNORECASE), rf"\1{CUT}"),
    (re.compile(r"\b(bearer)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {CUT}"),
    (re.compile(r"(://)[^/\s@]*@"), rf"\1{CUT}@"),
    (re.compile(r"((?:\w://|/)[^\s?\"'<>]*)\?[^\s\"'<>]+"), rf"\1?{CUT}"),
    (re.compile(r"\b(DETAIL|CONTEXT|STATEMENT|QUERY):.*", re.DOTALL), rf"\1: {CUT}"),
    (re.compile(r"-----BEGIN .*", re.DOTALL), CUT),
)


def bind(**ids: object) -> None:
    """Put ids on every further line of this thread or task, until the enclosing `context` ends."""
    _ids.set({**_ids.get(), **ids})


def unbind(*names: str) -> None:
    _ids.set({name: id for name, id in _ids.get().items() if name not in names})


def bound() -> Mapping[str, object]:
    """The ids of this thread or task."""
    return _ids.get()


@contextmanager
def context(**ids: object) -> Iterator[None]:
    """Ids for the lines within. What is bound meanwhile ends with it, so one request never marks another's lines."""
    before = _ids.set({**_ids.get(), **ids})
    try:
        yield
    finally:
        _ids.reset(before)


class Formatter(structlog.stdlib.ProcessorFormatter):
    """`kind`: `json`, an object a line; or `console`, for people."""

    def __init__(self, kind: str = "json") -> None:
        last: list[Processor] = [_lines, _console()] if kind == "console" else [_json]
        super().__init__(
            foreign_pre_chain=_BEGIN,
            processors=[_where_from, _exception, self.remove_processors_meta, _cut, *last],
        )

    def format(self, record: logging.LogRecord) -> str:
        return super().format(_speakable(record))


def configure(config: Mapping[str, Any]) -> None:
    """Django's LOGGING_CONFIG: the handlers, and the ways past them that Python has.

    Warnings are logged too where the logger py.warnings is configured.
    """
    structlog.configure(
        processors=[*_BEGIN, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(dict(config))
    logging.captureWarnings("py.warnings" in config["loggers"])
    # A handler that fails would print the arguments of its line.
    logging.raiseExceptions = False
    if sys.excepthook is not _uncaught:
        sys.excepthook = _uncaught
        threading.excepthook = _uncaught_by(threading.excepthook)


class NotThrottled(logging.Filter):
    """A caller over a limit must not fill the log as well: those are counted."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != 429


def said(error: BaseException) -> str:
    """An exception in a line: its kind, and its message where that holds nobody's data."""
    message = _message(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger(__name__).critical("ended by an exception", exc_info=(kind, error, trace))


def _uncaught_by(before: Callable[[Any], Any]) -> Callable[[Any], None]:
    def hook(args: Any) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else "?"
            details = (args.exc_type, args.exc_value, args.exc_traceback)
            logging.getLogger(__name__).error("the thread %s ended by an exception", name, exc_info=details)
        if before is not threading.__excepthook__:
            before(args)

    return hook


# Records


def _speakable(record: logging.LogRecord) -> logging.LogRecord:
    """A copy whose message can be written."""
    copy = logging.makeLogRecord(record.__dict__)
    if hasattr(copy, "_logger"):  # structlog's own: its values are looked at by `_cut`
        return copy
    args = copy.args
    if copy.name == "py.warnings":
        copy.msg, args = _warning(copy.msg), ()
    if isinstance(args, Mapping):
        copy.args = {name: CUT if name in _CONTENT else _argument(value) for name, value in args.items()}
    elif args:
        copy.args = tuple(map(_argument, args))
    try:
        copy.msg, copy.args = copy.getMessage(), ()
    except Exception:  # noqa: BLE001 - a line that cannot be put together must not end whoever wrote it
        copy.msg, copy.args = f"{copy.msg} (its arguments do not fit)", ()
    if isinstance(record.msg, BaseException):
        copy.msg = said(record.msg)
    return copy


def _argument(value: Any) -> Any:
    return _clean(value) if isinstance(value, _HOLDERS) else value


def _warning(text: Any) -> str:
    """Its kind and place, and what it says; a RuntimeWarning, such as Django's of a naive time, quotes values."""
    found = _WARNING.match(str(text))
    if found is None:
        return "a warning"
    place = f"{found['kind']} at {_file(found['file'])}:{found['line']}"
    return place if found["kind"] == "RuntimeWarning" else f"{place}: {found['text']}"


def _where_from(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Who logs, and for Django's lines about requests, which are written after the request's context ended, its id."""
    record: logging.LogRecord = event["_record"]
    event["logger"] = record.name
    if status := getattr(record, "status_code", None):
        event["status"] = status
    if id := getattr(getattr(record, "request", None), "request_id", None):
        event.setdefault("request_id", id)
    return event


def _exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    details = event.pop("exc_info", None)
    if details is True:
        details = sys.exc_info()
    error = details[1] if isinstance(details, tuple) else details
    if isinstance(error, BaseException):
        trace = details[2] if isinstance(details, tuple) else error.__traceback__
        event["exception"] = _told(error, trace)
    event.pop("stack_info", None)
    return event


# Exceptions


def _told(error: BaseException, trace: TracebackType | None, depth: int = 1) -> dict[str, Any]:
    told: dict[str, Any] = {"type": _name(error)}
    if message := _message(error):
        told["message"] = _trimmed(message)
    if state := getattr(error, "sqlstate", None):
        told["sqlstate"] = str(state)
    told["frames"] = list(_frames(trace))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth < CHAIN_MAX:
        told["cause"] = _told(cause, cause.__traceback__, depth + 1)
    return told


def _frames(trace: TracebackType | None) -> Iterator[str]:
    places = [(frame.f_code, line) for frame, line in traceback.walk_tb(trace)]
    for code, line in places[-FRAMES_MAX:]:
        yield f"{_file(code.co_filename)}:{line} {code.co_name}"


def _file(name: str) -> str:
    """From the checkout or the package on: where that lies tells nobody anything."""
    _, installed, inside = name.rpartition("site-packages/")
    if installed:
        return inside
    try:
        return str(Path(name).relative_to(_ROOT))
    except ValueError:
        return "/".join(Path(name).parts[-2:])


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    """Empty where somebody's data may be in it."""
    kind = type(error)
    if (kind.__module__.partition(".")[0] in OURS and kind.__module__ != PLUGINS) or _name(error) in SPOKEN:
        return str(error)
    if isinstance(error, OSError):
        return os.strerror(error.errno) if isinstance(error.errno, int) else ""
    if kind.__module__.partition(".")[0] == "psycopg":
        return _stated(error)
    return ""


def _stated(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    if state is None:  # libpq's own words about a connection
        return str(error) if type(error).__name__ in {"OperationalError", "ConnectionTimeout"} else ""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return str(primary or "") if state[:2] in STATED else ""


# Texts


def _cut(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return {name: _clean(value) for name, value in event.items()}


def _clean(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _trimmed(value)
    if isinstance(value, BaseException):
        return said(value)
    if depth < DEPTH_MAX and isinstance(value, Mapping):
        return {str(name): _clean(inner, depth + 1) for name, inner in value.items()}
    if depth < DEPTH_MAX and isinstance(value, list | tuple | set | frozenset):
        return [_clean(inner, depth + 1) for inner in value]
    if isinstance(value, int) and abs(value) >= 2**63:
        return str(value)
    return value if isinstance(value, _PLAIN) else type(value).__name__


def _trimmed(text: str) -> str:
    # Shortened first: a pattern may take the square of a text's length. Half a character is no JSON.
    short = text[:TEXT_MAX].encode(errors="replace").decode()
    for pattern, instead in _CUTS:
        short = pattern.sub(instead, short)
    return short if len(text) <= TEXT_MAX else f"{short}{CUT}"


def _json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    first = {name: event.pop(name) for name in ("time", "level", "logger", "event") if name in event}
    return orjson.dumps({**first, **event}).decode()


def _lines(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """An exception as lines below the event."""
    if isinstance(told := event.get("exception"), dict):
        event["exception"] = "\n".join(_block(told))
    return event


def _block(told: Mapping[str, Any]) -> Iterator[str]:
    head = f"{told['type']}: {told['message']}" if "message" in told else told["type"]
    yield head + (f" (SQLSTATE {told['sqlstate']})" if "sqlstate" in told else "")
    yield from (f"  {frame}" for frame in told["frames"])
    if "cause" in told:
        yield "caused by"
        yield from _block(told["cause"])


def _console() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        timestamp_key="time",
        pad_event_to=0,
        exception_formatter=structlog.dev.plain_traceback,  # unused: `_exception` has told it by now
    )
