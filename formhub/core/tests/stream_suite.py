"""What every log promises, whoever keeps it."""

import itertools
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from formhub.core.stream.base import (
    MAX_MESSAGE_BYTES,
    Message,
    OffsetOutOfRange,
    Outcome,
    Publisher,
    RebalanceListener,
    Receipt,
    Record,
    Source,
    StreamError,
    partition_of,
)

PARTITIONS = 3
SOON = 60.0  # longer than anything takes that comes at all; nothing waits for it that has come


class Log(Protocol):
    """One topic of PARTITIONS partitions, empty, and how a test reaches around its readers and writers."""

    def publisher(self) -> Publisher: ...

    def source(self, group: str, listener: RebalanceListener | None = None) -> Source: ...

    def drop_below(self, partition: int, offset: int) -> None:
        """As retention does."""

    def make_anew(self) -> None:
        """Delete the topic and make it again, empty."""


class FaultyLog(Log, Protocol):
    deadline: float  # within which whoever publishes or asks hears that nobody answers

    def away(self) -> AbstractContextManager[None]:
        """Nobody answers for as long as it lasts."""


@dataclass
class Told:
    """A listener that stands each partition at the log's start, and keeps what it was told."""

    source: Source | None = None
    changes: list[tuple[str, set[int]]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    places: bool = True

    def assigned(self, partitions: set[int]) -> None:
        self.changes.append(("assigned", partitions))
        self.threads.add(threading.get_ident())
        if self.source is not None and self.places:
            bounds = self.source.bounds()
            self.source.seek({number: bounds[number][0] for number in partitions})

    def revoked(self, partitions: set[int]) -> None:
        self.changes.append(("revoked", partitions))
        self.threads.add(threading.get_ident())


@dataclass
class Member:
    """A source in a thread of its own that polls until it is told to stop, as a consumer does."""

    source: Source
    told: Told
    records: list[Record] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def partitions(self) -> set[int]:
        return set(self.told.changes[-1][1]) if self.told.changes and self.told.changes[-1][0] == "assigned" else set()

    def leave(self) -> None:
        self._stop.set()
        self._thread.join(SOON)
        assert not self._thread.is_alive()
        self.source.close()
        assert self.errors == []

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.records += self.source.poll(100, 0.2)
            except OffsetOutOfRange:
                # A partition that was given a moment ago, of which the listener is told next: a consumer goes on too.
                pass
            except StreamError as error:
                self.errors.append(error)
                return
            self._stop.wait(0.01)


def a_message(text: str = "", partition: int = 0, key: bytes = b"form") -> Message:
    return Message(key, text.encode(), (("v", b"1"),), partition)


def messages(count: int, partition: int = 0, start: int = 0) -> list[Message]:
    return [a_message(str(number), partition) for number in range(start, start + count)]


def publish(publisher: Publisher, group: Sequence[Message], within: float = SOON) -> list[Outcome]:
    answers: queue.Queue[list[Outcome]] = queue.Queue()
    publisher.publish(group, answers.put)
    return answers.get(timeout=within)


def publish_all(publisher: Publisher, group: Sequence[Message], tries: int = 10) -> None:
    """Until each has a receipt: a broker on a busy machine may give none in time."""
    for _ in range(tries):
        outcomes = publish(publisher, group)
        group = [each for each, outcome in zip(group, outcomes, strict=True) if not isinstance(outcome, Receipt)]
        if not group:
            return
    raise AssertionError(f"{len(group)} of the messages got no receipt")


def receipts(outcomes: Sequence[Outcome]) -> list[Receipt]:
    found = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
    assert len(found) == len(outcomes), outcomes
    return found


def wait_until(done: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + SOON
    while not done():
        assert time.monotonic() < until, f"not within {SOON:.0f} s: {what}"
        time.sleep(0.02)


def take(source: Source, count: int, max_records: int = 500) -> list[Record]:
    """Poll until so many records came."""
    found: list[Record] = []
    until = time.monotonic() + SOON
    while len(found) < count:
        assert time.monotonic() < until, f"{len(found)} of {count} records within {SOON:.0f} s"
        batch = source.poll(max_records, 0.2)
        assert len(batch) <= max_records
        found += batch
    return found


def joined(source: Source) -> Source:
    """Once it has its partitions, with nothing read yet."""
    until = time.monotonic() + SOON
    while not source.assignment():
        assert time.monotonic() < until, "no partitions"
        assert source.poll(1, 0.2) == []
    return source


def at_start(source: Source) -> Source:
    joined(source).seek({number: start for number, (start, _) in source.bounds().items()})
    return source


def texts(records: Sequence[Record]) -> list[str]:
    return [record.value.decode() for record in records]


def by_partition(records: Sequence[Record]) -> dict[int, list[int]]:
    offsets = defaultdict(list)
    for record in records:
        offsets[record.partition].append(record.offset)
    return dict(offsets)


class _Opened:
    """Makes publishers and sources, and closes them when the test is over."""

    @pytest.fixture
    def publisher(self, log: Log) -> Iterator[Publisher]:
        made = log.publisher()
        yield made
        made.close(1)

    @pytest.fixture
    def opened(self) -> Iterator[list[Source]]:
        sources: list[Source] = []
        yield sources
        for source in sources:
            source.close()

    @pytest.fixture
    def open_source(self, log: Log, opened: list[Source]) -> "Open":
        numbers = itertools.count()

        def make(group: str = "", listener: RebalanceListener | None = None) -> Source:
            source = log.source(group or f"group-{next(numbers)}", listener)
            opened.append(source)
            if isinstance(listener, Told):
                listener.source = source
            return source

        return make


class Open(Protocol):
    def __call__(self, group: str = "", listener: RebalanceListener | None = None) -> Source: ...


class PublishingSuite(_Opened):
    """A subclass gives the fixture `log`."""

    def test_a_receipt_names_the_place_where_the_record_is(self, publisher: Publisher, open_source: Open) -> None:
        sent = [a_message("one", 0), a_message("two", 1), a_message("three", 0)]

        found = receipts(publish(publisher, sent))

        records = {(record.partition, record.offset): record for record in take(at_start(open_source()), 3)}
        for message, receipt in zip(sent, found, strict=True):
            record = records[receipt.partition, receipt.offset]
            assert receipt.partition == message.partition
            assert (record.key, record.value, record.headers) == (message.key, message.value, message.headers)
            assert record.timestamp_ms > 0

    def test_a_group_of_nothing_is_answered(self, publisher: Publisher) -> None:
        assert publish(publisher, []) == []

    @pytest.mark.parametrize("value", [b"", bytes(range(256)), "😀 Zoë".encode()], ids=["empty", "bytes", "text"])
    def test_any_bytes_come_back_unchanged(self, publisher: Publisher, open_source: Open, value: bytes) -> None:
        message = Message(bytes(range(255, -1, -1)), value, (("v", value), ("v", b"\x00"), ("", b"x")), 2)

        publish(publisher, [message])

        [record] = take(at_start(open_source()), 1)
        assert (record.key, record.value, record.headers) == (message.key, message.value, message.headers)

    def test_a_key_keeps_the_order_in_which_it_was_handed_over(self, publisher: Publisher, open_source: Open) -> None:
        keys = [f"form-{number}".encode() for number in range(10)]
        sent = [a_message(f"{number}", partition_of(key, PARTITIONS), key) for number in range(100) for key in keys]
        answers: queue.Queue[list[Outcome]] = queue.Queue()

        for start in range(0, len(sent), 50):
            publisher.publish(sent[start : start + 50], answers.put)
        for _ in range(0, len(sent), 50):
            receipts(answers.get(timeout=SOON))

        records = take(at_start(open_source()), len(sent))
        for key in keys:
            assert texts([record for record in records if record.key == key]) == [f"{number}" for number in range(100)]

    def test_offsets_of_a_group_rise_in_its_order(self, publisher: Publisher) -> None:
        offsets = [receipt.offset for receipt in receipts(publish(publisher, messages(200)))]

        assert offsets == list(range(200))

    def test_many_threads_get_a_receipt_each(self, publisher: Publisher) -> None:
        found: list[Receipt] = []

        def send() -> None:
            for number in range(20):
                found.extend(receipts(publish(publisher, messages(5, number % PARTITIONS))))

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)

        assert len(found) == 800
        assert len({(receipt.partition, receipt.offset) for receipt in found}) == 800

    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            pytest.param(a_message("x" * MAX_MESSAGE_BYTES), "bytes are more than the 2097152 of a record", id="size"),
            pytest.param(a_message("x", PARTITIONS), "there is no partition 3", id="partition too high"),
            pytest.param(a_message("x", -1), "there is no partition -1", id="partition too low"),
        ],
    )
    def test_what_can_never_be_taken_fails_alone_and_for_certain(
        self, publisher: Publisher, open_source: Open, wrong: Message, why: str
    ) -> None:
        first, refused, last = publish(publisher, [a_message("a"), wrong, a_message("b")])

        assert isinstance(refused, StreamError)
        assert why in str(refused)
        assert not refused.ambiguous
        receipts([first, last])
        assert texts(take(at_start(open_source()), 2)) == ["a", "b"]

    def test_the_largest_record_is_taken_whole(self, publisher: Publisher, open_source: Open) -> None:
        spare = MAX_MESSAGE_BYTES - a_message().size
        largest = a_message("x" * spare)
        assert largest.size == MAX_MESSAGE_BYTES

        receipts(publish(publisher, [largest]))

        assert take(at_start(open_source()), 1)[0].value == largest.value

    def test_closed_it_waits_for_what_it_has_and_takes_nothing_more(
        self, publisher: Publisher, open_source: Open
    ) -> None:
        answers: queue.Queue[list[Outcome]] = queue.Queue()
        publisher.publish(messages(50), answers.put)

        publisher.close(SOON)

        receipts(answers.get(timeout=SOON))
        [refused] = publish(publisher, [a_message("late")])
        assert isinstance(refused, StreamError)
        assert not refused.ambiguous
        assert publish(publisher, []) == []
        publisher.close(1)
        assert len(take(at_start(open_source()), 50)) == 50


