import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from apps.intake.commit import Bounds, Committer
from apps.intake.ticket import NotCommittedError, OverloadedError, Ticket
from formhub.core.stream.base import Message, Outcome, Receipt, StreamError
from formhub.core.stream.memory import MemoryPublisher, MemoryTopic

ROOMY = Bounds(items=10_000, bytes=10_000_000, seconds=5)
SOON = 5.0  # a test that waits this long has failed


class HeldPublisher(MemoryPublisher):
    """Keeps each group until told to let it go, as a broker that is slow to answer."""

    def __init__(self, topic: MemoryTopic) -> None:
        super().__init__(topic)
        self.held: list[tuple[Sequence[Message], Callable[[list[Outcome]], None]]] = []
        self.arrived = threading.Condition()

    def publish(self, messages: Sequence[Message], done: Callable[[list[Outcome]], None]) -> None:
        with self.arrived:
            self.held.append((messages, done))
            self.arrived.notify_all()

    def wait_for_groups(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.held) >= count, SOON)

    def let_go(self, index: int) -> None:
        super().publish(*self.held[index])

    def fail(self, index: int) -> None:
        messages, done = self.held[index]
        done([StreamError("gone") for _ in messages])


@pytest.fixture
def topic() -> MemoryTopic:
    return MemoryTopic()


@pytest.fixture
def publisher(topic: MemoryTopic) -> HeldPublisher:
    return HeldPublisher(topic)


@pytest.fixture
def make() -> Iterator[Callable[..., Committer]]:
    made: list[Committer] = []

    def build(publisher: MemoryPublisher, bounds: Bounds = ROOMY) -> Committer:
        made.append(Committer(publisher, bounds))
        return made[-1]

    yield build
    for committer in made:
        committer.close(0)


Make = Callable[..., Committer]


def a_message(text: str = "x", partition: int = 0) -> Message:
    return Message(b"form", text.encode(), (), partition)


def refusal(ticket: Ticket) -> NotCommittedError:
    with pytest.raises(NotCommittedError) as caught:
        ticket.result(SOON)
    return caught.value


def texts(topic: MemoryTopic, partition: int = 0) -> list[str]:
    return [record.value.decode() for record in topic.logs[partition]]


def test_a_receipt_means_that_the_record_is_in_the_log(topic: MemoryTopic, make: Make) -> None:
    receipt = make(MemoryPublisher(topic)).submit(a_message("hello", partition=3)).result(SOON)

    assert receipt == Receipt(3, 0)
    assert texts(topic, 3) == ["hello"]


def test_what_arrives_while_a_group_is_on_its_way_is_the_next_group(
    topic: MemoryTopic, publisher: HeldPublisher, make: Make
) -> None:
    committer = make(publisher)
    tickets = [committer.submit(a_message("0"))]
    publisher.wait_for_groups(1)
    tickets += [committer.submit(a_message(str(number))) for number in range(1, 6)]
    publisher.let_go(0)
    publisher.wait_for_groups(2)
    publisher.let_go(1)

    assert [ticket.result(SOON).offset for ticket in tickets] == list(range(6))
    assert [len(messages) for messages, _ in publisher.held] == [1, 5]
    assert texts(topic) == ["0", "1", "2", "3", "4", "5"]
    assert committer.pending == 0


def test_partitions_do_not_wait_for_each_other(publisher: HeldPublisher, make: Make) -> None:
    committer = make(publisher)
    slow = committer.submit(a_message(partition=0))
    publisher.wait_for_groups(1)
    quick = committer.submit(a_message(partition=1))
    publisher.wait_for_groups(2)
    publisher.let_go(1)

    assert quick.result(SOON) == Receipt(1, 0)
    publisher.let_go(0)
    assert slow.result(SOON) == Receipt(0, 0)


def test_groups_are_bounded_in_number_and_bytes(publisher: HeldPublisher, make: Make) -> None:
    committer = make(publisher, Bounds(100, 10_000, SOON, group_items=3, group_bytes=50))
    committer.submit(a_message())
    publisher.wait_for_groups(1)
    for size in (1, 1, 1, 1, 40, 20, 200):
        committer.submit(a_message("x" * size))
    for index in range(5):
        publisher.wait_for_groups(index + 1)
        publisher.let_go(index)

    groups = [[len(message.value) for message in messages] for messages, _ in publisher.held]
    assert groups == [[1], [1, 1, 1], [1, 40], [20], [200]]


