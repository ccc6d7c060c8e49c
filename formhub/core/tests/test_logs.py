import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory
from django.utils.log import log_response

from apps.sinks.contract import PermanentError
from formhub.core import logs
from formhub.core.stream.base import StreamError
from tests.canary import ANSWER, KEY, NEEDLE

ROOT = Path(__file__).resolve().parents[3]


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.Formatter("json"))
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    @property
    def last(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.texts[-1])
        return found


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler = Lines()
    root = logging.getLogger()
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


logger = logging.getLogger("apps.some.room")


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def logged(lines: Lines, error: Exception) -> dict[str, Any]:
    logger.error("it failed", exc_info=raised(error))
    found: dict[str, Any] = lines.last["exception"]
    return found


def test_a_line_says_when_how_bad_who_and_what(lines: Lines) -> None:
    logger.warning("form %s is %s", UUID(int=1), "closed")

    assert set(lines.last) == {"time", "level", "logger", "event"}
    assert lines.last["time"].endswith("Z")
    assert (lines.last["level"], lines.last["logger"]) == ("warning", "apps.some.room")
    assert lines.last["event"] == "form 00000000-0000-0000-0000-000000000001 is closed"


def test_ids_stand_on_every_line_until_their_context_ends(lines: Lines) -> None:
    with logs.context(request_id="r-1"):
        logs.bind(form=UUID(int=7))
        logger.info("within")
        assert (lines.last["request_id"], lines.last["form"]) == ("r-1", str(UUID(int=7)))
    logger.info("after")

    assert {"request_id", "form"}.isdisjoint(lines.last)


def test_a_context_within_another_gives_back_what_it_found(lines: Lines) -> None:
    with logs.context(task="outer"):
        with logs.context(task="inner", batch=3):
            pass
        logger.info("x")

    assert lines.last["task"] == "outer"
    assert "batch" not in lines.last


def test_another_thread_has_its_own_ids(lines: Lines) -> None:
    with logs.context(request_id="mine"):
        thread = threading.Thread(target=lambda: logger.info("elsewhere"))
        thread.start()
        thread.join()

    assert "request_id" not in lines.last


def test_structlog_goes_the_same_way(lines: Lines) -> None:
    with logs.context(request_id="r-2"):
        structlog.get_logger("apps.plugin").info("sent", rows=3, error=ValueError(ANSWER), odd=object())

    assert lines.last["event"] == "sent"
    assert (lines.last["rows"], lines.last["error"], lines.last["odd"]) == (3, "ValueError", "object")
    assert (lines.last["logger"], lines.last["request_id"]) == ("apps.plugin", "r-2")


