import dataclasses
import threading
import time
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.test import Client
from django.utils.dateparse import parse_datetime
from prometheus_client import REGISTRY

from apps.intake import receipts
from apps.intake.commit import Committer
from apps.intake.gate.memory import MemoryStore
from apps.intake.tests import outboxes
from apps.intake.tests.conftest import Forms
from apps.intake.tests.forms import FORM, ORGANIZATION
from apps.orgs import keys
from apps.orgs.keys import KeyGrant
from formhub.core.envelope import Envelope, decode
from formhub.core.stream.memory import MemoryTopic

URL = "/api/v1/forms/k7m2qhx4w9tc/submissions"
GOOD = {"name": "Ada", "age": 36}
BROWSER = {"accept": "text/html,application/xhtml+xml", "origin": "https://site.example"}
PROBLEM = "application/problem+json"

pytestmark = pytest.mark.urls("apps.intake.tests.urls")


def post(client: Client, answers: Any = GOOD, url: str = URL, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(url, orjson.dumps(answers), content_type="application/json", headers=named)


def post_form(client: Client, body: str, **headers: str) -> Any:
    return client.post(URL, body, content_type="application/x-www-form-urlencoded", headers=headers)


def stored(topic: MemoryTopic) -> list[Envelope]:
    return [decode(record.value, record.headers) for record in topic.records()]


def door(name: str) -> float:
    """How many were accepted through it."""
    return REGISTRY.get_sample_value("formhub_intake_accepted_total", {"door": name}) or 0.0


def eventually_taken(client: Client) -> None:
    """Both breakers let one try through now and then."""
    until = time.monotonic() + 20
    while post(client, Idempotency_Key="k-1").status_code != 202:
        assert time.monotonic() < until
        time.sleep(0.05)


def problem(response: Any) -> dict[str, Any]:
    assert response["Content-Type"] == PROBLEM
    body: dict[str, Any] = orjson.loads(response.content)
    assert body["status"] == response.status_code
    return body


def test_a_202_means_that_the_log_has_the_clean_answers(client: Client, topic: MemoryTopic) -> None:
    response = post(client, {"name": "Ada", "age": "36", "_meta": {"source": "qr"}, "_locale": "de"})
    body = response.json()

    assert response.status_code == 202
    assert set(body) == {"id", "form", "version", "accepted_at", "status_url"}
    assert (body["form"], body["version"]) == ("k7m2qhx4w9tc", 3)
    assert response["Location"] == body["status_url"]
    (envelope,) = stored(topic)
    assert (str(envelope.id), envelope.accepted_at) == (body["id"], parse_datetime(body["accepted_at"]))
    assert (envelope.form, envelope.organization, envelope.version) == (FORM, ORGANIZATION, 3)
    assert envelope.answers == {"name": "Ada", "age": 36}
    assert envelope.meta == {"source": "qr", "locale": "de"}
    assert topic.records()[0].key == str(FORM).encode()


def test_the_status_url_is_a_receipt_for_this_submission(client: Client) -> None:
    body = post(client).json()
    assert body["status_url"].startswith("http://testserver/r/")

    receipt = receipts.read(body["status_url"].split("/")[-2])
    assert (str(receipt.id), receipt.form) == (body["id"], FORM)
    assert client.get(body["status_url"]).status_code == 200


def test_a_form_is_found_by_organization_and_name(client: Client) -> None:
    assert post(client, url="/api/v1/forms/acme~student-data/submissions").status_code == 202


@pytest.mark.usefixtures("client")
def test_nothing_about_a_visitor_is_set_or_asked() -> None:
    response = post(Client(enforce_csrf_checks=True))
    assert response.status_code == 202
    assert "Set-Cookie" not in response
    assert not response.cookies


def test_every_wrong_answer_is_named_at_once(client: Client, topic: MemoryTopic) -> None:
    body = problem(post(client, {"age": 121, "colour": "red"}))

    assert (body["status"], body["code"]) == (422, "answers_refused")
    assert {error["field"]: error["code"] for error in body["errors"]} == {
        "name": "required",
        "age": "max_value",
        "colour": "unknown_field",
    }
    assert not topic.records()


def test_an_unreadable_body_is_refused_with_its_place(client: Client) -> None:
    response = client.post(URL, b'{"name": "Ada",}', content_type="application/json")
    body = problem(response)
    assert body.pop("request_id") == response["X-Request-ID"]
    assert body == {
        "type": "about:blank",
        "title": "The request could not be read",
        "status": 400,
        "detail": "The body is not valid JSON: trailing comma is not allowed.",
        "code": "malformed_json",
        "line": 1,
        "column": 15,
        "byte": 14,
    }


def test_an_unknown_form_answers_404(client: Client) -> None:
    assert problem(post(client, url="/api/v1/forms/nothing/submissions"))["code"] == "not_found"


def test_a_closed_form_answers_410_with_its_owners_text(client: Client, forms: Forms) -> None:
    forms.put(closed=True, closed_text="We closed on Friday.")
    body = problem(post(client))
    assert (body["status"], body["detail"]) == (410, "We closed on Friday.")


def test_the_other_methods_are_named_as_not_taken(client: Client) -> None:
    response = client.put(URL, b"{}", content_type="application/json")
    assert response.status_code == 405


class TestIdempotency:
    def test_a_repetition_hears_the_same_and_is_stored_once(self, client: Client, topic: MemoryTopic) -> None:
        first = post(client, Idempotency_Key="k-1")
        second = post(client, dict(reversed(GOOD.items())), Idempotency_Key="k-1")

        assert (first.status_code, second.status_code) == (202, 202)
        assert second.json() == first.json()
        assert second["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first
        assert len(topic.records()) == 1

    def test_whoever_was_accepted_hears_so_again_after_the_form_closed(self, client: Client, forms: Forms) -> None:
        first = post(client, Idempotency_Key="k-1")
        forms.put(closed=True)
        assert post(client, Idempotency_Key="k-1").json() == first.json()

    def test_other_answers_under_the_key_are_refused(self, client: Client, topic: MemoryTopic) -> None:
        post(client, Idempotency_Key="k-1")
        body = problem(post(client, {"name": "Bob"}, Idempotency_Key="k-1"))

        assert (body["status"], body["code"]) == (422, "idempotency_key_reused")
        assert len(topic.records()) == 1

    def test_a_refused_try_leaves_the_key_free(self, client: Client) -> None:
        assert post(client, {}, Idempotency_Key="k-1").status_code == 422
        assert post(client, GOOD, Idempotency_Key="k-1").status_code == 202

    def test_a_running_try_answers_409(self, client: Client, gate: MemoryStore) -> None:
        post(client, Idempotency_Key="k-1")
        (key, (record, until)) = gate.records.popitem()
        gate.records[key] = ("r" + record[1:65] + "somebody", until)
        response = post(client, Idempotency_Key="k-1")

        assert problem(response)["code"] == "still_running"
        assert response["Retry-After"] == "1"

    def test_without_redis_a_repetition_gets_the_same_id(
        self, client: Client, gate: MemoryStore, topic: MemoryTopic
    ) -> None:
        gate.broken = True
        ids = {post(client, Idempotency_Key="k-1").json()["id"] for _ in range(2)}
        other = post(client, {"name": "Bob"}, Idempotency_Key="k-1").json()["id"]

        assert len(ids) == 1
        assert other not in ids
        assert UUID(other).version == 8
        assert len(topic.records()) == 3

    def test_the_same_key_from_many_threads_is_stored_once(self, client: Client, topic: MemoryTopic) -> None:
        answers: list[Any] = []
        threads = [
            threading.Thread(target=lambda: answers.append(post(Client(), Idempotency_Key="k-1"))) for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(topic.records()) == 1
        assert {answer.status_code for answer in answers} <= {202, 409}
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
        assert post(client, Idempotency_Key="k-1").json()["id"] == str(stored(topic)[0].id)


class TestLimits:
    def test_the_caller_is_told_of_the_limit_and_refused_over_it(self, client: Client, forms: Forms) -> None:
        forms.put(rates={"per_address": "2/hour"})
        first, _, third = [post(client) for _ in range(3)]

        assert first["RateLimit-Policy"] == '"address";q=2;w=3600'
        assert first["RateLimit"].startswith('"address";r=1;t=')
        assert problem(third)["code"] == "rate_limited"
        assert int(third["Retry-After"]) > 0
        assert third["RateLimit"].startswith('"address";r=0;t=')

    def test_unusable_bodies_count_as_well(self, client: Client, forms: Forms) -> None:
        forms.put(rates={"per_address": "2/hour"})
        codes = [client.post(URL, b"{", content_type="application/json").status_code for _ in range(3)]
        assert codes == [400, 400, 429]

    def test_another_address_has_its_own(self, client: Client, forms: Forms) -> None:
        forms.put(rates={"per_address": "1/hour"})
        post(client)
        other = client.post(URL, orjson.dumps(GOOD), content_type="application/json", REMOTE_ADDR="192.0.2.7")
        assert other.status_code == 202

    def test_a_rate_that_cannot_be_read_does_not_close_the_form(self, client: Client, forms: Forms) -> None:
        forms.put(rates={"per_address": "often"})
        assert post(client)["RateLimit-Policy"] == '"address";q=60;w=60'

    def test_a_forms_own_limit_holds_for_all(self, client: Client, forms: Forms) -> None:
        forms.put(rates={"per_form": "1/hour"})
        post(client)
        other = client.post(URL, orjson.dumps(GOOD), content_type="application/json", REMOTE_ADDR="192.0.2.7")
        assert problem(other)["detail"].startswith("Too many submissions from all callers to this form")

    def test_without_redis_submissions_go_on(self, client: Client, gate: MemoryStore, forms: Forms) -> None:
        forms.put(rates={"per_address": "1/hour"})
        gate.broken = True
        answers = [post(client) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202] * 3
        assert "RateLimit" not in answers[0]


class TestKeys:
    @pytest.fixture(autouse=True)
    def known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        every = frozenset({"submit", "read"})
        known = {
            "fh_live_good": KeyGrant(1, ORGANIZATION, frozenset({"submit"}), None, None),
            "fh_live_reads": KeyGrant(2, ORGANIZATION, every, FORM, None),
            "fh_live_only_reads": KeyGrant(3, ORGANIZATION, frozenset({"read"}), None, None),
            "fh_live_other_form": KeyGrant(4, ORGANIZATION, every, ORGANIZATION, None),
            "fh_live_foreign": KeyGrant(5, FORM, every, None, None),
        }
        monkeypatch.setattr(keys, "grant", known.get)

    @pytest.mark.parametrize(
        ("token", "status", "code"),
        [
            ("fh_live_unknown", 401, "invalid_key"),
            ("fh_live_only_reads", 403, "key_not_allowed"),
            ("fh_live_other_form", 403, "key_not_allowed"),
            ("fh_live_foreign", 404, "not_found"),
        ],
    )
    def test_a_key_without_the_right_is_refused(self, client: Client, token: str, status: int, code: str) -> None:
        response = post(client, Authorization=f"Bearer {token}")
        assert (response.status_code, problem(response)["code"]) == (status, code)

    def test_a_form_may_require_a_key(self, client: Client, forms: Forms) -> None:
        forms.put(key_required=True)
        refused = post(client)
        assert problem(refused)["code"] == "key_required"
        assert refused["WWW-Authenticate"] == "Bearer"
        assert post(client, Authorization="Bearer fh_live_good").status_code == 202

    def test_a_key_has_its_own_limit_in_place_of_the_address(self, client: Client, forms: Forms) -> None:
        forms.put(rates={"per_address": "1/hour", "per_key": "5/hour"})
        answers = [post(client, Authorization="Bearer fh_live_good") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert answers[0]["RateLimit-Policy"] == '"key";q=5;w=3600'

    def test_a_key_that_may_read_is_shown_the_submission_itself(self, client: Client) -> None:
        body = post(client, Authorization="Bearer fh_live_reads").json()
        assert body["status_url"] == f"http://testserver{URL}/{body['id']}"


class TestBrowsers:
    def test_any_site_may_read_the_answer(self, client: Client) -> None:
        for response in (post(client, **BROWSER), post(client, {}, **BROWSER)):
            assert response["Access-Control-Allow-Origin"] == "*"
            assert "Retry-After" in response["Access-Control-Expose-Headers"]

    @pytest.mark.parametrize(
        ("origin", "allowed"),
        [
            ("https://site.example", True),
            ("https://SITE.example:443", True),
            ("https://site.example:444", False),
            ("http://site.example", False),
            ("https://site.example.evil", False),
            ("null", False),
        ],
    )
    def test_only_listed_sites_may_if_the_form_lists_any(
        self, client: Client, forms: Forms, origin: str, allowed: bool
    ) -> None:
        forms.put(allowed_origins=["https://site.example"])
        response = post(client, origin=origin)

        assert response.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        assert "Origin" in response["Vary"]

    def test_a_preflight_is_answered(self, client: Client) -> None:
        response = client.options(URL, headers={"origin": "https://site.example"})
        assert response.status_code == 204
        assert "Idempotency-Key" in response["Access-Control-Allow-Headers"]
        assert "POST" in response["Access-Control-Allow-Methods"]
        assert response["Access-Control-Allow-Origin"] == "*"

    def test_a_plain_form_is_sent_on_to_the_ending(self, client: Client, topic: MemoryTopic) -> None:
        response = post_form(client, "name=Ada&age=36", **BROWSER)

        assert response.status_code == 303
        assert b"Your answers were received" in client.get(response["Location"]).content
        assert stored(topic)[0].answers == GOOD

    def test_a_script_that_sends_a_form_gets_json(self, client: Client) -> None:
        assert post_form(client, "name=Ada", accept="*/*").json()["version"] == 3

    def test_a_form_goes_on_to_a_listed_page(self, client: Client, forms: Forms) -> None:
        forms.put(allowed_origins=["https://site.example"])
        response = post_form(client, "name=Ada&_next=https%3A%2F%2Fsite.example%2Fthanks%3Fa%3D1", **BROWSER)
        assert response["Location"] == "https://site.example/thanks?a=1"

    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example/",
            "//evil.example",
            "\\\\evil.example",
            "https://site.example@evil.example/",
            "https://site.example\\@evil.example/",
            "https://evil.example\\.site.example",
            "https:/\\evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "https://site.example\t.evil.example/",
            "\nhttps://site.example/",
            "https://site.example.evil.example/",
            "http://site.example/",
            "https://sité.example/",
            "https://[",
            "/thanks",
            "",
        ],
    )
    def test_a_form_goes_nowhere_else(self, client: Client, forms: Forms, target: str) -> None:
        forms.put(allowed_origins=["https://site.example"])
        response = client.post(URL, {"name": "Ada", "_next": target}, headers=BROWSER)

        assert response.status_code == 303
        assert response["Location"].startswith("http://testserver/f/k7m2qhx4w9tc/done/")


class TestBrokerAway:
    def test_the_outbox_takes_the_same_submission_and_marks_it_late(
        self, client: Client, topic: MemoryTopic, outbox: outboxes.MemoryStore
    ) -> None:
        before = door("outbox")
        topic.broken = True
        body = post(client, Idempotency_Key="k-1").json()

        (row,) = outbox.rows.values()
        envelope = decode(row.value, row.headers)
        assert (str(row.id), str(envelope.id)) == (body["id"], body["id"])
        assert row.accepted_at == envelope.accepted_at == parse_datetime(body["accepted_at"])
        assert (envelope.late, envelope.answers) == (True, GOOD)
        assert not topic.records()
        assert door("outbox") - before == 1

    def test_a_repeat_hears_the_same_once_the_log_is_back(
        self, client: Client, topic: MemoryTopic, outbox: outboxes.MemoryStore
    ) -> None:
        topic.broken = True
        first = post(client, Idempotency_Key="k-1")
        topic.broken = False
        second = post(client, Idempotency_Key="k-1")

        assert second.json() == first.json()
        assert (len(outbox.rows), topic.records()) == (1, [])

    def test_with_the_outbox_away_too_nothing_is_accepted_and_the_key_stays_free(
        self, client: Client, topic: MemoryTopic, outbox: outboxes.MemoryStore
    ) -> None:
        topic.broken = outbox.broken = True
        answers = [post(client, Idempotency_Key="k-1") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [503] * 3
        assert problem(answers[0])["code"] == "not_stored"
        assert int(answers[0]["Retry-After"]) > 0
        assert not topic.records()
        outbox.broken = False
        eventually_taken(client)

    def test_a_full_outbox_says_try_again(
        self, client: Client, topic: MemoryTopic, outbox: outboxes.MemoryStore
    ) -> None:
        topic.broken, outbox.rows_max = True, 2
        codes = [post(client).status_code for _ in range(4)]

        assert codes == [202, 202, 503, 503]
        assert len(outbox.rows) == 2

    def test_a_process_that_is_full_says_nothing_against_the_log(
        self, client: Client, outbox: outboxes.MemoryStore, committer: Committer
    ) -> None:
        committer.bounds = dataclasses.replace(committer.bounds, items=0)
        answer = post(client)

        assert problem(answer)["code"] == "not_stored"
        assert not outbox.rows

    def test_a_submission_the_log_cannot_hold_is_refused(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("formhub.core.envelope.MAX_ENVELOPE_BYTES", 100)
        body = problem(post(client))
        assert (body["status"], body["code"]) == (413, "submission_too_large")
