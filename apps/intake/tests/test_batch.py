from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.test import Client

from apps.intake import batch, process
from apps.intake.attempt import Caller
from apps.intake.commit import Bounds, Committer
from apps.intake.gate.memory import MemoryStore
from apps.intake.parsing.reserved import Payload
from apps.intake.tests import outboxes
from apps.intake.tests.conftest import Forms
from apps.intake.tests.forms import a_form
from apps.intake.tests.test_submit import post, problem, stored
from apps.orgs import keys
from formhub.core.clock import ManualClock
from formhub.core.stream.base import Message, Outcome, StreamError
from formhub.core.stream.memory import MemoryPublisher, MemoryTopic

URL = "/api/v1/forms/k7m2qhx4w9tc/submissions/batch"
NDJSON = "application/x-ndjson"
CALLER = Caller(None, "192.0.2.1", "https://forms.example")

pytestmark = pytest.mark.urls("apps.intake.tests.urls")


def send(client: Client, lines: Sequence[Any], **headers: str) -> Any:
    body = b"".join((line if isinstance(line, bytes) else orjson.dumps(line)) + b"\n" for line in lines)
    return client.post(URL, body, content_type=NDJSON, headers=headers)


def answers(response: Any) -> list[dict[str, Any]]:
    assert (response.status_code, response["Content-Type"]) == (200, NDJSON)
    return [orjson.loads(line) for line in response.content.splitlines()]


def told(response: Any) -> list[str | int]:
    return [answer.get("code", answer["status"]) for answer in answers(response)]


def test_each_submission_is_answered_in_order_and_lies_in_the_log(client: Client, topic: MemoryTopic) -> None:
    found = answers(send(client, [{"name": "Ada", "age": "36", "_meta": {"source": "qr"}}, {"name": "Bob"}]))

    assert [answer["status"] for answer in found] == [202, 202]
    assert set(found[0]) == {"status", "id", "form", "version", "accepted_at", "status_url"}
    envelopes = stored(topic)
    assert [str(envelope.id) for envelope in envelopes] == [answer["id"] for answer in found]
    assert [envelope.answers for envelope in envelopes] == [{"name": "Ada", "age": 36}, {"name": "Bob"}]
    assert [envelope.meta for envelope in envelopes] == [{"source": "qr"}, {}]
    assert client.get(found[0]["status_url"]).status_code == 200


def test_an_array_is_answered_by_an_array(client: Client) -> None:
    response = client.post(URL, b'[{"name":"Ada"},{}]', content_type="application/json")

    assert response["Content-Type"] == "application/json"
    assert [answer["status"] for answer in response.json()] == [202, 422]


def test_whatever_is_wrong_with_one_touches_no_other(client: Client, topic: MemoryTopic) -> None:
    lines = [{"name": "Ada"}, {"age": 121}, b"{,}", {"name": "B", "_own": 1}, b"7", {"name": "Eve"}]
    response = send(client, lines)

    assert told(response) == [202, "answers_refused", "malformed_json", "invalid", "not_an_object", 202]
    refused = answers(response)
    assert {error["field"] for error in refused[1]["errors"]} == {"name", "age"}
    assert (refused[2]["status"], refused[2]["line"]) == (400, 3)
    assert [envelope.answers["name"] for envelope in stored(topic)] == ["Ada", "Eve"]


def test_a_closed_form_refuses_each_save_those_that_were_taken(client: Client, forms: Forms) -> None:
    first = answers(send(client, [{"name": "Ada", "_key": "k-1"}]))
    forms.put(closed=True, closed_text="We closed on Friday.")
    again = answers(send(client, [{"name": "Ada", "_key": "k-1"}, {"name": "Bob"}]))

    assert again[0] == first[0]
    assert (again[1]["status"], again[1]["detail"]) == (410, "We closed on Friday.")


