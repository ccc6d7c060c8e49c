import pytest

from formhub.core.position import MAX_EPOCH, MAX_OFFSET, place, position


def test_positions_of_a_later_epoch_come_after_all_of_an_earlier_one() -> None:
    assert position(1, 0) > position(0, MAX_OFFSET)


@pytest.mark.parametrize(("epoch", "offset"), [(0, 0), (3, 17), (MAX_EPOCH, MAX_OFFSET)])
def test_a_position_is_exact_in_a_double_and_can_be_taken_apart(epoch: int, offset: int) -> None:
    value = position(epoch, offset)

    assert int(float(value)) == value
    assert place(value) == (epoch, offset)


@pytest.mark.parametrize(("epoch", "offset"), [(-1, 0), (0, -1), (MAX_EPOCH + 1, 0), (0, MAX_OFFSET + 1)])
def test_a_position_that_would_lose_digits_is_refused(epoch: int, offset: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        position(epoch, offset)
