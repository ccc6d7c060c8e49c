from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.archive import writer
from apps.archive.admin.lists import DeepList
from apps.archive.models import UnreadRecord
from apps.archive.tests.rows import a_form, a_row, rows
from apps.archive.writer import Row, Unread
from apps.forms.models import Form
from apps.orgs.models import Membership, Role, User

pytestmark = [pytest.mark.services, pytest.mark.django_db]
LIST = reverse("admin:archive_submission_changelist")
UNREAD = reverse("admin:archive_unreadrecord_changelist")


def signed_in(*forms: Form, role: Role = Role.VIEWER, superuser: bool = False) -> Client:
    """A member of the forms' organizations."""
    user = User.objects.create_user(f"{uuid4().hex}@example.org", is_superuser=superuser)
    for form in forms:
        Membership.objects.create(organization=form.organization, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


def page_of(row: Row) -> str:
    return reverse("admin:archive_submission_change", args=[f"{row.form}~{row.id}"])


def listed(client: Client, address: str) -> list[int]:
    return [row.position for row in shown(client, address).result_list]


def shown(client: Client, address: str) -> DeepList:
    page = client.get(address)
    assert page.status_code == 200
    found: DeepList = page.context["cl"]
    return found


def offered(client: Client, address: str) -> list[tuple[UUID, str]]:
    """The forms to choose from."""
    forms: dict[UUID, str] = client.get(address).context["forms"]
    return list(forms.items())


@pytest.mark.parametrize("role", Role.values)
def test_every_member_reads_submissions_and_changes_none(role: Role) -> None:
    form = a_form()
    [row] = rows(form, [7])
    client = signed_in(form, role=role)

    assert "Person 7" in client.get(f"{LIST}?form={form.pk}").content.decode()
    page = client.get(page_of(row)).content.decode()
    assert "What is your name?" in page
    assert "Person 7" in page
    assert client.post(page_of(row), {"version": 9}).status_code == 403
    assert client.get(reverse("admin:archive_submission_add")).status_code == 403
    assert client.post(page_of(row).replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403


def test_a_member_of_another_organization_sees_nothing() -> None:
    form = a_form()
    [row] = rows(form, [7])
    stranger = signed_in(a_form("other"), role=Role.OWNER)

    assert listed(stranger, f"{LIST}?form={form.pk}") == []
    assert listed(stranger, f"{LIST}?q={row.id}") == []
    assert listed(stranger, f"{LIST}?form={form.pk}&p=-1") == []
    for address in (page_of(row), page_of(row).replace(f"{row.form}~", "")):
        assert stranger.get(address).status_code == 302
    page = stranger.get(f"{LIST}?form={form.pk}").content.decode()
    # Not even how many there are, or what was asked.
    assert not any(words in page for words in ("Person 7", "What is your name?", "archived so far"))


def test_a_row_is_checked_itself_and_not_its_form_alone() -> None:
    form, other = a_form(), a_form("other")
    rows(form, [7])
    writer.write([a_row(8, form=form.pk, organization=other.organization_id)])

    assert listed(signed_in(form), f"{LIST}?form={form.pk}") == [7]


def test_who_belongs_to_several_organizations_sees_the_forms_of_each() -> None:
    first, second = a_form(), a_form("other", title="Others")
    rows(first, [7])
    rows(second, [9])

    for client in (signed_in(first, second), signed_in(superuser=True)):
        assert listed(client, f"{LIST}?form={first.pk}") == [7]
        assert listed(client, f"{LIST}?form={second.pk}") == [9]
        assert dict(offered(client, f"{LIST}?form={first.pk}")) == {first.pk: "Guests", second.pk: "Others"}


def test_the_list_opens_on_the_form_that_was_answered_last() -> None:
    first, second = a_form(slug="first"), a_form(slug="second", title="Second")
    rows(first, [9])
    rows(second, [5])
    rows(a_form("other"), [99])
    client = signed_in(first)

    page = client.get(LIST)

    assert page.headers["Location"] == f"{LIST}?form={first.pk}"
    assert offered(client, page.headers["Location"]) == [(first.pk, "Guests"), (second.pk, "Second")]


def test_where_nothing_was_submitted_the_first_step_is_shown() -> None:
    page = signed_in(a_form()).get(LIST)

    assert page.status_code == 200
    assert "Nothing was submitted yet" in page.content.decode()


def test_a_column_in_the_address_filters_nothing() -> None:
    form = a_form()
    rows(form, [1])
    client = signed_in(form)

    for lookup in ("version=1", "answers__name=Person+1", f"organization={form.organization_id}"):
        assert client.get(f"{LIST}?form={form.pk}&{lookup}").status_code == 400


def test_what_came_late_says_so() -> None:
    form = a_form()
    writer.write([a_row(form=form.pk, organization=form.organization_id, late=True)])

    assert "1, came late" in signed_in(form).get(f"{LIST}?form={form.pk}").content.decode()


def test_a_form_that_is_not_among_the_last_answered_is_offered_when_it_is_chosen() -> None:
    form = a_form()
    client = signed_in(form)

    assert offered(client, f"{LIST}?form={form.pk}") == [(form.pk, "Guests")]


def test_pages_lead_to_older_ones_and_back_while_new_rows_come_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.archive.admin.submission.SubmissionAdmin.list_per_page", 3)
    form = a_form()
    rows(form, range(10, 80, 10))
    client = signed_in(form)

    first = shown(client, f"{LIST}?form={form.pk}")
    assert [row.position for row in first.result_list] == [70, 60, 50]
    assert first.newer_link == ""
    second = shown(client, LIST + first.older_link)
    assert [row.position for row in second.result_list] == [40, 30, 20]
    rows(form, [80, 90])
    last = shown(client, LIST + second.older_link)
    assert ([row.position for row in last.result_list], last.older_link) == ([10], "")
    assert listed(client, LIST + last.newer_link) == [40, 30, 20]
    back = shown(client, LIST + second.newer_link)
    assert [row.position for row in back.result_list] == [70, 60, 50]
    newest = shown(client, LIST + back.newer_link)
    assert ([row.position for row in newest.result_list], newest.newer_link) == ([90, 80, 70], "")


@pytest.mark.parametrize("page", ["0", "-1", "x", "--5", "9" * 40, "²", "-"])
def test_a_page_that_nobody_linked_to_shows_the_newest(page: str) -> None:
    form = a_form()
    rows(form, [1, 2])

    assert listed(signed_in(form), f"{LIST}?form={form.pk}&p={page}") == [2, 1]


def test_no_page_counts_or_skips_rows() -> None:
    form = a_form()
    rows(form, range(1, 200))
    client = signed_in(form)

    with CaptureQueriesContext(connection) as asked:
        listed(client, f"{LIST}?form={form.pk}&p=120")

    statements = [query["sql"] for query in asked.captured_queries if "archive_submission" in query["sql"]]
    assert len(statements) == 1
    assert not any(word in statements[0].upper() for word in ("COUNT(", "OFFSET", "DISTINCT"))


def test_a_list_reads_only_the_answers_that_it_shows() -> None:
    form = a_form()
    rows(form, [1])
    client = signed_in(form)

    with CaptureQueriesContext(connection) as asked:
        page = client.get(f"{LIST}?form={form.pk}").content.decode()

    [statement] = [query["sql"] for query in asked.captured_queries if "archive_submission" in query["sql"]]
    assert "meta" not in statement
    assert '"answers",' not in statement
    assert "Person 1" in page


def test_a_submission_is_searched_by_its_id_in_every_form() -> None:
    first, second = a_form(slug="first"), a_form(slug="second", title="Second")
    rows(first, [5])
    [wanted, _] = rows(second, [8, 9])
    client = signed_in(first)

    with CaptureQueriesContext(connection) as asked:
        assert listed(client, f"{LIST}?form={first.pk}&q={wanted.id}") == [8]
    [statement] = [query["sql"] for query in asked.captured_queries if "archive_submission" in query["sql"]]
    assert '"form_id" IN' in statement  # the key is form and id: by the id alone every row would be looked at
    page = client.get(f"{LIST}?q={wanted.id}").content.decode()
    assert "Second" in page
    assert page_of(wanted) in page


@pytest.mark.parametrize(
    "search", ["Person 5", "0190a1b2", str(uuid4())], ids=["an answer", "a piece", "an unknown id"]
)
def test_a_search_without_a_find_says_what_to_search_for(search: str) -> None:
    form = a_form()
    rows(form, [5])

    page = signed_in(form).get(LIST, {"q": search}).content.decode()

    assert "No submission has this id" in page


def test_an_answer_is_shown_as_text_whatever_it_holds() -> None:
    form = a_form()
    bad = "<script>alert(1)</script>"
    evil = a_row(form=form.pk, organization=form.organization_id, answers={"name": bad, bad: bad}, meta={bad: bad})
    writer.write([evil])
    client = signed_in(form)

    for address in (f"{LIST}?form={form.pk}", page_of(evil)):
        page = client.get(address).content.decode()
        assert bad not in page
        assert "&lt;script&gt;" in page


def test_a_submission_is_found_by_its_id_alone() -> None:
    form = a_form()
    [row] = rows(form, [7])

    page = signed_in(form).get(page_of(row).replace(f"{row.form}~", ""))

    assert "Person 7" in page.content.decode()


@pytest.mark.parametrize(
    "object_id",
    ["nothing", "nothing~nothing", f"{uuid4()}~", f"~{uuid4()}", str(uuid4())],
    ids=["a word", "two words", "a form alone", "a submission alone", "an unknown id"],
)
def test_what_is_no_submission_is_not_found(object_id: str) -> None:
    client = signed_in(a_form())

    assert client.get(reverse("admin:archive_submission_change", args=[object_id])).status_code == 302


def test_its_page_leads_to_where_it_was_delivered() -> None:
    form = a_form()
    [row] = rows(form, [7])

    page = signed_in(form).get(page_of(row)).content.decode()

    assert reverse("submission", args=[form.public_id, row.id]) in page


def an_unread(offset: int, **changes: Any) -> None:
    values: dict[str, Any] = {
        "topic": "submissions.v1",
        "topic_id": "A",
        "partition": 3,
        "offset": offset,
        "key": None,
        "value": b"the secret of Ada",
        "headers": [("id", b"secret header")],
        "code": "malformed",
        "reason": "not an envelope (ValueError)",
    }
    writer.keep_unread([Unread(**values | changes)])


def test_operators_see_where_an_unreadable_record_is_and_not_what_it_holds() -> None:
    an_unread(4711)
    client = signed_in(superuser=True)
    one = reverse("admin:archive_unreadrecord_change", args=[UnreadRecord.objects.get().pk])

    with CaptureQueriesContext(connection) as asked:
        pages = [client.get(address).content.decode() for address in (UNREAD, one)]

    for page in pages:
        assert all(text in page for text in ("malformed", "not an envelope (ValueError)", "4711", "17\xa0bytes"))
        assert "secret" not in page
    statements = [query["sql"] for query in asked.captured_queries if "archive_unreadrecord" in query["sql"]]
    assert statements
    assert not any('"value",' in statement or '"headers"' in statement for statement in statements)


@pytest.mark.parametrize("search", ["4711", "refused"], ids=["offset", "code"])
def test_unreadable_records_are_searched_by_offset_and_code(search: str) -> None:
    an_unread(4711, code="refused")
    an_unread(12)
    client = signed_in(superuser=True)

    assert [row.offset for row in shown(client, f"{UNREAD}?q={search}").result_list] == [4711]


def test_the_newest_unreadable_record_stands_first() -> None:
    an_unread(1)
    an_unread(2)

    assert [row.offset for row in shown(signed_in(superuser=True), UNREAD).result_list] == [2, 1]


def test_nobody_else_sees_unreadable_records_and_nobody_changes_one() -> None:
    an_unread(4711)
    record = UnreadRecord.objects.get()
    owner, operator = signed_in(a_form(), role=Role.OWNER), signed_in(superuser=True)
    one = reverse("admin:archive_unreadrecord_change", args=[record.pk])

    assert owner.get(UNREAD).status_code == 403
    assert owner.get(one).status_code == 403
    assert operator.post(one, {"reason": "none"}).status_code == 403
    assert operator.post(reverse("admin:archive_unreadrecord_delete", args=[record.pk])).status_code == 403
    assert operator.get(reverse("admin:archive_unreadrecord_add")).status_code == 403