class TestKeysOfSubmissions:
    def test_a_repetition_hears_the_same_and_is_stored_once(self, client: Client, topic: MemoryTopic) -> None:
        lines = [{"name": "Ada", "_key": "k-1"}, {"name": "Bob", "_key": "k-2"}]
        assert answers(send(client, lines)) == answers(send(client, lines))
        assert len(stored(topic)) == 2

    def test_it_is_the_key_of_a_single_submission_too(self, client: Client) -> None:
        alone = post(client, {"name": "Ada"}, Idempotency_Key="k-1").json()
        assert answers(send(client, [{"name": "Ada", "_key": "k-1"}])) == [{"status": 202, **alone}]

    def test_twice_in_one_batch_is_one_submission(self, client: Client, topic: MemoryTopic) -> None:
        line = {"name": "Ada", "_key": "k-1"}
        found = answers(send(client, [line, {"name": "Bob"}, line]))

        assert [answer["status"] for answer in found] == [202] * 3
        assert found[0] == found[2]
        assert len(stored(topic)) == 2
        assert answers(send(client, [line])) == found[:1]

    def test_with_other_answers_it_is_refused(self, client: Client, topic: MemoryTopic) -> None:
        lines = [{"name": "Ada", "_key": "k-1"}, {"name": "Bob", "_key": "k-1"}]
        assert told(send(client, lines)) == [202, "idempotency_key_reused"]
        assert told(send(client, lines[1:])) == ["idempotency_key_reused"]
        assert len(stored(topic)) == 1

    def test_a_refused_one_leaves_it_to_the_next(self, client: Client) -> None:
        assert told(send(client, [{"_key": "k-1"}, {"_key": "k-1"}, {"name": "Ada", "_key": "k-1"}])) == [
            "answers_refused",
            "answers_refused",
            202,
        ]

    def test_without_redis_the_same_holds(self, client: Client, gate: MemoryStore, topic: MemoryTopic) -> None:
        gate.broken = True
        line = {"name": "Ada", "_key": "k-1"}
        response = send(client, [line, line, {"name": "Bob", "_key": "k-1"}])

        assert told(response) == [202, 202, "idempotency_key_reused"]
        assert len(stored(topic)) == 1
        again = answers(send(client, [line]))
        assert again[0]["id"] == answers(response)[0]["id"]
        assert UUID(again[0]["id"]).version == 8

    def test_a_try_that_runs_elsewhere_is_told_so(self, client: Client, gate: MemoryStore) -> None:
        send(client, [{"name": "Ada", "_key": "k-1"}])
        (key, (record, until)) = gate.records.popitem()
        gate.records[key] = ("r" + record[1:65] + "somebody", until)
        (answer,) = answers(send(client, [{"name": "Ada", "_key": "k-1"}]))
        assert (answer["status"], answer["code"], answer["retry_after"]) == (409, "still_running", 1)

    def test_the_batch_itself_has_none(self, client: Client) -> None:
        body = problem(send(client, [{"name": "Ada"}], **{"Idempotency-Key": "k-1"}))
        assert (body["status"], body["errors"][0]["field"]) == (422, "Idempotency-Key")


class TestLimits:
    def test_each_submission_counts(self, client: Client, forms: Forms, topic: MemoryTopic) -> None:
        forms.put(rates={"per_address": "2/hour"})
        response = send(client, [{"name": "Ada"}, b"{", {"name": "Bob"}])

        assert told(response) == [202, "malformed_json", "rate_limited"]
        assert answers(response)[2]["retry_after"] > 0
        assert response["RateLimit"].startswith('"address";r=0;t=')
        assert len(stored(topic)) == 1

    def test_a_body_that_nobody_can_use_counts_once(self, client: Client, forms: Forms) -> None:
        forms.put(rates={"per_address": "2/hour"})
        codes = [client.post(URL, b"[", content_type="application/json").status_code for _ in range(3)]
        assert codes == [400, 400, 429]

    def test_submissions_and_bytes_are_bounded(self, client: Client, settings: Any, topic: MemoryTopic) -> None:
        settings.INTAKE_BATCH_ITEMS_MAX = 2
        assert problem(send(client, [{"name": "Ada"}] * 3))["code"] == "too_many_submissions"
        settings.INTAKE_BATCH_BYTES_MAX = 20
        assert problem(send(client, [{"name": "Ada"}] * 2))["code"] == "body_too_large"
        assert not stored(topic)

    def test_one_submission_is_bounded_as_when_it_comes_alone(self, client: Client, settings: Any) -> None:
        settings.INTAKE_BODY_BYTES_MAX = 1024
        assert told(send(client, [{"name": "x" * 2000}, {"name": "Ada"}])) == ["body_too_large", 202]


