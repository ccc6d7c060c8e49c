"""The suite that every sink inherits in its tests, ours or a stranger's.

    class TestTicker(SinkConformance):
        def make_sink(self, context):  # a sink with working settings against a service of the test's own
            return Ticker({"url": self.server.url}, context)

        def times_seen(self, submission):  # how often the service shows the submission
            return self.server.text.count(str(submission))

The engine offers a batch again whenever it does not know how the first offer ended, so what counts is what a repeat
leaves behind.
"""

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import forms

from apps.sinks.contract import API_VERSION, Batch, Confirmation, Context, DeliveryError, Part, Sink, Submission
from formhub.core.ids import uuid7
from formhub.core.layout import Column, Kind, Layout

ORGANIZATION = UUID("00000000-0000-7000-8000-0000000000aa")
FORM = UUID("00000000-0000-7000-8000-0000000000bb")
LAYOUT = Layout((Column("name", "Name", Kind.TEXT), Column("count", "Count", Kind.NUMBER)))


def make_submission(number: int = 0, **answers: Any) -> Submission:
    return Submission(
        id=uuid7(),
        form=FORM,
        version=1,
        position=number,
        accepted_at=datetime(2026, 1, 1, 12, 0, number % 60, tzinfo=UTC),
        answers=answers or {"name": f"Ada {number}", "count": number},
    )


class SinkConformance(ABC):
    @abstractmethod
    def make_sink(self, context: Context) -> Sink:
        """A sink with settings that work; every call within one test reaches the same service."""

    @abstractmethod
    def times_seen(self, submission: UUID) -> int:
        """How often the service received the submission."""

    def break_service(self) -> bool:
        """Make the service refuse or vanish, and say True; where that is not possible nothing breaks."""
        return False

    def make_batch(self, sink: Sink, count: int = 3, sequence: int = 1) -> Batch:
        submissions = tuple(make_submission(number) for number in range(count))
        part = Part(1, FORM, "A form", sink.config, LAYOUT, submissions)
        destination, accounts = sink.destination(sink.config), sink.accounts(sink.config, {})
        return Batch(uuid7(), sequence, destination, (part,), account=accounts[0].name)

    def context(self) -> Context:
        return Context(ORGANIZATION)

    def test_it_says_what_it_is(self) -> None:
        kind = type(self.make_sink(self.context()))

        assert kind.api_version == API_VERSION
        assert kind.name.isidentifier()
        assert kind.label
        assert issubclass(kind.Config, forms.Form)

    def test_its_policy_can_be_kept(self) -> None:
        policy = self.make_sink(self.context()).policy

        assert policy.max_items >= 1
        assert policy.max_bytes >= 1
        assert policy.max_seconds >= 0
        assert 0 < policy.timeout <= 50  # below the lease of 60 s
        assert all(rate.calls >= 1 and rate.seconds > 0 for rate in policy.rates)

    def test_a_destination_is_named_by_the_settings_alone(self) -> None:
        sink = self.make_sink(self.context())

        assert sink.destination(sink.config)
        assert sink.destination(dict(sink.config)) == sink.destination(sink.config)

    def test_each_of_its_rates_has_a_key(self) -> None:
        sink = self.make_sink(self.context())

        for account in sink.accounts(sink.config, {}):
            assert {rate.name for rate in sink.policy.rates} <= set(account.rate_keys)

    def test_a_batch_arrives(self) -> None:
        sink = self.make_sink(self.context())
        batch = self.make_batch(sink)

        sink.deliver(batch)

        assert [self.times_seen(id) for id in batch.ids] == [1, 1, 1]

    def test_batches_arrive_one_after_the_other(self) -> None:
        sink = self.make_sink(self.context())
        first, second = self.make_batch(sink, 1, sequence=1), self.make_batch(sink, 2, sequence=2)

        sink.deliver(first)
        sink.deliver(second)

        assert [self.times_seen(id) for id in first.ids + second.ids] == [1, 1, 1]

    def test_a_batch_offered_twice_keeps_its_promise(self) -> None:
        """Where the policy says repeatable it lands once; elsewhere each repeat carries the same ids."""
        context = self.context()
        sink = self.make_sink(context)
        batch = self.make_batch(sink)

        sink.deliver(batch)
        self.make_sink(context).deliver(batch)

        assert [self.times_seen(id) for id in batch.ids] == [1 if sink.policy.repeatable else 2] * 3

    def test_a_repeat_by_a_process_that_knows_nothing_keeps_its_promise(self) -> None:
        """The destination's state may be lost without harm."""
        sink = self.make_sink(self.context())
        batch = self.make_batch(sink)

        sink.deliver(batch)
        self.make_sink(self.context()).deliver(batch)

        assert [self.times_seen(id) for id in batch.ids] == [1 if sink.policy.repeatable else 2] * 3

    def test_confirming_a_batch_that_landed_never_denies_it(self) -> None:
        sink = self.make_sink(self.context())
        batch = self.make_batch(sink)

        sink.deliver(batch)

        assert sink.confirm(batch) in {Confirmation.LANDED, Confirmation.UNKNOWN}

    def test_its_check_finds_working_settings_and_sends_nothing(self) -> None:
        sink = self.make_sink(self.context())
        batch = self.make_batch(sink)

        assert sink.check()
        assert self.times_seen(batch.ids[0]) == 0

    def test_trouble_is_told_in_the_family_of_errors_and_without_answers(self) -> None:
        sink = self.make_sink(self.context())
        batch = self.make_batch(sink)
        broken = self.break_service()

        error = self._offer(sink, batch)

        assert (error is not None) == broken
        assert "Ada" not in str(error)

    def _offer(self, sink: Sink, batch: Batch) -> DeliveryError | None:
        try:
            sink.deliver(batch)
        except DeliveryError as error:
            return error
        return None