class TestExceptions:
    def test_one_of_ours_is_told_with_its_message_and_places(self, lines: Lines) -> None:
        told = logged(lines, StreamError("could not poll (KafkaTimeoutError)"))

        assert told["type"] == "formhub.core.stream.base.StreamError"
        assert told["message"] == "could not poll (KafkaTimeoutError)"
        assert told["frames"][-1].startswith("formhub/core/tests/test_logs.py:")
        assert told["frames"][-1].endswith(" raised")

    @pytest.mark.parametrize(
        "error",
        [
            pytest.param(ValueError(ANSWER), id="Python's own"),
            pytest.param(KeyError(ANSWER), id="a key"),
            pytest.param(PermanentError(ANSWER, code="x"), id="written by a plug-in"),
            pytest.param(psycopg.DataError(ANSWER), id="a database's"),
            pytest.param(OSError(2, ANSWER), id="dressed up as the system's"),
        ],
    )
    def test_the_message_of_any_other_is_left_out(self, lines: Lines, error: Exception) -> None:
        told = logged(lines, error)

        assert told["type"].endswith(type(error).__qualname__)
        assert NEEDLE not in lines.texts[-1]

    def test_the_operating_system_and_the_operator_are_quoted(self, lines: Lines) -> None:
        assert logged(lines, ConnectionRefusedError(111, "whatever"))["message"] == "Connection refused"
        assert logged(lines, ImproperlyConfigured("Set SECRET_KEY."))["message"] == "Set SECRET_KEY."

    def test_causes_are_told_too_and_no_local_variable_or_source_line(self, lines: Lines) -> None:
        secret = ANSWER
        logger.error("x", exc_info=raised(StreamError("outer"), cause=raised(ValueError(secret))))

        assert lines.last["exception"]["cause"]["type"] == "ValueError"
        assert "raise error" not in lines.texts[-1]
        assert NEEDLE not in lines.texts[-1]

    def test_an_exception_without_end_is_told_in_part(self, lines: Lines) -> None:
        error: Exception = ValueError("0")
        for number in range(50):
            error = raised(ValueError(str(number)), cause=error)
        logger.error("x", exc_info=error)

        assert lines.texts[-1].count('"cause"') == logs.CHAIN_MAX - 1

    def test_among_the_arguments_only_its_kind_is_written(self, lines: Lines) -> None:
        logger.warning("turn failed (%s)", ValueError(ANSWER))
        assert lines.last["event"] == "turn failed (ValueError)"

        logger.warning("%(what)s failed: %(why)s", {"what": "it", "why": psycopg.DataError(ANSWER)})
        assert lines.last["event"] == "it failed: DataError"

        logger.warning(RuntimeError(ANSWER))
        assert lines.last["event"] == "RuntimeError"

    def test_one_that_ends_a_thread_is_told_by_the_same_rules(self, lines: Lines) -> None:
        def fail() -> None:
            raise ValueError(ANSWER)

        threading.excepthook, before = logs._uncaught_by(threading.__excepthook__), threading.excepthook
        try:
            thread = threading.Thread(target=fail, name="courier")
            thread.start()
            thread.join()
        finally:
            threading.excepthook = before

        assert lines.last["event"] == "the thread courier ended by an exception"
        assert lines.last["exception"]["type"] == "ValueError"


@pytest.mark.django_db
def test_postgres_is_quoted_on_statements_and_never_on_data(lines: Lines) -> None:
    from django.db import Error, connection, transaction

    def failing(query: str, values: list[str]) -> dict[str, Any]:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(query, values)
        except Error:
            logger.exception("refused")
        cause: dict[str, Any] = lines.last["exception"]["cause"]
        return cause

    assert failing("SELECT 1 FROM nowhere", [])["message"] == 'relation "nowhere" does not exist'
    refused = failing("SELECT %s::uuid", [ANSWER])
    assert (refused["sqlstate"], "message" in refused) == ("22P02", False)
    assert NEEDLE not in "".join(lines.texts)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param(f"key {KEY}.", "key fh_….", id="an API key"),
        pytest.param("Authorization: Bearer abc.DEF-9", "Authorization: …", id="a header"),
        pytest.param("sent Bearer abc.DEF-9 on", "sent Bearer … on", id="a token"),
        pytest.param(f'"GET /f/x/?name={NEEDLE}&b=1 HTTP/1.1"', '"GET /f/x/?… HTTP/1.1"', id="a query string"),
        pytest.param(f"https://a.example/x?{NEEDLE}", "https://a.example/x?…", id="an address"),
        pytest.param("redis://user:secret@host:1/0", "redis://…@host:1/0", id="a password"),
        pytest.param(f"no\nDETAIL:  Key (a)=({NEEDLE})\nmore", "no\nDETAIL: …", id="a database's detail"),
        pytest.param("is it so? yes", "is it so? yes", id="a question"),
    ],
)
def test_what_is_secret_by_its_form_is_cut(lines: Lines, written: str, read: str) -> None:
    logger.info("%s", written)

    assert lines.last["event"] == read


def test_a_long_line_is_shortened_and_any_text_is_json() -> None:
    lines = Lines()  # by itself: pytest's own handlers cannot take such texts
    lines.handle(logging.makeLogRecord({"msg": "%s", "args": ("/" * 1_000_000,)}))
    assert len(lines.last["event"]) == logs.TEXT_MAX + 1

    lines.handle(logging.makeLogRecord({"msg": "half a character \ud800, and %s", "args": (2**80,)}))
    assert lines.last["event"] == f"half a character ?, and {2**80}"