class ReadingSuite(_Opened):
    """A subclass gives the fixture `log`."""

    @pytest.fixture
    def filled(self, publisher: Publisher) -> None:
        """Ten records in each partition."""
        receipts(publish(publisher, [m for number in range(PARTITIONS) for m in messages(10, number)]))

    def test_the_only_member_gets_every_partition(self, open_source: Open) -> None:
        told = Told()

        source = joined(open_source(listener=told))

        assert source.assignment() == set(range(PARTITIONS))
        assert told.changes == [("assigned", {0, 1, 2})]

    def test_before_the_first_poll_there_is_nothing_to_read(self, open_source: Open) -> None:
        source = open_source()

        assert source.assignment() == set()
        assert source.bounds() == {}
        assert source.committed() == {}

    def test_the_listener_is_told_where_the_source_is_used(self, open_source: Open) -> None:
        told = Told()

        joined(open_source(listener=told))

        assert told.threads == {threading.get_ident()}

    @pytest.mark.usefixtures("filled")
    def test_the_listener_says_where_reading_begins(self, open_source: Open) -> None:
        class FromTheFifth(Told):
            def assigned(self, partitions: set[int]) -> None:
                assert self.source is not None
                assert self.source.bounds() == dict.fromkeys(range(PARTITIONS), (0, 10))
                assert self.source.committed() == {}
                assert len(self.source.topic_id()) >= 32
                self.source.seek(dict.fromkeys(partitions, 5))

        records = take(open_source(listener=FromTheFifth()), 15)

        assert by_partition(records) == {number: [5, 6, 7, 8, 9] for number in range(PARTITIONS)}

    def test_what_the_listener_raises_comes_out_of_the_poll_and_the_next_goes_on(self, open_source: Open) -> None:
        class Failing(Told):
            def assigned(self, partitions: set[int]) -> None:
                super().assigned(partitions)
                raise LookupError("no offsets")

        source = open_source(listener=Failing())

        with pytest.raises(LookupError):
            joined(source)

        assert source.assignment() == set(range(PARTITIONS))
        assert source.poll(1, 0.1) == []

    @pytest.mark.usefixtures("filled")
    def test_a_poll_gives_no_more_than_asked_and_all_of_it_comes_once_and_in_order(self, open_source: Open) -> None:
        source = at_start(open_source())

        records = take(source, 30, max_records=7)

        assert by_partition(records) == {number: list(range(10)) for number in range(PARTITIONS)}
        assert source.poll(7, 0.1) == []

    def test_a_poll_gives_what_comes_later(self, publisher: Publisher, open_source: Open) -> None:
        source = at_start(open_source())
        assert source.poll(10, 0.1) == []

        publish(publisher, messages(3, 1))

        assert texts(take(source, 3)) == ["0", "1", "2"]

    @pytest.mark.usefixtures("filled")
    def test_seeking_reads_again_or_passes_over(self, open_source: Open) -> None:
        source = at_start(open_source())
        take(source, 30)

        source.seek({0: 8, 1: 10, 2: 9})

        assert by_partition(take(source, 3)) == {0: [8, 9], 2: [9]}
        assert source.poll(10, 0.1) == []

    @pytest.mark.usefixtures("filled")
    def test_what_is_not_assigned_is_left_out(self, open_source: Open) -> None:
        source = at_start(open_source())

        source.seek({0: 9, PARTITIONS + 4: 1})
        source.pause({PARTITIONS + 4})
        source.resume({PARTITIONS + 4})

        assert source.assignment() == set(range(PARTITIONS))
        assert by_partition(take(source, 21))[0] == [9]

    def test_bounds_are_the_first_offset_and_the_one_after_the_last(
        self, log: Log, publisher: Publisher, open_source: Open
    ) -> None:
        publish(publisher, messages(10, 0) + messages(4, 1))
        log.drop_below(0, 6)

        source = joined(open_source())

        assert source.bounds() == {0: (6, 10), 1: (0, 4), 2: (0, 0)}

    @pytest.mark.usefixtures("filled")
    def test_offsets_are_stored_for_the_group_alone(self, open_source: Open) -> None:
        source = at_start(open_source("mine"))
        source.commit({0: 4, 1: 0})
        source.commit({})
        other = joined(open_source("other"))

        assert source.committed() == {0: 4, 1: 0}
        assert other.committed() == {}

    @pytest.mark.usefixtures("filled")
    @pytest.mark.parametrize("listening", [False, True], ids=["without a listener", "with one that places nothing"])
    def test_the_next_member_goes_on_at_the_stored_offsets(self, open_source: Open, listening: bool) -> None:
        first = at_start(open_source("mine"))
        first.commit({0: 4, 1: 10, 2: 9})
        first.close()

        records = take(open_source("mine", Told(places=False) if listening else None), 7)

        assert by_partition(records) == {0: [4, 5, 6, 7, 8, 9], 2: [9]}

    @pytest.mark.usefixtures("filled")
    def test_where_nothing_is_stored_somebody_has_to_say_where_to_read(self, open_source: Open) -> None:
        source = joined(open_source())

        for _ in range(2):
            with pytest.raises(OffsetOutOfRange):
                take(source, 1)
        source.seek(dict.fromkeys(range(PARTITIONS), 8))

        assert len(take(source, 6)) == 6

    @pytest.mark.usefixtures("filled")
    @pytest.mark.parametrize("offset", [2, 11], ids=["below the start", "above the end"])
    def test_outside_of_the_log_it_says_so_until_it_is_placed_anew(
        self, log: Log, open_source: Open, offset: int
    ) -> None:
        log.drop_below(0, 5)
        source = at_start(open_source())
        take(source, 25)

        source.seek({0: offset})

        for _ in range(2):
            with pytest.raises(OffsetOutOfRange):
                take(source, 1)
        source.seek({0: 5})
        assert by_partition(take(source, 5)) == {0: [5, 6, 7, 8, 9]}

    @pytest.mark.usefixtures("filled")
    def test_one_partition_outside_of_the_log_costs_no_record_of_the_others(self, open_source: Open) -> None:
        source = at_start(open_source())
        source.seek({1: 99})
        records: list[Record] = []

        def poll() -> bool:
            try:
                records.extend(source.poll(3, 0.1))
            except OffsetOutOfRange:
                source.seek({1: 0})
            return len(records) == 30

        wait_until(poll, "all thirty records")
        assert by_partition(records) == {number: list(range(10)) for number in range(PARTITIONS)}

    @pytest.mark.usefixtures("filled")
    def test_a_paused_partition_gives_nothing_until_it_goes_on(self, open_source: Open) -> None:
        source = at_start(open_source())
        first = take(source, 1, max_records=1)

        source.pause({0, 1})
        meanwhile = take(source, 10 - len([record for record in first if record.partition == 2]))
        assert {record.partition for record in meanwhile} == {2}
        assert source.poll(100, 0.3) == []

        source.resume({0, 1})
        rest = take(source, 30 - len(first) - len(meanwhile))
        assert by_partition([*first, *meanwhile, *rest]) == {number: list(range(10)) for number in range(PARTITIONS)}

    def test_a_topic_has_one_id_until_it_is_made_anew(self, log: Log, open_source: Open) -> None:
        before = joined(open_source()).topic_id()
        assert open_source().topic_id() == before

        log.make_anew()

        assert open_source().topic_id() != before

    def test_closed_it_says_so(self, open_source: Open) -> None:
        told = Told()
        source = joined(open_source(listener=told))

        source.close()
        source.close()

        assert told.changes[-1] == ("revoked", {0, 1, 2})
        uses: list[Callable[[], object]] = [
            lambda: source.poll(1, 0.1),
            lambda: source.commit({0: 1}),
            lambda: source.seek({0: 1}),
            lambda: source.pause({0}),
            lambda: source.resume({0}),
            source.committed,
            source.bounds,
            source.assignment,
            source.topic_id,
        ]
        for use in uses:
            with pytest.raises(StreamError):
                use()