@pytest.mark.parametrize("bounds", [Bounds(2, 1000, SOON), Bounds(100, 20, SOON)], ids=["items", "bytes"])
def test_at_the_bound_a_submission_is_refused_at_once_and_room_comes_back(
    publisher: HeldPublisher, make: Make, bounds: Bounds
) -> None:
    committer = make(publisher, bounds)
    tickets = [committer.submit(a_message("x" * 10)) for _ in range(2)]
    with pytest.raises(OverloadedError):
        committer.submit(a_message("x" * 10))

    publisher.wait_for_groups(1)
    publisher.let_go(0)
    tickets[0].result(SOON)
    if len(publisher.held[0][0]) == 1:
        publisher.wait_for_groups(2)
        publisher.let_go(1)
    tickets[1].result(SOON)
    committer.submit(a_message("x" * 10))


def test_each_member_of_a_group_has_its_own_outcome(topic: MemoryTopic, publisher: HeldPublisher, make: Make) -> None:
    committer = make(publisher)
    committer.submit(a_message("first"))
    publisher.wait_for_groups(1)
    tickets = {text: committer.submit(a_message(text)) for text in ("good", "bad", "fine")}
    publisher.let_go(0)
    publisher.wait_for_groups(2)
    messages, done = publisher.held[1]
    done([StreamError("no") if message.value == b"bad" else topic.append(message) for message in messages])

    assert refusal(tickets["bad"]).reason == "broker"
    tickets["good"].result(SOON)
    tickets["fine"].result(SOON)
    assert texts(topic) == ["first", "good", "fine"]


def test_a_silent_broker_is_given_up_at_the_deadline_and_what_waits_is_never_sent(
    topic: MemoryTopic, publisher: HeldPublisher, make: Make
) -> None:
    committer = make(publisher, Bounds(100, 1000, 0.2))
    sent = committer.submit(a_message("sent"))
    publisher.wait_for_groups(1)
    waiting = committer.submit(a_message("waiting"))

    assert refusal(sent).ambiguous
    assert not refusal(waiting).ambiguous
    with pytest.raises(NotCommittedError):
        committer.submit(a_message("too soon"))

    publisher.let_go(0)  # the broker was only slow: it is trusted again at once
    later = committer.submit(a_message("later"))
    publisher.wait_for_groups(2)
    publisher.let_go(1)
    later.result(SOON)
    assert texts(topic) == ["sent", "later"]


def test_a_broker_out_of_reach_refuses_at_once_until_it_is_back(topic: MemoryTopic, make: Make) -> None:
    committer = make(MemoryPublisher(topic))
    topic.broken = True
    assert refusal(committer.submit(a_message())).reason == "broker"
    with pytest.raises(NotCommittedError, match="breaker"):
        committer.submit(a_message(partition=5))

    topic.broken = False
    assert eventually_accepted(committer, a_message(partition=5)) == Receipt(5, 0)
    assert committer.submit(a_message(partition=4)).result(SOON) == Receipt(4, 0)


def eventually_accepted(committer: Committer, message: Message) -> Receipt:
    until = time.monotonic() + SOON
    while True:
        try:
            return committer.submit(message).result(SOON)
        except NotCommittedError:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_one_partition_failing_leaves_the_others_open(publisher: HeldPublisher, make: Make) -> None:
    committer = make(publisher)
    for index in range(2):
        failed = committer.submit(a_message(partition=0))
        publisher.wait_for_groups(index + 1)
        publisher.fail(index)
        refusal(failed)

    with pytest.raises(NotCommittedError, match="breaker"):
        committer.submit(a_message(partition=0))
    healthy = committer.submit(a_message(partition=1))
    publisher.wait_for_groups(3)
    publisher.let_go(2)
    assert healthy.result(SOON) == Receipt(1, 0)


