from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from apps.archive import erasing, queries, writer
from apps.archive.models import FormCounter, FormTombstone, Submission, Tombstone, UnreadRecord
from apps.archive.tests.rows import FORM, a_form, a_row, rows
from apps.archive.writer import Unread
from formhub.core.envelope import Headers
from formhub.core.ids import uuid7

pytestmark = [pytest.mark.services, pytest.mark.django_db]
AT_ONCE = timedelta(hours=-1)  # a test's transaction has one time from its beginning on


def kept() -> list[UUID]:
    return list(Submission.objects.order_by("position").values_list("id", flat=True))


def an_unread(offset: int, submission: UUID, *, form: UUID = FORM, value: bytes = b"{", named: bool = True) -> Unread:
    headers: Headers = (("v", b"9"), ("id", str(submission).encode())) if named else (("v", b"9"),)
    return Unread("t", "A", 0, offset, str(form).encode(), value, headers, "unknown_version", "not known here")


def erase(form: UUID, *ids: UUID) -> int:
    erasing.bury(form, ids)
    return erasing.remove(form, ids)


def test_an_erased_submission_is_gone_from_the_archive_and_from_the_count() -> None:
    first, second, third = (a_row(place) for place in (1, 2, 3))
    writer.write([first, second, third])

    assert erase(FORM, second.id, third.id) == 2

    assert kept() == [first.id]
    assert queries.count(FORM) == 1


def test_erasing_again_changes_nothing() -> None:
    row, other = a_row(1), a_row(2)
    writer.write([row, other])
    erase(FORM, row.id)
    tombstone = Tombstone.objects.get()

    assert erase(FORM, row.id) == 0

    assert Tombstone.objects.get().created_at == tombstone.created_at
    assert queries.count(FORM) == 1


def test_it_never_comes_back_out_of_the_log() -> None:
    row, later = a_row(1), a_row(2)
    writer.write([row])
    erase(FORM, row.id)

    assert writer.write([row, later]).inserted == 1
    assert kept() == [later.id]
    assert queries.count(FORM) == 1


def test_one_that_was_not_archived_yet_never_will_be() -> None:
    row = a_row(1)
    erase(FORM, row.id)

    assert writer.write([row]).inserted == 0


def test_the_same_id_at_another_form_stays() -> None:
    row = a_row(1)
    elsewhere = a_row(1, form=uuid4(), id=row.id)
    writer.write([row, elsewhere])

    erase(FORM, row.id)

    assert queries.get(elsewhere.form, row.id) is not None


def test_a_row_that_comes_back_all_the_same_is_shown_and_delivered_to_nobody() -> None:
    row, other = a_row(1), a_row(2)
    writer.write([row, other])
    erasing.bury(FORM, [row.id])  # as if the row had been restored, or brought in by what had begun before

    assert queries.get(FORM, row.id) is None
    assert [found.id for found in queries.by_ids(FORM, [row.id, other.id])] == [other.id]
    assert [found.id for found in queries.after(FORM, 0, None, 10)] == [other.id]
    with queries.page(FORM, beyond=None, limit=10, newest_first=True) as page:
        assert [found.id for found in page] == [other.id]


def test_records_that_could_not_be_read_go_with_it() -> None:
    erased, other = uuid7(), uuid7()
    writer.keep_unread(
        [
            an_unread(1, erased),
            an_unread(2, erased, named=False, value=b'{"id": "%s", "answers' % str(erased).encode()),
            an_unread(3, other),
            an_unread(4, erased, form=uuid4()),
        ]
    )

    erase(FORM, erased)

    assert sorted(UnreadRecord.objects.values_list("offset", flat=True)) == [3, 4]


def test_none_is_kept_aside_when_the_log_is_read_again() -> None:
    erased, other = uuid7(), uuid7()
    erase(FORM, erased)

    writer.keep_unread([an_unread(1, erased), an_unread(2, other), Unread("t", "A", 0, 3, None, b"", (), "x", "y")])

    assert sorted(UnreadRecord.objects.values_list("offset", flat=True)) == [2, 3]


def test_a_form_that_is_deleted_takes_all_of_its_submissions_along() -> None:
    form, other = a_form(), a_form("other")
    rows(form, range(1, 6))
    [stays] = rows(other, [1])
    id = form.pk

    form.delete()

    assert (FormTombstone.objects.get().pk, FormTombstone.objects.get().submissions) == (id, 5)
    assert [erasing.remove_some(id, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert kept() == [stays.id]
    assert not FormCounter.objects.filter(form_id=id).exists()
    assert FormTombstone.objects.get().erased == 5
    assert writer.write([a_row(9, form=id)]).inserted == 0


def test_so_do_the_forms_of_an_organization() -> None:
    form = a_form()
    id = form.pk
    rows(form, [1])

    form.organization.delete()

    assert FormTombstone.objects.get().pk == id


def test_what_came_back_is_opened_again() -> None:
    row, form = a_row(1), uuid4()
    erasing.bury(FORM, [row.id])
    erasing.bury_form(form)
    Tombstone.objects.update(finished_at="2026-01-01T00:00Z")
    FormTombstone.objects.update(finished_at="2026-01-01T00:00Z")
    assert erasing.reopen() == 0

    # Neither is let in through the writer any more.
    Submission.objects.create(
        organization_id=row.organization, form_id=FORM, id=row.id, version=1, position=1,
        accepted_at=row.accepted_at, archived_at=row.accepted_at, answers={},
    )  # fmt: skip
    Submission.objects.create(
        organization_id=row.organization, form_id=form, id=uuid7(), version=1, position=1,
        accepted_at=row.accepted_at, archived_at=row.accepted_at, answers={},
    )  # fmt: skip

    assert erasing.reopen() == 2
    assert Tombstone.objects.get().finished_at is None
    assert FormTombstone.objects.get().finished_at is None


def test_a_tombstone_is_settled_when_nothing_from_before_it_can_be_left_and_it_is_in_the_journal() -> None:
    erasing.bury(FORM, [uuid7()])
    [row] = erasing.to_journal(10)

    assert erasing.settled(0, 10, AT_ONCE) == []
    erasing.journaled([row])
    assert erasing.settled(0, 10) == []
    assert erasing.settled(0, 10, AT_ONCE) == [row]
    erasing.finish([row])
    assert erasing.settled(0, 10, AT_ONCE) == []