class GroupSuite(_Opened):
    """A subclass gives the fixture `log`."""

    @pytest.fixture
    def join(self, open_source: Open) -> Iterator[Callable[[], Member]]:
        members: list[Member] = []

        def make() -> Member:
            told = Told()
            members.append(Member(open_source("group", told), told))
            return members[-1]

        yield make
        for member in members:
            member.leave()

    def test_members_share_the_partitions(self, join: Callable[[], Member]) -> None:
        first = join()
        wait_until(lambda: first.partitions == {0, 1, 2}, "the first member has all")

        second = join()

        wait_until(lambda: bool(first.partitions and second.partitions), "both have some")
        wait_until(lambda: len(first.partitions) + len(second.partitions) == PARTITIONS, "none is left over")
        assert first.partitions.isdisjoint(second.partitions)
        assert ("revoked", {0, 1, 2}) in first.told.changes

    def test_what_one_leaves_another_takes_over(self, join: Callable[[], Member], publisher: Publisher) -> None:
        first, second = join(), join()
        wait_until(lambda: len(first.partitions) + len(second.partitions) == PARTITIONS, "all are given out")
        wait_until(lambda: bool(first.partitions and second.partitions), "both have some")

        second.leave()

        assert second.told.changes[-1][0] == "revoked"
        wait_until(lambda: first.partitions == {0, 1, 2}, "the first member has all")
        publish_all(publisher, [a_message("after", number) for number in range(PARTITIONS)])
        wait_until(
            lambda: {record.partition for record in first.records if record.value == b"after"} == {0, 1, 2},
            "the first member reads all",
        )

    def test_more_members_than_partitions_leave_one_idle(self, join: Callable[[], Member]) -> None:
        members = [join() for _ in range(PARTITIONS + 1)]

        wait_until(
            lambda: sorted(len(member.partitions) for member in members) == [0, 1, 1, 1], "each partition has a reader"
        )

    def test_a_partition_that_comes_back_is_not_paused(
        self, join: Callable[[], Member], open_source: Open, publisher: Publisher
    ) -> None:
        told = Told()
        source = joined(open_source("group", told))
        source.pause({0, 1, 2})
        other = join()
        records: list[Record] = []

        def both_have_some() -> bool:
            records.extend(source.poll(100, 0.1))
            return bool(other.partitions) and len(source.assignment()) + len(other.partitions) == PARTITIONS

        wait_until(both_have_some, "both have some")
        publish(publisher, [a_message("after", number) for number in range(PARTITIONS)])

        def all_read() -> bool:
            records.extend(source.poll(100, 0.1))
            return {record.partition for record in [*records, *other.records]} == {0, 1, 2}

        wait_until(all_read, "every partition is read")