def test_a_defect_in_the_publisher_answers_its_group_and_the_next_one_goes_on(topic: MemoryTopic, make: Make) -> None:
    class Faulty(MemoryPublisher):
        def publish(self, messages: Sequence[Message], done: Callable[[list[Outcome]], None]) -> None:
            if self.topic.broken:
                raise ValueError("a defect")
            super().publish(messages, done)

    committer = make(Faulty(topic))
    topic.broken = True
    refusal(committer.submit(a_message()))
    topic.broken = False
    assert eventually_accepted(committer, a_message("next")) == Receipt(0, 0)


def test_a_loop_awaits_receipts_and_refusals(topic: MemoryTopic, publisher: HeldPublisher, make: Make) -> None:
    committer = make(publisher)

    async def submit_all() -> list[Receipt]:
        tickets = [committer.submit(a_message(str(number))) for number in range(50)]
        threading.Thread(target=let_all_go, args=(publisher, 50)).start()
        return [await ticket for ticket in tickets] + [await tickets[0]]

    offsets = [receipt.offset for receipt in asyncio.run(submit_all())]
    assert offsets == [*range(50), 0]

    async def refused() -> None:
        topic.broken = True
        ticket = committer.submit(a_message())
        publisher.wait_for_groups(len(publisher.held) + 1)
        publisher.let_go(-1)
        await ticket

    with pytest.raises(NotCommittedError):
        asyncio.run(refused())


def let_all_go(publisher: HeldPublisher, count: int) -> None:
    gone = groups = 0
    while gone < count:
        publisher.wait_for_groups(groups + 1)
        publisher.let_go(groups)
        gone += len(publisher.held[groups][0])
        groups += 1


def test_one_call_into_the_loop_wakes_a_whole_group(
    publisher: HeldPublisher, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    committer = make(publisher)
    committer.submit(a_message())
    publisher.wait_for_groups(1)
    calls: list[int] = []

    async def submit_all() -> None:
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe

        def counted(*args: Any) -> Any:
            calls.append(1)
            return wake(*args)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        waits = [asyncio.ensure_future(wait(committer.submit(a_message()))) for _ in range(20)]
        await asyncio.sleep(0)
        publisher.let_go(0)
        publisher.wait_for_groups(2)
        publisher.let_go(1)
        await asyncio.gather(*waits)

    asyncio.run(submit_all())
    assert len(calls) == 1


async def wait(ticket: Ticket) -> Receipt:
    return await ticket


def test_closing_waits_for_what_is_here_and_refuses_what_comes(topic: MemoryTopic, publisher: HeldPublisher) -> None:
    committer = Committer(publisher, ROOMY)
    first = committer.submit(a_message("first"))
    publisher.wait_for_groups(1)
    second = committer.submit(a_message("second"))
    closer = threading.Thread(target=committer.close, args=(SOON,))
    closer.start()
    publisher.let_go(0)
    publisher.wait_for_groups(2)
    publisher.let_go(1)
    closer.join(SOON)

    assert [first.result(0).offset, second.result(0).offset] == [0, 1]
    with pytest.raises(NotCommittedError, match="closing"):
        committer.submit(a_message())


def test_closing_gives_up_after_its_time(publisher: HeldPublisher) -> None:
    committer = Committer(publisher, ROOMY)
    sent = committer.submit(a_message())
    publisher.wait_for_groups(1)
    waiting = committer.submit(a_message())
    committer.close(0.1)

    assert refusal(sent).ambiguous
    assert not refusal(waiting).ambiguous


def test_many_threads_keep_each_partitions_order(topic: MemoryTopic, make: Make) -> None:
    committer = make(MemoryPublisher(topic))
    receipts: dict[str, Receipt] = {}

    def submit_some(name: int) -> None:
        tickets = {f"{name}-{n}": committer.submit(a_message(f"{name}-{n}", partition=name % 3)) for n in range(200)}
        receipts.update({text: ticket.result(SOON) for text, ticket in tickets.items()})

    threads = [threading.Thread(target=submit_some, args=(name,)) for name in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(receipts) == 12 * 200
    for name in range(12):
        offsets = [receipts[f"{name}-{number}"].offset for number in range(200)]
        assert offsets == sorted(offsets)
    assert sorted(texts(topic, 0)) == sorted(text for text in receipts if int(text.split("-")[0]) % 3 == 0)