class TestCallers:
    def test_an_unknown_form_is_refused_as_a_whole(self, client: Client) -> None:
        response = client.post(URL.replace("k7m2qhx4w9tc", "nothing"), b"{}\n", content_type=NDJSON)
        assert problem(response)["code"] == "not_found"

    def test_a_form_may_require_a_key(self, client: Client, forms: Forms, monkeypatch: pytest.MonkeyPatch) -> None:
        forms.put(key_required=True)
        monkeypatch.setattr(keys, "grant", lambda token: None)
        assert problem(send(client, [{"name": "Ada"}]))["code"] == "key_required"
        assert problem(send(client, [{"name": "Ada"}], authorization="Bearer fh_live_x"))["code"] == "invalid_key"

    def test_other_sites_may_send_as_they_may_send_one(self, client: Client, forms: Forms) -> None:
        forms.put(allowed_origins=["https://site.example"])
        response = send(client, [{"name": "Ada"}], origin="https://site.example")
        assert response["Access-Control-Allow-Origin"] == "https://site.example"
        assert client.options(URL).status_code == 204


class Breaking(MemoryPublisher):
    """A broker that goes away after so many records."""

    def __init__(self, topic: MemoryTopic, after: int) -> None:
        super().__init__(topic)
        self.left = after

    def publish(self, messages: Sequence[Message], done: Callable[[list[Outcome]], None]) -> None:
        outcomes: list[Outcome] = []
        for message in messages:
            self.left -= 1
            outcomes.append(self.topic.append(message) if self.left >= 0 else StreamError("the broker went away"))
        done(outcomes)


class TestBrokerAway:
    @pytest.fixture
    def broken_after_three(self, client: Client, topic: MemoryTopic) -> Iterator[None]:
        before = process.committer.install(Committer(Breaking(topic, 3), Bounds(1000, 10_000_000, seconds=2)))
        yield
        process.committer.install(before).close(0)  # type: ignore[union-attr]

    @pytest.mark.usefixtures("broken_after_three")
    def test_in_the_middle_the_rest_goes_into_the_outbox_in_few_groups(
        self, client: Client, topic: MemoryTopic, outbox: outboxes.MemoryStore
    ) -> None:
        lines = [{"name": "Ada", "age": number, "_key": f"k-{number}"} for number in range(40)]
        found = answers(send(client, lines))

        assert [answer["status"] for answer in found] == [202] * 40
        assert [str(envelope.id) for envelope in stored(topic)] == [answer["id"] for answer in found[:3]]
        in_order = sorted(outbox.rows.values(), key=lambda row: row.accepted_at)
        assert [str(row.id) for row in in_order] == [answer["id"] for answer in found[3:]]
        assert outbox.groups < 20

    @pytest.mark.usefixtures("broken_after_three")
    def test_in_the_middle_with_the_outbox_away_what_the_log_has_is_accepted_and_the_rest_is_not(
        self, client: Client, topic: MemoryTopic, committer: Committer, outbox: outboxes.MemoryStore
    ) -> None:
        outbox.broken = True
        lines = [{"name": "Ada", "age": number, "_key": f"k-{number}"} for number in range(10)]
        first = answers(send(client, lines))

        assert [answer["status"] for answer in first] == [202] * 3 + [503] * 7
        assert {answer["retry_after"] for answer in first[3:]} == {2}
        assert [str(envelope.id) for envelope in stored(topic)] == [answer["id"] for answer in first[:3]]

        process.committer.install(committer)
        second = answers(send(client, lines))
        assert second[:3] == first[:3]
        assert [answer["status"] for answer in second] == [202] * 10
        assert [str(envelope.id) for envelope in stored(topic)] == [answer["id"] for answer in second]

    def test_the_same_key_twice_is_told_the_same_trouble(
        self, client: Client, topic: MemoryTopic, outbox: outboxes.MemoryStore
    ) -> None:
        topic.broken = outbox.broken = True
        line = {"name": "Ada", "_key": "k-1"}
        assert told(send(client, [line, line])) == ["not_stored", "not_stored"]


def test_what_takes_too_long_to_hand_over_is_refused_so_that_the_answer_comes_in_time(
    gate: MemoryStore, committer: Committer
) -> None:
    clock = ManualClock()

    def slow() -> Payload:
        clock.advance(batch.HAND_OVER_SECONDS / 2 + 0.1)
        return Payload({"name": "Ada"})

    found, _entry = batch.submit(a_form(), CALLER, [slow] * 4, clock)

    assert [answer.get("code", 202) for answer in found] == [202, 202, "not_reached", "not_reached"]