class OutageSuite(_Opened):
    """A subclass gives the fixture `log`, a FaultyLog."""

    @contextmanager
    def _running(self, publisher: Publisher, source: Source) -> Iterator[None]:
        """Both work before and after."""
        receipts(publish(publisher, [a_message("before")]))
        assert texts(take(source, 1)) == ["before"]
        yield
        wait_until(lambda: isinstance(publish(publisher, [a_message("after")])[0], Receipt), "a receipt")
        found: list[str] = []

        def after() -> bool:
            found.extend(texts(source.poll(100, 0.2)))
            return "after" in found

        wait_until(after, "the record")

    def test_without_a_broker_every_message_gets_an_error_and_afterwards_the_same_publisher_goes_on(
        self, log: FaultyLog, publisher: Publisher, open_source: Open
    ) -> None:
        with self._running(publisher, joined(open_source(listener=Told()))), log.away():
            outcomes = [each for _ in range(2) for each in publish(publisher, messages(3), log.deadline)]

            assert [type(outcome) for outcome in outcomes] == [StreamError] * 6
            # The first group was on its way: it may be in the log all the same.
            assert all(outcome.ambiguous for outcome in outcomes[:3] if isinstance(outcome, StreamError))

    def test_without_a_broker_a_source_names_its_error_and_afterwards_the_same_one_goes_on(
        self, log: FaultyLog, publisher: Publisher, open_source: Open
    ) -> None:
        source = joined(open_source(listener=Told()))
        with self._running(publisher, source), log.away():
            asked: list[Callable[[], object]] = [
                lambda: source.commit({0: 1}),
                source.committed,
                source.bounds,
                source.topic_id,
            ]
            for ask in asked:
                with pytest.raises(StreamError):
                    ask()
            assert source.assignment() == set(range(PARTITIONS))

    def test_without_a_broker_closing_ends_and_settles_everything(
        self, log: FaultyLog, publisher: Publisher, open_source: Open
    ) -> None:
        source = at_start(open_source())
        receipts(publish(publisher, [a_message("before")]))
        answers: queue.Queue[list[Outcome]] = queue.Queue()

        with log.away():
            publisher.publish(messages(3), answers.put)
            publisher.close(0.1)
            source.close()

            assert [type(outcome) for outcome in answers.get(timeout=SOON)] == [StreamError] * 3
            assert answers.empty()
