from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection, transaction

from apps.archive import offsets, queries, writer
from apps.archive.models import FormCounter, Submission, Tombstone, UnreadRecord
from apps.archive.offsets import OffsetMovedError
from apps.archive.tests.rows import FORM, ORGANIZATION, a_row
from apps.archive.writer import Row, Unread, Written

pytestmark = [pytest.mark.services, pytest.mark.django_db]
OTHER_FORM = UUID("0190a1b2-0000-7000-8000-0000000000f2")
TOPIC_ID = "ToPiC"

# Whatever the strict parser lets through, spelled so that a slip in COPY's text format would show.
AWKWARD = [
    pytest.param("C:\\new\\table", id="backslashes"),
    pytest.param("a\tb\nc\rd", id="tabs and line breaks"),
    pytest.param("\\N", id="COPY's null"),
    pytest.param("\\.", id="COPY's end"),
    pytest.param('say "hello"', id="quotes"),
    pytest.param("O'Brien <b>&amp;</b>", id="markup"),
    pytest.param("\x01\x7f\u2028\u200b", id="control characters"),
    pytest.param("नमस्ते 👩🏽‍🚀 e\u0301", id="scripts, emoji, combining marks"),
    pytest.param(2**63 - 1, id="a long number"),
    pytest.param(0.1, id="a decimal"),
    pytest.param([{"deep": [None, True]}], id="nesting"),
]


def stored() -> list[tuple[int, UUID]]:
    return list(Submission.objects.order_by("position").values_list("position", "id"))


def incoming() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM archive_incoming")
        count: int = cursor.fetchone()[0]
    return count


def a_refused_row(position: int, **changes: Any) -> Row:
    """No json value holds NUL for Postgres."""
    return a_row(position, answers={"name": "a\0b"}, **changes)


@pytest.mark.parametrize("answer", AWKWARD)
def test_an_answer_comes_back_as_it_was(answer: Any) -> None:
    row = a_row(answers={"answer": answer, "key\t\\": answer}, meta={"source": answer})

    assert writer.write([row]) == Written(inserted=1)

    found = queries.get(FORM, row.id)
    assert found is not None
    assert (found.answers, found.meta) == (row.answers, row.meta)


def test_everything_beside_the_answers_comes_back_too() -> None:
    accepted_at = datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)
    row = a_row(7, version=3, accepted_at=accepted_at, late=True)

    writer.write([row])

    found = queries.get(FORM, row.id)
    assert found is not None
    assert (found.organization_id, found.form_id, found.version) == (ORGANIZATION, FORM, 3)
    assert (found.position, found.accepted_at, found.late) == (7, accepted_at, True)


def test_a_batch_of_thousands_is_written_whole() -> None:
    batch = [a_row(position) for position in range(1, 2002)]

    assert writer.write(batch).inserted == 2001
    assert stored() == [(row.position, row.id) for row in batch]


def test_nothing_to_write_is_no_work() -> None:
    assert writer.write([]) == Written(0)


def test_of_two_copies_in_a_batch_the_earlier_is_kept() -> None:
    first = a_row(5)
    second = a_row(9, id=first.id, answers={"name": "A later copy"})

    assert writer.write([second, first]).inserted == 1

    found = queries.get(FORM, first.id)
    assert found is not None
    assert (found.position, found.answers) == (5, first.answers)


def test_what_is_there_already_stays_as_it_is() -> None:
    row = a_row(5)
    writer.write([row])

    again = writer.write([a_row(9, id=row.id, answers={"name": "A later copy"}), a_row(10)])

    assert again.inserted == 1
    assert [position for position, _ in stored()] == [5, 10]


def test_one_id_at_two_forms_is_two_submissions() -> None:
    row = a_row(5)

    assert writer.write([row, a_row(5, id=row.id, form=OTHER_FORM)]).inserted == 2


def test_what_was_erased_never_comes_back() -> None:
    erased, kept = a_row(1), a_row(2)
    Tombstone.objects.create(form_id=FORM, submission_id=erased.id)

    assert writer.write([erased, kept]).inserted == 1

    assert stored() == [(2, kept.id)]
    assert queries.count(FORM) == 1


def test_a_tombstone_is_for_its_form_alone() -> None:
    row = a_row(1)
    Tombstone.objects.create(form_id=OTHER_FORM, submission_id=row.id)

    assert writer.write([row]).inserted == 1


def test_counters_rise_by_what_was_new() -> None:
    one, two, three = a_row(1), a_row(2), a_row(3, form=OTHER_FORM)
    writer.write([one, two, three])

    writer.write([one, a_row(8), a_row(4, id=two.id)])

    counters = dict(FormCounter.objects.values_list("form_id", "count"))
    assert counters == {FORM: 3, OTHER_FORM: 1}


def test_a_counter_knows_when_the_last_was_accepted() -> None:
    early, late = a_row(1), a_row(2)

    writer.write([late])
    writer.write([early])

    assert FormCounter.objects.get(form_id=FORM).last_at == late.accepted_at


