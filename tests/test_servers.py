"""One contract for three ways in: Django's test client, WSGI and RSGI answer every request alike.

The servers are real ones with the same database, log and Redis. What names a moment, an id or a token is blotted out;
everything else has to be equal, headers included.
"""

import json
import re
import secrets
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from apps.console import samples
from apps.forms import published
from apps.intake import process
from apps.orgs import keys
from apps.orgs.models import Organization
from bench.installation import granian
from bench.load import students
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.process import Process, answers, free_port
from deploy.local.valkey import Valkey
from formhub.core.stream.kafka import TopicSettings, ensure_topic
from tests.stack import ROOT
from tests.topic import envelopes

pytestmark = [pytest.mark.services, pytest.mark.django_db]
SERVERS = ("wsgi", "rsgi")
PARTITIONS = 6  # as in the settings for tests
HOST = ("Host", "testserver")
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
GOOD = json.dumps(next(students(7))).encode()
BODY_SECONDS = 2
LARGE = 3 * 1024 * 1024
PAGE = urlencode({"_key": "page-2", **next(students(7))}).encode()

# Of the site's way alone: a submission's answer depends on no language.
OF_THE_SITE = {"content-language", "vary"}
OF_THE_SERVER = {
    "date", "server", "connection", "transfer-encoding", "content-length", "x-request-id", "set-cookie",
    "expires",
}  # fmt: skip
_BLOTS = (
    (re.compile(r"\b[0-9a-f]{32}\b|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "<moment>"),
    (re.compile(r"(/r/|receipt=)[\w.-]+"), r"\1<receipt>"),
    (re.compile(r"127\.0\.0\.1:\d+|testserver"), "<host>"),
    (re.compile(r'name="(_key|csrfmiddlewaretoken)" value="[^"]+"'), r'name="\1"'),
    (re.compile(r"nonce[=-]\"?[\w+/=-]+"), "nonce"),
    (re.compile(r";r=\d+;t=\d+"), ";r;t"),
)


@dataclass(frozen=True)
class World:
    form: str
    closed: str
    token: str


@dataclass(frozen=True)
class Sent:
    """`{form}`, `{closed}` and `{token}` stand for the world's."""

    method: str
    path: str
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str = field(repr=False)


@pytest.fixture(scope="module")
def topic(kafka_service: Kafka) -> str:
    name = f"servers-{secrets.token_hex(4)}"
    ensure_topic([kafka_service.url], name, TopicSettings(PARTITIONS, 1, 1, 1), seconds=60)
    return name


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker, topic: str) -> Iterator[World]:
    """Committed, so that other processes see it too."""
    with django_db_blocker.unblock():
        before, settings.SUBMISSIONS_TOPIC = settings.SUBMISSIONS_TOPIC, topic
        organization = samples.organization("Servers", "servers")
        form, closed = (samples.student_form(organization, slug, slug) for slug in ("open", "closed"))
        closed.closed_at = timezone.now()
        closed.save()
        _, token = keys.create(organization=organization, name="Servers", scopes=["submit", "read"])
        yield World(form.public_id, closed.public_id, token)
        settings.SUBMISSIONS_TOPIC = before
        process.close(1)
        Organization.objects.filter(pk=organization.pk).delete()
        published.clear()


@pytest.fixture(scope="module")
def ports(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_service: Postgres,
    valkey_service: Valkey,
    kafka_service: Kafka,
    topic: str,
    world: World,
) -> Iterator[Mapping[str, int]]:
    folder = tmp_path_factory.mktemp("servers")
    environment = {
        "DJANGO_SETTINGS_MODULE": "formhub.settings.test",
        "DATABASE_URL": f"{postgres_service.url.rpartition('/')[0]}/{connection.settings_dict['NAME']}",
        "REDIS_URL": settings.REDIS_URL,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_service.url,
        "SUBMISSIONS_TOPIC": topic,
        "WEB_BODY_SECONDS": str(BODY_SECONDS),
    }
    running: dict[str, Process] = {}
    ports = {server: free_port() for server in SERVERS}
    try:
        for server, port in ports.items():
            command = granian(server, f"formhub.{server}:application", port, workers=1)
            log = folder / f"{server}.log"
            ready = partial(answers, port)
            running[server] = Process(server, command, log, ready, cwd=ROOT, environment=environment)
            running[server].start()
        yield ports
    finally:
        for process_ in running.values():
            process_.stop()


def filled(sent: Sent, world: World) -> Sent:
    def fill(text: str) -> str:
        return text.format(form=world.form, closed=world.closed, token=world.token)

    return Sent(sent.method, fill(sent.path), sent.body, [(name, fill(value)) for name, value in sent.headers])


def ask(port: int, sent: Sent) -> Answer:
    """As it is written: no header is added save those of length and host."""
    link = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        link.putrequest(sent.method, sent.path, skip_host=True, skip_accept_encoding=True)
        for name, value in (HOST, *sent.headers):
            link.putheader(name, value)
        if sent.body:
            link.putheader("Content-Length", str(len(sent.body)))
        link.endheaders()
        # A server that refuses a body by its length answers, and closes, before it was sent whole.
        with suppress(BrokenPipeError, ConnectionResetError):
            link.send(sent.body)
        return answer_of(link.getresponse())
    finally:
        link.close()


def ask_in_place(sent: Sent) -> Answer:
    extra = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in sent.headers if name != "Content-Type"}
    kind = dict(sent.headers).get("Content-Type", "")
    if sent.body or kind:
        extra |= {"CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(sent.body))}
    client: Any = Client(enforce_csrf_checks=True, raise_request_exception=False)
    found = client.generic(sent.method, sent.path, sent.body, kind, **extra)
    body = b"".join(found) if found.streaming else found.content
    return told(found.status_code, list(found.items()), body)


def answer_of(found: HTTPResponse) -> Answer:
    return told(found.status, found.getheaders(), found.read())


def told(status: int, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
    kept = {name.lower(): blotted(value) for name, value in headers if name.lower() not in OF_THE_SERVER}
    if policy := kept.get("content-security-policy"):
        kept["content-security-policy"] = "; ".join(sorted(policy.split("; ")))  # each process has an order of its own
    return Answer(status, kept, blotted(body.decode(errors="replace")))


def blotted(text: str) -> str:
    for pattern, blot in _BLOTS:
        text = pattern.sub(blot, text)
    return text


def submissions(*headers: tuple[str, str], body: bytes = GOOD, form: str = "{form}", method: str = "POST") -> Sent:
    return Sent(method, f"/api/v1/forms/{form}/submissions", body, headers)


KEY = ("Idempotency-Key", "contract-1")
CASES = {
    "a submission": submissions(JSON),
    "a submission with an API key": submissions(JSON, ("Authorization", "Bearer {token}")),
    "an unknown API key": submissions(JSON, ("Authorization", "Bearer fh_live_unknown")),
    "a submission sent before under its idempotency key": submissions(JSON, KEY),
    "that key with other answers": submissions(JSON, KEY, body=b'{"student_name": "Other"}'),
    "an urlencoded form": submissions(FORM, body=b"student_name=A&university=&_locale=en"),
    "a form that wants a page": submissions(FORM, ("Accept", "text/html"), body=b"student_name=A"),
    "no body": submissions(JSON, body=b""),
    "no content type": submissions(),
    "a body that is no JSON": submissions(JSON, body=b'{"a": 1'),
    "text that is no UTF-8": submissions(JSON, body=b'{"a": "\xff"}'),
    "a compressed body": submissions(JSON, ("Content-Encoding", "gzip")),
    "a body of 100 kB": submissions(JSON, body=json.dumps({"student_name": "x" * 100_000}).encode()),
    "a body beyond the cap": submissions(JSON, body=b"x" * LARGE),
    "an unknown form": submissions(JSON, form="nosuchform99"),
    "a form's name with a NUL": submissions(JSON, form="a%00b"),
    "a form's name that is no UTF-8": submissions(JSON, form="%ff"),
    "a closed form": submissions(JSON, form="{closed}"),
    "a preflight": submissions(("Origin", "https://site.example"), body=b"", method="OPTIONS"),
    "answers asked for without a key": submissions(body=b"", method="GET"),
    "answers asked for with one": submissions(("Authorization", "Bearer {token}"), body=b"", method="GET"),
    "a method that is not taken": submissions(JSON, method="PATCH"),
    "a method that nobody knows": submissions(JSON, method="BREW"),
    "a batch": Sent("POST", "/api/v1/forms/{form}/submissions/batch", b"[" + GOOD + b',{"student_name": 1}]', (JSON,)),
    "a header twice": submissions(JSON, ("Accept", "text/html"), ("Accept", "application/json")),
    "the hosted page": Sent("GET", "/f/{form}/"),
    "its head alone": Sent("HEAD", "/f/{form}/"),
    "the hosted page, filled in badly": Sent("POST", "/f/{form}/", b"_key=page-1", (FORM,)),
    "the hosted page, filled in": Sent("POST", "/f/{form}/", PAGE, (FORM,)),
    "the hosted page, inside another page": Sent("POST", "/f/{form}/?embed=1&lang=de", PAGE, (FORM,)),
    "the hosted page in German, filled in badly": Sent("POST", "/f/{form}/", b"", (FORM, ("Accept-Language", "de"))),
    "a method that the page does not take": Sent("PUT", "/f/{form}/", PAGE, (FORM,)),
    "a body that the page does not take": Sent("POST", "/f/{form}/", GOOD, (JSON,)),
    "the page of no form, sent": Sent("POST", "/f/nosuchform99/", PAGE, (FORM, ("Accept-Language", "de"))),
    "the page of a closed form": Sent("GET", "/f/{closed}/"),
    "the page of a closed form, sent": Sent("POST", "/f/{closed}/", PAGE, (FORM,)),
    "a page that is not there": Sent("GET", "/nowhere/"),
    "an API address that is not there": Sent("GET", "/api/v1/nowhere"),
    "a path with signs": Sent("GET", "/f/%C3%A9%20b/?q=%20a&b=%c3"),
    "a double slash": Sent("GET", "//admin//"),
    "a page that asks for a sign-in": Sent("GET", "/admin/"),
    "the sign-in": Sent("GET", "/admin/login/", b"", (("Cookie", "a=1"), ("Cookie", "b=2"))),
    "a sign-in without its token": Sent("POST", "/admin/login/", b"username=a&password=b", (FORM,)),
    "a static file": Sent("GET", "/static/formhub/formhub.css"),
    "part of a static file": Sent("GET", "/static/formhub/formhub.css", b"", (("Range", "bytes=0-9"),)),
    "whether it lives": Sent("GET", "/livez"),
    "the API's description": Sent("GET", "/api/v1/openapi.json"),
    "a host that is not ours": Sent("GET", "/livez", b"", (("X-Forwarded-Host", "evil.example"),)),
}


@pytest.mark.parametrize("name", CASES)
def test_every_server_answers_alike(name: str, world: World, ports: Mapping[str, int]) -> None:
    sent = filled(CASES[name], world)
    if KEY in sent.headers:
        ask(ports["wsgi"], filled(submissions(JSON, KEY), world))
    by_wsgi, by_rsgi = ask(ports["wsgi"], sent), ask(ports["rsgi"], sent)
    assert not apart(by_wsgi, by_rsgi)
    assert not apart(by_wsgi, ask_in_place(sent), OF_THE_SITE)


def apart(one: Answer, other: Answer, whatever: Collection[str] = ()) -> list[tuple[str, object, object]]:
    """Where two answers differ, apart from `whatever` headers."""
    found: list[tuple[str, object, object]] = []
    if one.status != other.status:
        found.append(("status", one.status, other.status))
    names = (one.headers.keys() | other.headers.keys()) - set(whatever)
    pairs = [(name, one.headers.get(name), other.headers.get(name)) for name in sorted(names)]
    found += [pair for pair in pairs if pair[1] != pair[2]]
    if one.body != other.body:
        found.append(("body", one.body[:500], other.body[:500]))
    return found


@pytest.mark.parametrize("server", SERVERS)
class TestConnections:
    def test_requests_one_after_the_other_on_one_connection(
        self, server: str, world: World, ports: Mapping[str, int]
    ) -> None:
        with requests.Session() as session:
            url = f"http://127.0.0.1:{ports[server]}/api/v1/forms/{world.form}/submissions"
            statuses = [session.post(url, data=GOOD, headers=dict([JSON])).status_code for _ in range(20)]
        assert statuses == [202] * 20

    def test_requests_sent_before_the_first_answer(self, server: str, world: World, ports: Mapping[str, int]) -> None:
        with socket.create_connection(("127.0.0.1", ports[server]), 20) as link:
            link.sendall(3 * raw(world, GOOD, len(GOOD)))
            received = b""
            while received.count(b"HTTP/1.1 202") < 3:
                piece = link.recv(65536)
                assert piece, received
                received += piece

    def test_a_caller_who_waits_for_leave_to_send_gets_it(
        self, server: str, world: World, ports: Mapping[str, int]
    ) -> None:
        with socket.create_connection(("127.0.0.1", ports[server]), 20) as link:
            link.sendall(raw(world, b"", len(GOOD), "Expect: 100-continue"))
            assert link.recv(1000).startswith(b"HTTP/1.1 100")
            link.sendall(GOOD)
            assert b" 202 " in link.recv(65536).splitlines()[0] + b" "

    def test_a_caller_who_leaves_in_the_middle_harms_nobody(
        self, server: str, world: World, ports: Mapping[str, int]
    ) -> None:
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", ports[server]), 20) as link:
                link.sendall(raw(world, GOOD[:40], len(GOOD)))
            with socket.create_connection(("127.0.0.1", ports[server]), 20) as link:
                link.sendall(raw(world, GOOD, len(GOOD)))
        assert ask(ports[server], filled(CASES["a submission"], world)).status == 202


def test_a_caller_finds_his_order_in_the_log_though_several_processes_take_what_he_sends(
    world: World, ports: Mapping[str, int], topic: str, kafka_service: Kafka
) -> None:
    """Each sends on to the next process once he has his answer; all of them to one form."""

    def call(caller: int) -> list[str]:
        numbers = [str(10_000 + number) for number in range(60)]
        for turn, number in enumerate(numbers):
            body = json.dumps({**json.loads(GOOD), "name": f"Caller {caller}", "roll": number}).encode()
            answer = ask(ports[SERVERS[turn % 2]], filled(submissions(JSON, body=body), world))
            assert answer.status == 202
        return numbers

    with ThreadPoolExecutor(6) as callers:
        sent = dict(enumerate(callers.map(call, range(6))))
    found = [envelope.answers for envelope in envelopes(kafka_service.url, topic)]

    for caller, numbers in sent.items():
        assert [each["roll"] for each in found if each["name"] == f"Caller {caller}"] == numbers


class TestSlowSenders:
    """Behind RSGI alone: WSGI servers read a body as the view does, in its thread."""

    def test_they_are_answered_in_the_end_and_hold_nobody_up(self, world: World, ports: Mapping[str, int]) -> None:
        links = [socket.create_connection(("127.0.0.1", ports["rsgi"]), 20) for _ in range(100)]
        try:
            for link in links[::2]:
                link.sendall(raw(world, GOOD[:40], len(GOOD)))
            for link in links[1::2]:
                link.sendall(raw(world, b"x", LARGE // 4, path="/admin/login/"))
            assert ask(ports["rsgi"], filled(CASES["a submission"], world)).status == 202
            assert ask(ports["rsgi"], filled(CASES["the sign-in"], world)).status == 200

            for link in links:
                assert link.recv(65536).startswith(b"HTTP/1.1 408")
        finally:
            for link in links:
                link.close()


class TestHeaders:
    def test_one_with_underscores_does_not_pass_for_one_with_dashes(
        self, world: World, ports: Mapping[str, int]
    ) -> None:
        """A proxy checks X-Request-ID, say, and knows nothing of X_Request_ID."""
        link = HTTPConnection("127.0.0.1", ports["rsgi"], timeout=20)
        link.request("GET", "/livez", headers={"X_Request_ID": "somebody-elses"})
        assert link.getresponse().headers["X-Request-ID"] != "somebody-elses"
        link.close()


def raw(world: World, body: bytes, length: int, *lines: str, path: str = "") -> bytes:
    path = path or f"/api/v1/forms/{world.form}/submissions"
    head = (f"POST {path} HTTP/1.1", "Host: testserver", "Content-Type: application/json", f"Content-Length: {length}")
    return "\r\n".join((*head, *lines, "", "")).encode() + body
