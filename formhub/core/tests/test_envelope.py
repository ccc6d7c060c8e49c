from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formhub.core.envelope import (
    MAX_ENVELOPE_BYTES,
    Envelope,
    EnvelopeTooLargeError,
    UnreadableRecordError,
    decode,
    encode,
)

ENVELOPE = Envelope(
    id=UUID(int=1),
    organization=UUID(int=2),
    form=UUID(int=3),
    version=4,
    accepted_at=datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC),
    answers={"name": "Zoë", "age": 12, "tags": ["a"]},
    meta={"source": "newsletter"},
)


def test_an_envelope_comes_back_from_the_wire_unchanged() -> None:
    value, headers = encode(ENVELOPE)

    assert decode(value, headers) == ENVELOPE


def test_the_record_key_is_the_form_so_that_a_form_stays_in_one_partition() -> None:
    assert ENVELOPE.key == str(UUID(int=3)).encode()


def test_members_added_by_a_later_writer_are_ignored() -> None:
    value, headers = encode(ENVELOPE)
    body = orjson.loads(value) | {"added_later": True}

    assert decode(orjson.dumps(body), headers) == ENVELOPE


def test_an_unknown_wire_version_is_told_apart_from_damage() -> None:
    value, _ = encode(ENVELOPE)

    with pytest.raises(UnreadableRecordError) as caught:
        decode(value, (("v", b"2"),))

    assert caught.value.code == "unknown_version"


@given(
    st.one_of(st.binary(max_size=200), st.dictionaries(st.text(), st.integers() | st.text()).map(repr).map(str.encode))
)
def test_whatever_else_lies_in_the_log_is_called_malformed(value: bytes) -> None:
    with pytest.raises(UnreadableRecordError) as caught:
        decode(value, (("v", b"1"),))

    assert caught.value.code == "malformed"


@pytest.mark.parametrize("member", ["id", "organization", "form", "version", "accepted_at", "answers", "meta"])
def test_an_envelope_with_a_wrong_member_is_malformed_and_says_nothing_of_the_answers(member: str) -> None:
    value, headers = encode(ENVELOPE)
    body = orjson.loads(value) | {member: ["secret answer"]}

    with pytest.raises(UnreadableRecordError) as caught:
        decode(orjson.dumps(body), headers)

    assert "secret" not in str(caught.value)


def test_an_envelope_over_the_limit_is_refused_before_it_is_sent() -> None:
    large = Envelope(
        id=UUID(int=1), organization=UUID(int=2), form=UUID(int=3), version=1,
        accepted_at=ENVELOPE.accepted_at, answers={"text": "x" * MAX_ENVELOPE_BYTES},
    )  # fmt: skip

    with pytest.raises(EnvelopeTooLargeError):
        encode(large)