@pytest.mark.parametrize("refused", [{3}, {0}, {7}, {2, 3}, set(range(8))], ids=str)
def test_refused_rows_are_found_and_the_others_written(refused: set[int]) -> None:
    batch = [
        a_refused_row(number + 1, source=number) if number in refused else a_row(number + 1, source=number)
        for number in range(8)
    ]

    written = writer.write(batch)

    assert {source for source, _ in written.refused} == refused
    assert written.inserted == 8 - len(refused)
    assert [position for position, _ in stored()] == [row.position for row in batch if row.source not in refused]
    assert queries.count(FORM) == 8 - len(refused)


def test_a_batch_can_be_written_after_one_that_was_refused() -> None:
    with transaction.atomic():
        writer.write([a_row(1), a_refused_row(2, source=1)])
        assert writer.write([a_row(3)]).inserted == 1

    assert [position for position, _ in stored()] == [1, 3]


def test_a_second_batch_of_a_transaction_copies_its_own_rows_alone() -> None:
    with transaction.atomic():
        writer.write([a_row(1), a_row(2)])
        writer.write([a_row(3)])
        assert incoming() == 1


def test_trouble_with_the_connection_is_not_blamed_on_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(rows: object) -> int:
        raise OperationalError("the connection was lost")

    monkeypatch.setattr(writer, "_insert", away)

    with pytest.raises(OperationalError):
        writer.write([a_row(1), a_row(2)])


def an_unread(offset: int = 5, **changes: Any) -> Unread:
    values: dict[str, Any] = {
        "topic": "submissions.v1",
        "topic_id": TOPIC_ID,
        "partition": 2,
        "offset": offset,
        "key": b"\xff",
        "value": b"\x00not json\xff",
        "headers": [("v", b"9"), ("odd", b"\xfe")],
        "code": "unknown_version",
        "reason": "wire version 9 is not known here",
    }
    return Unread(**values | changes)


def test_a_record_that_cannot_be_read_is_kept_byte_for_byte() -> None:
    writer.keep_unread([an_unread()])

    kept = UnreadRecord.objects.get()
    assert (bytes(kept.key or b""), bytes(kept.value)) == (b"\xff", b"\x00not json\xff")
    assert [(name, value.encode("latin-1")) for name, value in kept.headers] == [("v", b"9"), ("odd", b"\xfe")]
    assert (kept.code, kept.partition, kept.offset) == ("unknown_version", 2, 5)


def test_it_is_kept_once_however_often_it_is_met() -> None:
    writer.keep_unread([an_unread(), an_unread(6)])
    writer.keep_unread([an_unread(), an_unread(5, topic_id="another log")])

    assert UnreadRecord.objects.count() == 3


def test_a_long_reason_is_cut_to_what_the_column_holds() -> None:
    writer.keep_unread([an_unread(reason="x" * 2000)])

    assert len(UnreadRecord.objects.get().reason) == 500


def at_offset(offset: int) -> None:
    offsets.place(writer.GROUP, "submissions.v1", TOPIC_ID, 0, {0: offset})


def take(batch: list[Row], first: int, after: int) -> None:
    """A consumer's transaction: what it read, what it could not, and how far it came."""
    with transaction.atomic():
        written = writer.write(batch)
        writer.keep_unread([an_unread(batch[source].position) for source, _ in written.refused])
        writer.advance(TOPIC_ID, {0: (first, after)})


def crash_after(batch: list[Row]) -> None:
    with transaction.atomic():
        writer.write(batch)
        raise KeyboardInterrupt


def test_rows_unread_records_and_offsets_move_together() -> None:
    at_offset(10)

    take([a_row(10), a_refused_row(11, source=1), a_row(12)], 10, 13)

    assert [position for position, _ in stored()] == [10, 12]
    assert UnreadRecord.objects.get().offset == 11
    assert offsets.stored(writer.GROUP, TOPIC_ID) == {0: 13}


@pytest.mark.usefixtures("committed")
def test_an_offset_that_somebody_moved_takes_everything_back() -> None:
    at_offset(10)
    take([a_row(10)], 10, 11)

    with pytest.raises(OffsetMovedError):
        take([a_row(10), a_refused_row(11, source=1)], 10, 12)

    assert [position for position, _ in stored()] == [10]
    assert UnreadRecord.objects.count() == 0
    assert queries.count(FORM) == 1
    assert offsets.stored(writer.GROUP, TOPIC_ID) == {0: 11}


@pytest.mark.usefixtures("committed")
def test_a_crash_before_the_end_leaves_nothing_and_the_repeat_everything_once() -> None:
    at_offset(10)
    batch = [a_row(10), a_row(11)]

    with pytest.raises(KeyboardInterrupt):
        crash_after(batch)
    assert stored() == []
    take(batch, 10, 12)

    assert stored() == [(row.position, row.id) for row in batch]
    assert queries.count(FORM) == 2


@pytest.mark.usefixtures("committed")
def test_what_was_copied_and_taken_back_is_not_written_with_the_next_batch() -> None:
    with pytest.raises(KeyboardInterrupt):
        crash_after([a_row(1)])

    writer.write([a_row(2)])

    assert [position for position, _ in stored()] == [2]
    assert incoming() == 0