def test_a_line_that_cannot_be_put_together_gives_nothing_away(lines: Lines) -> None:
    logger.info("%d of %d", ANSWER)

    assert lines.last["event"] == "%d of %d (its arguments do not fit)"


def test_what_celery_repeats_of_a_task_is_cut(lines: Lines) -> None:
    context = {
        "name": "workers.flush",
        "id": "t-1",
        "description": "raised unexpected",
        "exc": f"ValueError('{ANSWER}')",
    }
    logging.getLogger("celery.app.trace").error("Task %(name)s[%(id)s] %(description)s: %(exc)s", context)

    assert lines.last["event"] == "Task workers.flush[t-1] raised unexpected: …"


def test_what_django_says_of_a_request_has_its_id_and_no_query(lines: Lines) -> None:
    request = RequestFactory().get("/api/v1/x", {"email": ANSWER})
    request.request_id = "r-9"  # type: ignore[attr-defined]
    from django.http import HttpResponse

    log_response("%s: %s", "Bad Request", request.path, response=HttpResponse(status=400), request=request)

    assert lines.last["event"] == "Bad Request: /api/v1/x"
    assert (lines.last["status"], lines.last["request_id"]) == (400, "r-9")
    assert NEEDLE not in lines.texts[-1]


def test_callers_over_a_limit_do_not_fill_the_log(lines: Lines) -> None:
    from django.http import HttpResponse

    before = len(lines.texts)
    log_response("%s: %s", "Too Many", "/x", response=HttpResponse(status=429), request=RequestFactory().get("/x"))

    assert len(lines.texts) == before


def test_a_warning_is_told_by_its_place_and_its_values_are_left_out(lines: Lines) -> None:
    log = logging.getLogger("py.warnings")
    naive = f"/any/site-packages/django/x.py:12: RuntimeWarning: received a naive datetime ({ANSWER})\n  x\n"
    log.warning(naive)
    assert lines.last["event"] == "RuntimeWarning at django/x.py:12"

    log.warning("/a/b/c.py:3: DeprecationWarning: use other\n  old()\n")
    assert lines.last["event"] == "DeprecationWarning at b/c.py:3: use other"


@pytest.mark.parametrize("name", ["django.db.backends", "urllib3.connectionpool", "kafka.conn", "celery.worker"])
def test_other_peoples_debug_lines_are_never_written(name: str) -> None:
    assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)


SET_UP = """
from django.conf import settings
from django.utils.log import configure_logging
configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
"""


def run(code: str, **environment: str) -> str:
    """What a process of ours that runs this code writes to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", SET_UP + code],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "formhub.settings.test", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr


def test_a_process_that_ends_by_an_exception_says_so_in_a_line() -> None:
    told = json.loads(run(f"raise ValueError('{ANSWER}')").splitlines()[-1])

    assert (told["level"], told["event"]) == ("critical", "ended by an exception")
    assert told["exception"]["type"] == "ValueError"


def test_lines_for_people_hold_the_same() -> None:
    code = f"""
import logging
from formhub.core import logs
with logs.context(request_id="r-1"):
    try:
        raise ValueError("{ANSWER}")
    except ValueError:
        logging.getLogger("apps.x").exception("it failed")
"""
    told = run(code, DJANGO_SETTINGS_MODULE="formhub.settings.local")

    assert "[error    ] it failed [apps.x] request_id=r-1" in told
    assert "\nValueError\n" in told
    assert NEEDLE not in told


def test_the_level_is_for_our_own_loggers() -> None:
    code = """
import logging
logging.getLogger("apps.x").debug("ours")
logging.getLogger("kafka.x").debug("theirs")
logging.getLogger("kafka.x").info("theirs")
"""
    assert [json.loads(line)["event"] for line in run(code, LOG_LEVEL="DEBUG").splitlines()] == ["ours"]


def test_a_handler_that_fails_prints_nothing_of_the_line() -> None:
    code = f"""
import logging
logging.getLogger().handlers[0].setFormatter(None)
logging.getLogger().handlers[0].format = lambda record: 1 / 0
logging.getLogger("apps.x").warning("%s", "{ANSWER}")
"""
    assert run(code) == ""
