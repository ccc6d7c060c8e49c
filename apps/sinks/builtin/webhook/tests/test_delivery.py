"""Each submission is posted under its own id, signed, at least once and not more often than it has to be."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from apps.sinks import egress
from apps.sinks.builtin.webhook import sink as sinks
from apps.sinks.builtin.webhook.signing import make_secret, signed
from apps.sinks.builtin.webhook.tests.conftest import Post
from apps.sinks.conformance import FORM, make_submission
from apps.sinks.contract import (
    AmbiguousError,
    BackpressureError,
    ConfigurationError,
    Context,
    DeliveryError,
    PermanentError,
    RetryableError,
    Sink,
)
from apps.sinks.http_conformance import HttpSinkConformance
from apps.sinks.tests.receiver import Call, Receiver, Step, Taken, answering, hanging, resetting
from formhub.core.ids import uuid7

pytestmark = pytest.mark.services
SECRET = make_secret()


class TestConformance(HttpSinkConformance):
    settings: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(egress, "READ_SECONDS", 0.3)

    def make_sink(self, context: Context) -> Sink:
        base = {"url": self.service.url, "version": "1", "secret": SECRET, "headers": "Authorization: Bearer abc"}
        return sinks.Webhook(base | self.settings, context)


class TestConformanceOfSeveral(TestConformance):
    settings: ClassVar[dict[str, Any]] = {"several": True}


class TestConformanceWithoutAnswers(TestConformance):
    settings: ClassVar[dict[str, Any]] = {"thin": True}


def verified(call: Taken, secret: str) -> object:
    return Verifier(secret).verify(call.body, dict(call.headers.items()))


def ids_of(receiver: Receiver) -> list[str]:
    return [call.headers["webhook-id"] for call in receiver.calls]


def test_a_submission_is_posted_in_the_frozen_shape_of_version_1(post: Post) -> None:
    submission = make_submission(7)

    post.deliver(post.batch(post.part(submission)))

    assert post.receiver.calls[0].json() == {
        "type": "submission.created",
        "version": 1,
        "timestamp": "2026-01-01T12:00:07.000000Z",
        "data": {
            "id": str(submission.id),
            "form": {"id": str(FORM), "title": "A form"},
            "form_version": 1,
            "accepted_at": "2026-01-01T12:00:07.000000Z",
            "position": 7,
            "link": f"https://forms.example/s/{submission.id}/",
            "answers": {"name": "Ada 7", "count": 7},
        },
    }


def test_without_answers_only_ids_and_the_link_are_sent(post: Post) -> None:
    submission = make_submission(7)

    post.deliver(post.batch(post.part(submission, thin=True)))

    assert post.receiver.calls[0].json()["data"] == {
        "id": str(submission.id),
        "form": {"id": str(FORM)},
        "link": f"https://forms.example/s/{submission.id}/",
    }


def test_several_arrive_as_one_list(post: Post) -> None:
    batch = post.batch_of(3, several=True)

    post.deliver(batch)

    (call,) = post.receiver.calls
    assert (call.json()["type"], call.json()["timestamp"]) == ("submissions.created", "2026-01-01T12:00:02.000000Z")
    assert [entry["id"] for entry in call.json()["data"]] == [str(id) for id in batch.ids]
    assert verified(call, post.secret) == call.json()


def test_the_reference_library_verifies_each_request(post: Post) -> None:
    batch = post.batch_of(2)

    post.deliver(batch)

    assert [verified(call, post.secret) for call in post.receiver.calls] == [
        call.json() for call in post.receiver.calls
    ]
    assert ids_of(post.receiver) == [str(id) for id in batch.ids]
    assert post.receiver.calls[0].headers["Content-Type"] == "application/json"


def test_the_reference_library_makes_the_same_signature(post: Post) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    ours = signed("id", int(moment.timestamp()), b'{"name":"Zo\xc3\xab"}', [post.secret])

    assert ours["webhook-signature"] == Verifier(post.secret).sign("id", moment, '{"name":"Zoë"}')


def test_a_request_that_was_changed_or_signed_by_another_is_not_verified(post: Post) -> None:
    post.deliver(post.batch_of(1))
    call = post.receiver.calls[0]

    with pytest.raises(WebhookVerificationError):
        verified(call, make_secret())
    with pytest.raises(WebhookVerificationError):
        verified(replace(call, body=call.body.replace(b"Ada", b"Eve")), post.secret)


def test_while_a_secret_is_changed_both_verify(post: Post) -> None:
    second = make_secret()

    post.deliver(post.batch_of(1, second_secret=second))

    call = post.receiver.calls[0]
    assert verified(call, post.secret) == verified(call, second) == call.json()


def test_further_headers_are_sent(post: Post) -> None:
    post.deliver(post.batch_of(1, headers="Authorization: Bearer abc\nX-Team: blue"))

    headers = post.receiver.calls[0].headers
    assert (headers["Authorization"], headers["X-Team"]) == ("Bearer abc", "blue")


def test_a_repeat_sends_what_has_not_landed_under_the_ids_it_had(post: Post) -> None:
    batch = post.batch_of(4)
    post.receiver.script = [answering(204), answering(204), resetting]

    with pytest.raises(AmbiguousError):
        post.deliver(batch)
    post.deliver(replace(batch, attempt=2, ambiguous=post.clock.now()))

    one, two, three, four = (str(id) for id in batch.ids)
    assert ids_of(post.receiver) == [one, two, three, three, four]
    assert post.state == {}


def test_a_submission_that_is_refused_is_named_and_the_rest_goes_on_without_what_landed(post: Post) -> None:
    batch = post.batch_of(3)
    post.receiver.script = [answering(204), answering(422, b"Ada is not welcome")]

    with pytest.raises(PermanentError) as caught:
        post.deliver(batch)
    rest = [submission for submission in batch.parts[0].submissions if submission.id not in (caught.value.ids or ())]
    post.deliver(replace(batch, id=uuid7(), parts=(replace(batch.parts[0], submissions=tuple(rest)),)))

    assert (caught.value.part, caught.value.code) == (1, "http_422")
    assert caught.value.ids == frozenset({batch.ids[1]})
    assert "Ada" not in str(caught.value)
    assert ids_of(post.receiver) == [str(id) for id in batch.ids]


def test_of_a_list_that_is_refused_the_engine_finds_out_which_one_it_is(post: Post) -> None:
    post.receiver.script = [answering(422)]

    with pytest.raises(PermanentError) as caught:
        post.deliver(post.batch_of(3, several=True))

    assert caught.value.ids is None


def test_lists_of_two_actions_at_one_address_have_ids_of_their_own_that_stay(post: Post) -> None:
    submission = make_submission()
    batch = post.batch(post.part(submission, several=True), post.part(submission, number=2, several=True))

    post.deliver(batch)
    post.deliver(batch)

    first, second = ids_of(post.receiver)[:2]
    assert ids_of(post.receiver) == [first, second] * 2
    assert first != second


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (answering(401), ConfigurationError),
        (answering(404), ConfigurationError),
        (answering(410), ConfigurationError),
        (answering(301, Location="https://elsewhere.example/"), ConfigurationError),
        (answering(429, Retry_After="30"), BackpressureError),
        (answering(503), AmbiguousError),
        (hanging, AmbiguousError),
    ],
)
def test_trouble_names_the_action_and_what_comes_next(post: Post, step: Step, kind: type[DeliveryError]) -> None:
    post.receiver.script = [step]

    with pytest.raises(kind) as caught:
        post.deliver(post.batch(post.part(make_submission(), number=5)))

    assert type(caught.value) is kind
    assert caught.value.part in {5, None}


def test_a_receiver_that_is_gone_is_tried_again(post: Post) -> None:
    with Receiver() as gone:
        pass

    with pytest.raises(RetryableError):
        post.deliver(post.batch_of(1, url=gone.url))


def test_a_slow_receiver_gets_the_rest_in_the_next_call(post: Post) -> None:
    batch = post.batch_of(3)

    def slowly(call: Call) -> None:
        post.clock.advance(sinks.BUDGET_SECONDS)  # by the first call reached, by the second passed
        call.answer(200)

    post.receiver.script = [slowly, slowly]

    with pytest.raises(BackpressureError) as caught:
        post.deliver(batch)
    post.deliver(batch)

    assert caught.value.after == 0
    assert ids_of(post.receiver) == [str(id) for id in batch.ids]


def test_the_check_sends_an_event_that_no_one_takes_for_a_submission(post: Post) -> None:
    assert "answered 204" in post.sink().check()

    call = post.receiver.calls[0]
    assert (call.json()["type"], call.json()["data"]) == ("ping", {})
    assert verified(call, post.secret) == call.json()
    assert ids_of(post.receiver)[0].startswith("ping_")


def test_the_check_tells_what_is_wrong(post: Post) -> None:
    post.receiver.script = [answering(410)]

    with pytest.raises(ConfigurationError, match="410 Gone") as caught:
        post.sink().check()

    assert "no more calls" in caught.value.remedy


def test_what_failed_at_the_end_of_its_schedule_has_been_tried_for_more_than_a_day() -> None:
    waits = sinks.Webhook.policy.retry_seconds

    assert waits == tuple(sorted(waits))
    assert sum(waits) > 24 * 3600


def test_neither_secret_nor_address_stands_in_an_error(post: Post) -> None:
    post.receiver.always = answering(403)

    with pytest.raises(ConfigurationError) as caught:
        post.deliver(post.batch_of(1, headers="Authorization: Bearer abc"))

    said = f"{caught.value} {caught.value.remedy}"
    assert not any(secret in said for secret in (post.secret, "abc", "/hook"))
