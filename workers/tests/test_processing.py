"""From submissions to results in the archive: each once, none lost, one bad submission or processor in nobody's way."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from apps.archive import erasing, queries
from apps.archive.models import Result, StreamOffset, UnreadRecord
from apps.streams.contract import Processor, Submission
from apps.streams.models import Processing
from formhub.core.clock import SystemClock
from formhub.core.stream.base import StreamError
from formhub.core.stream.memory import MemoryPublisher, MemorySource, MemoryTopic
from tests import canary
from workers.archiving import ResultsHandler
from workers.consumer import Consumer, Handler
from workers.loops import UnknownLoopError, known, named
from workers.processing import Bound, ProcessHandler
from workers.tests.log import FORM, an_envelope, publish, publish_raw

pytestmark = [pytest.mark.services, pytest.mark.django_db]
OTHER = UUID(int=3)


class Counting(Processor):
    """Notes how many answers there are; fails and falls silent where it is told to."""

    name, label = "counting", "Counting"

    def process(self, submission: Submission) -> Mapping[str, Any] | None:
        if "fail" in submission.answers:
            raise ValueError(f"cannot count {submission.answers}")
        if "silent" in submission.answers:
            return None
        return {"count": len(submission.answers), "unit": self.config.get("unit", "answers")}


class World:
    """Submissions, their processor, its stream and who keeps that."""

    def __init__(self) -> None:
        self.submissions = MemoryTopic()
        self.stream = MemoryTopic(name="stream.counting.v1")
        self.publisher = MemoryPublisher(self.stream)
        self.processor = consumer(self.submissions, self.handler())
        self.keeper = consumer(self.stream, ResultsHandler(Counting))

    def handler(self) -> ProcessHandler:
        return ProcessHandler(Counting, Bound(Counting, SystemClock()), self.publisher, self.stream.partitions)

    def turn(self) -> None:
        self.processor.turn()
        self.keeper.turn()


def consumer(topic: MemoryTopic, handler: Handler) -> Consumer:
    def open_source(listener: Consumer) -> MemorySource:
        return MemorySource(topic, handler.group, listener)

    made = Consumer(open_source, handler, topic.name)
    made.turn()  # brings the partitions, and no record yet
    return made


def bind(form: UUID = FORM, **changes: Any) -> Processing:
    return Processing.objects.create(form_id=form, processor="counting", **changes)


def test_a_result_is_kept_beside_the_submission_that_it_is_of() -> None:
    bind(config={"unit": "lines"})
    world, sent = World(), an_envelope(a="1", b="2")
    publish(world.submissions, sent)

    world.turn()

    [result] = queries.results(FORM, sent.id)
    assert (result.stream, result.body) == ("counting", {"count": 2, "unit": "lines"})
    assert result.organization_id == sent.organization


def test_forms_without_the_processor_have_no_results() -> None:
    bind(OTHER, on=False)
    world = World()
    publish(world.submissions, an_envelope())
    publish(world.submissions, an_envelope(form=OTHER))

    world.turn()

    assert world.stream.records() == []
    assert StreamOffset.objects.filter(group="process.counting", next_offset__gt=0).exists()


def test_a_result_that_is_made_again_is_the_same_record_and_kept_once() -> None:
    bind()
    world, sent = World(), an_envelope()
    publish(world.submissions, sent)
    world.processor.turn()
    world.processor.close()
    StreamOffset.objects.filter(group="process.counting").update(next_offset=0)  # as after a crash before the commit

    consumer(world.submissions, world.handler()).turn()
    world.keeper.turn()

    first, again = world.stream.records()
    assert (first.key, first.value, first.headers) == (again.key, again.value, again.headers)
    assert dict(first.headers)["id"] == str(sent.id).encode()
    assert Result.objects.count() == 1


def test_while_the_stream_takes_nothing_the_group_stays_where_it_is() -> None:
    bind()
    world = World()
    publish(world.submissions, an_envelope())
    world.stream.broken = True

    with pytest.raises(StreamError):
        world.processor.turn()

    world.stream.broken = False
    world.processor.turn()
    world.keeper.turn()
    assert Result.objects.count() == 1


def test_a_submission_at_which_the_processor_fails_holds_up_none_behind_it(caplog: pytest.LogCaptureFixture) -> None:
    bind()
    world, bad, good, silent = World(), an_envelope(fail=canary.ANSWER), an_envelope(), an_envelope(silent="yes")
    for each in (bad, silent, good):
        publish(world.submissions, each)

    world.turn()

    assert [result.body for result in queries.results(FORM, bad.id)] == [{"error": "ValueError"}]
    assert queries.results(FORM, silent.id) == []
    assert queries.results(FORM, good.id) != []
    assert str(bad.id) in caplog.text
    assert canary.ANSWER not in caplog.text


def test_an_erased_submission_has_no_results_and_gets_none_later() -> None:
    bind()
    world, before, after = World(), an_envelope(), an_envelope()
    publish(world.submissions, before)
    world.turn()
    publish(world.submissions, after)
    world.processor.turn()

    erasing.bury(FORM, [before.id, after.id])
    erasing.remove(FORM, [before.id, after.id])
    world.keeper.turn()

    assert Result.objects.count() == 0


def test_with_a_form_its_results_go() -> None:
    bind()
    world = World()
    publish(world.submissions, an_envelope())
    world.turn()

    erasing.bury_form(FORM)

    assert erasing.remove_some(FORM, 100) == 1
    assert erasing.remove_some(FORM, 100) == 0
    assert Result.objects.count() == 0


def test_a_record_of_the_stream_that_cannot_be_read_is_kept_aside() -> None:
    world = World()
    publish_raw(world.stream, b"{}")

    world.keeper.turn()

    assert UnreadRecord.objects.get().topic == "stream.counting.v1"


def test_each_processor_has_two_loops_that_one_word_stands_for() -> None:
    assert named(["archive", "processors"]) == ["archive", "process.content_analysis", "archive.content_analysis"]
    assert known()["process.content_analysis"].topic == "submissions.v1"
    assert known()["archive.content_analysis"].topic == "stream.content_analysis.v1"
    with pytest.raises(UnknownLoopError, match="processors"):
        named(["process.nothing"])
