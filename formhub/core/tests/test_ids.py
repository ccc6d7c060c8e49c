import time
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from formhub.core.ids import canonical, derived_id, public_id, uuid7


def test_a_uuid7_carries_the_present_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000

    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert before <= made.int >> 80 <= after


def test_uuid7s_of_later_milliseconds_sort_after_earlier_ones() -> None:
    first = uuid7()
    time.sleep(0.002)

    assert uuid7() > first


@given(st.text(max_size=50), st.binary(max_size=50), st.binary(max_size=50))
def test_the_same_key_and_answers_always_give_the_same_id(key: str, salt: bytes, body: bytes) -> None:
    made = derived_id(salt, key, body)

    assert made == derived_id(salt, key, body)
    assert made.version == 8
    assert made.variant == "specified in RFC 4122"


def test_moving_a_byte_between_key_and_answers_gives_another_id() -> None:
    assert derived_id(b"s", "ab", b"c") != derived_id(b"s", "a", b"bc")


def test_equal_answers_have_one_canonical_spelling() -> None:
    assert canonical({"b": 1, "a": {"d": 2, "c": 3}}) == canonical({"a": {"c": 3, "d": 2}, "b": 1})


def test_public_ids_differ_and_hold_no_look_alikes() -> None:
    made = {public_id() for _ in range(1000)}

    assert len(made) == 1000
    assert not set("".join(made)) & set("01iloO")
    assert isinstance(uuid7(), UUID)
