"""The suite that every sink inherits in its tests, ours or a stranger's.

    class TestTicker(SinkConformance):
        def make_sink(self, context):  # a sink with working settings against a service of the test's own
            return Ticker({"url": self.server.url}, context)

        def times_seen(self, submission):  # how often the service shows the submission
            return self.server.text.count(str(submission))

The engine offers a batch again whenever it does not know how the first offer ended, so what counts is what a repeat
leaves behind. Each test is one promise, and its name says which. A kind that speaks HTTP inherits
`apps.sinks.http_conformance.HttpSinkConformance`, which brings the service and breaks it in every way.
"""

import json
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.core.serializers.json import DjangoJSONEncoder

from apps.sinks.contract import (
    API_VERSION,
    BackpressureError,
    Batch,
    Confirmation,
    Context,
    DeliveryError,
    Part,
    PermanentError,
    Sink,
    Submission,
)
from formhub.core.ids import uuid7
from formhub.core.layout import Column, Kind, Layout

ORGANIZATION = UUID("00000000-0000-7000-8000-0000000000aa")
FORM = UUID("00000000-0000-7000-8000-0000000000bb")
OTHER_FORM = UUID("00000000-0000-7000-8000-0000000000cc")
NAME_LENGTH = 50
STATE_LENGTH = 65_536
# What people write: nothing, every script, what programs take for something else, a lot.
ODD = (None, "", "Ada\nLovelace\t\0", "आदा लवलेस 👩🏽‍🔬", "=1+1", "<b>&amp;</b>", "'; --", "x" * 20_000)
LAYOUT = Layout((Column("name", "Name", Kind.TEXT), Column("count", "Count", Kind.NUMBER)))


def make_submission(number: int = 0, **answers: Any) -> Submission:
    """A submission whose answers hold "Ada", which no message of an error may repeat."""
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
        """One part; override it where a kind needs certain answers. Every test's batches are made of these."""
        submissions = tuple(make_submission(number) for number in range(count))
        part = Part(1, FORM, "A form", sink.config, LAYOUT, submissions)
        destination, accounts = sink.destination(sink.config), sink.accounts(sink.config, {})
        return Batch(uuid7(), sequence, destination, (part,), account=accounts[0].name)

    def context(self) -> Context:
        return Context(ORGANIZATION)

    def secrets(self, sink: Sink) -> list[str]:
        """The settings that nobody may be shown."""
        fields = sink.Config.base_fields.items()
        return [str(sink.config[name]) for name, field in fields if _is_secret(field) and sink.config.get(name)]

    def test_it_says_what_it_is(self) -> None:
        kind = type(self.make_sink(self.context()))

        assert kind.api_version == API_VERSION
        assert kind.name.isidentifier()
        assert len(kind.name) <= NAME_LENGTH
        assert kind.label
        assert issubclass(kind.Config, forms.Form)

    def test_a_preview_shows_no_secret_and_sends_nothing(self) -> None:
        sink = self.make_sink(self.context())
        batch = self.make_batch(sink, 1)

        shown = sink.preview(batch)

        assert shown.text
        seen = " ".join([shown.text, shown.html, *shown.headers.values()])
        assert [secret for secret in self.secrets(sink) if secret in seen] == []
        assert self.times_seen(batch.ids[0]) == 0

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

    def test_actions_of_two_forms_share_a_batch(self) -> None:
        sink = self.make_sink(self.context())
        batch = self.make_batch(sink, 2)
        first, second = batch.parts[0].submissions
        one = replace(batch.parts[0], submissions=(first,))
        other = replace(one, binding=2, form=OTHER_FORM, submissions=(replace(second, form=OTHER_FORM),))
        batch = replace(batch, parts=(one, other))

        sink.deliver(batch)

        assert [self.times_seen(id) for id in batch.ids] == [1, 1]

    def test_a_batch_of_one_and_a_full_one_arrive(self) -> None:
        sink = self.make_sink(self.context())
        most = min(sink.policy.max_items, 100)
        one, full = self.make_batch(sink, 1, sequence=1), self.make_batch(sink, most, sequence=2)

        sink.deliver(one)
        sink.deliver(full)

        assert {self.times_seen(id) for id in one.ids + full.ids} == {1}

    def test_whatever_people_write_arrives_or_is_refused_as_data(self) -> None:
        """Answers that are missing, in every script, with what programs take for something else."""
        sink = self.make_sink(self.context())

        for number, text in enumerate(ODD):
            batch = self.make_batch(sink, 1, sequence=number + 1)
            [part] = batch.parts
            [given] = part.submissions
            odd = replace(given, answers={**given.answers, "name": text})
            error = self._offer(sink, replace(batch, parts=(replace(part, submissions=(odd,)),)))
            assert error is None or isinstance(error, PermanentError)
            assert self.times_seen(batch.ids[0]) == (error is None)

    def test_a_batch_that_comes_late_arrives(self) -> None:
        sink = self.make_sink(self.context())
        batch = replace(self.make_batch(sink), late=True)

        sink.deliver(batch)

        assert [self.times_seen(id) for id in batch.ids] == [1, 1, 1]

    def test_its_memory_is_small_and_of_plain_json(self) -> None:
        """It is stored after each call."""
        context = self.context()
        sink = self.make_sink(context)

        sink.deliver(self.make_batch(sink))

        assert len(json.dumps(dict(context.state), cls=DjangoJSONEncoder)) <= STATE_LENGTH

    def test_a_rate_that_is_used_up_is_passed_on(self) -> None:
        """What `spend` raises is the engine's to judge."""
        asked = list[str]()

        def spend(name: str) -> None:
            asked.append(name)
            raise BackpressureError(after=7)

        sink = self.make_sink(replace(self.context(), spend=spend))
        error = self._offer(sink, self.make_batch(sink))

        assert isinstance(error, BackpressureError) == bool(asked)
        assert set(asked) <= {rate.name for rate in sink.policy.rates}

    def test_confirming_a_batch_that_never_came_does_not_claim_it(self) -> None:
        sink = self.make_sink(self.context())

        assert sink.confirm(self.make_batch(sink)) in {Confirmation.ABSENT, Confirmation.UNKNOWN}

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
        self._tells_no_secret(sink, error)

    def _tells_no_secret(self, sink: Sink, error: DeliveryError | None) -> None:
        said = f"{error} {getattr(error, 'remedy', '')}"
        assert "Ada" not in said
        assert [secret for secret in self.secrets(sink) if secret in said] == []

    def _offer(self, sink: Sink, batch: Batch) -> DeliveryError | None:
        try:
            sink.deliver(batch)
        except DeliveryError as error:
            return error
        return None


def _is_secret(field: forms.Field) -> bool:
    return bool(getattr(field, "is_secret", False))
