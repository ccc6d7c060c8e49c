import asyncio

import pytest

from apps.intake.accept import Accepted, accept
from apps.intake.commit import Committer
from apps.intake.tests.forms import a_form
from apps.intake.ticket import NotCommittedError
from formhub.core.envelope import decode
from formhub.core.ids import canonical
from formhub.core.stream.memory import MemoryTopic

pytestmark = pytest.mark.usefixtures("committer")


def test_id_and_time_are_those_of_the_record(topic: MemoryTopic) -> None:
    pending = accept(a_form(), {"name": "Ada"})
    accepted = pending.result()

    (record,) = topic.records()
    envelope = decode(record.value, record.headers)
    assert (envelope.id, envelope.accepted_at) == (accepted.id, accepted.accepted_at)
    assert (pending.id, pending.accepted_at) == (accepted.id, accepted.accepted_at)
    assert (record.partition, record.offset) == (accepted.receipt.partition, accepted.receipt.offset)
    assert accepted.id.version == 7


def test_a_loop_awaits_what_a_thread_waits_for(topic: MemoryTopic) -> None:
    async def wait() -> Accepted:
        return await accept(a_form(), {"name": "Ada"})

    assert asyncio.run(wait()).version == 3
    assert len(topic.records()) == 1


def test_the_same_key_and_answers_are_the_same_submission_in_every_version() -> None:
    parsed = canonical({"age": "36"})
    first = accept(a_form(version=3), {"age": 36}, key="k", parsed=parsed)
    second = accept(a_form(version=4), {"age": "36"}, key="k", parsed=parsed)

    assert first.id == second.id
    assert first.id.version == 8


@pytest.mark.parametrize(
    ("form", "key", "answers"),
    [
        pytest.param(a_form(salt=b"another form 16b"), "k", {"name": "Ada"}, id="another form"),
        pytest.param(a_form(), "l", {"name": "Ada"}, id="another key"),
        pytest.param(a_form(), "k", {"name": "Bob"}, id="other answers"),
    ],
)
def test_anything_else_is_another_submission(form: object, key: str, answers: dict[str, str]) -> None:
    assert accept(a_form(), {"name": "Ada"}, key="k").id != accept(form, answers, key=key).id  # type: ignore[arg-type]


def test_the_forms_submissions_stay_in_one_partition(topic: MemoryTopic) -> None:
    for number in range(10):
        accept(a_form(), {"age": number}).result()

    (log,) = [log for log in topic.logs if log]
    assert [decode(record.value, record.headers).answers["age"] for record in log] == list(range(10))


def test_without_the_broker_there_is_no_receipt(topic: MemoryTopic, committer: Committer) -> None:
    topic.broken = True
    with pytest.raises(NotCommittedError):
        accept(a_form(), {"name": "Ada"}).result()
    assert committer.pending == 0
