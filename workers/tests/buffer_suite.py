"""What every buffer promises."""

from uuid import UUID, uuid4

import pytest

from formhub.core.position import MAX_EPOCH, MAX_OFFSET, position
from workers.buffer.base import Buffer, Group, Limits

LIMITS = Limits(binding=10, total=25)


def group(positions: list[int], binding: int = 1, *, destination: int = 7, wait: float = 10, full: int = 5) -> Group:
    return Group(binding, destination, wait, full, [(position, uuid_at(position)) for position in positions])


def uuid_at(position: int) -> UUID:
    return UUID(int=position)


class BufferSuite:
    """A subclass gives the fixture `buffer`, an empty one with LIMITS."""

    def test_entries_stand_in_the_order_of_the_log(self, buffer: Buffer) -> None:
        buffer.append([group([3, 5])], 0)
        buffer.append([group([1, 4])], 0)

        assert buffer.peek(1, 3) == [(1, uuid_at(1)), (3, uuid_at(3)), (4, uuid_at(4))]

    def test_an_append_repeated_adds_nothing(self, buffer: Buffer) -> None:
        first = buffer.append([group([1, 2])], 0)
        second = buffer.append([group([1, 2])], 0)

        assert (first.added, second.added) == (2, 0)
        assert buffer.sizes([1, 2]) == {1: 2, 2: 0}
        assert buffer.total() == 2

    def test_an_entry_keeps_its_first_position(self, buffer: Buffer) -> None:
        submission = uuid4()
        buffer.append([Group(1, 7, 10, 5, [(4, submission)])], 0)
        buffer.append([Group(1, 7, 10, 5, [(9, submission)])], 0)

        assert buffer.peek(1, 10) == [(4, submission)]

    def test_the_largest_position_is_kept_exactly(self, buffer: Buffer) -> None:
        largest = position(MAX_EPOCH, MAX_OFFSET)
        buffer.append([group([largest - 1, largest], full=2)], 0)

        assert [at for at, _ in buffer.peek(1, 2)] == [largest - 1, largest]
        assert buffer.settle(7, {1: largest - 1}, 0, 10, 5) == 1

    def test_an_action_at_its_cap_is_named_with_the_first_position_left_out(self, buffer: Buffer) -> None:
        appended = buffer.append([group(list(range(12))), group([3], binding=2)], 0)

        assert appended.over == {1: 10}
        assert buffer.sizes([1, 2]) == {1: 10, 2: 1}

    def test_the_buffer_as_a_whole_has_a_cap(self, buffer: Buffer) -> None:
        groups = [group(list(range(10)), binding=binding) for binding in (1, 2, 3)]

        assert buffer.append(groups, 0).over == {3: 5}
        assert buffer.total() == 25

    def test_a_destination_is_due_when_its_oldest_entry_has_waited(self, buffer: Buffer) -> None:
        buffer.append([group([1])], 100)
        buffer.append([group([2])], 105)

        assert buffer.due(109, 10, 200) == []
        assert buffer.due(110, 10, 200) == [7]

    def test_a_full_batch_makes_it_due_at_once(self, buffer: Buffer) -> None:
        buffer.append([group([1, 2, 3, 4])], 100)
        assert buffer.due(100, 10, 200) == []

        buffer.append([group([5])], 100)
        assert buffer.due(100, 10, 200) == [7]

    def test_what_one_beat_has_taken_another_does_not_get(self, buffer: Buffer) -> None:
        buffer.append([group([1], wait=0)], 100)

        assert buffer.due(100, 10, 130) == [7]
        assert buffer.due(100, 10, 130) == []
        assert buffer.due(130, 10, 160) == [7]

    def test_the_longest_due_come_first(self, buffer: Buffer) -> None:
        buffer.set_due([1], 30)
        buffer.set_due([2, 3], 20)

        assert set(buffer.due(50, 2, 90)) == {2, 3}
        assert buffer.due(50, 2, 90) == [1]

    @pytest.mark.parametrize(
        ("up_to", "left", "due_at"),
        [
            pytest.param(7, 0, None, id="nothing left: not due"),
            pytest.param(1, 6, 100, id="another full batch: due at once"),
            pytest.param(5, 2, 110, id="a few left: due after the wait"),
        ],
    )
    def test_settling_removes_what_is_done_and_says_when_to_come_again(
        self, buffer: Buffer, up_to: int, left: int, due_at: float | None
    ) -> None:
        buffer.append([group([1, 2, 3, 4, 5, 6, 7])], 90)

        assert buffer.settle(7, {1: up_to}, 100, 10, 5) == left
        assert buffer.total() == left
        found = [at for at in (100, 109, 110) if buffer.due(at, 10, 1000)]
        assert found == ([] if due_at is None else [due_at])

    def test_an_erased_submission_is_forgotten(self, buffer: Buffer) -> None:
        buffer.append([group([1, 2]), group([1], binding=2)], 0)

        buffer.forget([1, 2], [uuid_at(1)])

        assert buffer.sizes([1, 2]) == {1: 1, 2: 0}
        assert buffer.total() == 1

    def test_a_dropped_action_leaves_nothing(self, buffer: Buffer) -> None:
        buffer.append([group([1, 2])], 0)

        assert buffer.bindings() == {1}

        buffer.drop(1)

        assert buffer.bindings() == set()
        assert buffer.total() == 0

    def test_thousands_fit_into_one_append(self, roomy: Buffer) -> None:
        entries = [(index, uuid4()) for index in range(20_000)]

        appended = roomy.append([Group(1, 7, 10, 1000, entries[:15_000]), Group(2, 7, 10, 1000, entries[15_000:])], 0)

        assert appended.added == 20_000
        assert roomy.peek(1, 15_000) == entries[:15_000]
