"""Rows in shared blocks behave as a list, and a copy is never touched."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sheets_emulator.grid import BLOCK, Rows

Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["set", "replace", "cut", "extend"]),
        st.integers(0, 3 * BLOCK),
        st.sampled_from([0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1]),
    ),
    max_size=8,
)


def rows(count: int, label: str) -> list[tuple[str, ...]]:
    return [(label, str(index)) for index in range(count)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2 * BLOCK + 5), STEPS)
def test_whatever_is_done_to_it_it_is_the_list_it_should_be(count: int, steps: list[Step]) -> None:
    plain = rows(count, "first")
    original = Rows(plain)
    changed, expected = original.copy(), list(plain)
    for number, (act, at, size) in enumerate(steps):
        at = min(at, len(expected))
        fresh = rows(size, f"step {number}")
        if act == "set" and at < len(expected):
            changed[at] = expected[at] = ("set", str(number))
        elif act == "replace":
            end = min(at + 3, len(expected))
            changed.replace(at, end, fresh)
            expected[at:end] = fresh
        elif act == "cut":
            changed.cut(at)
            del expected[at:]
        elif act == "extend":
            changed.extend(fresh)
            expected += fresh

    assert list(changed) == expected
    assert len(changed) == len(expected)
    assert changed.between(1, BLOCK + 1) == expected[1 : BLOCK + 1]
    assert original == plain
