from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.test import Client, override_settings
from pytest_django import DjangoAssertNumQueries

from apps.archive import queries, writer
from apps.archive.models import Submission
from apps.archive.tests.rows import a_form, a_row, rows
from apps.console.api import submissions
from apps.console.tests.cast import a_key, a_member
from apps.forms.models import Form
from apps.intake.commit import Committer
from apps.intake.gate.memory import MemoryStore
from apps.intake.tests.outboxes import kept
from apps.orgs import keys
from apps.orgs.models import Role
from apps.sinks import actions
from apps.sinks.config import Settings
from apps.sinks.models import Batch, BatchItem, BatchState, Binding, Parked
from apps.sinks.tests.kinds import Shelf

pytestmark = [pytest.mark.services, pytest.mark.django_db]
Caller = Callable[[Form], Client]


def address(form: Form, id: object = "") -> str:
    return f"/api/v1/forms/{form.public_id}/submissions{f'/{id}' if id else ''}"


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code
    return body


def listed(client: Client, form: Form, **parameters: Any) -> dict[str, Any]:
    answer = client.get(address(form), parameters)
    assert answer.status_code == 200, answer.content
    page: dict[str, Any] = answer.json()
    return page


def positions(page: dict[str, Any]) -> list[int]:
    return [row["position"] for row in page["results"]]


ALLOWED: list[Any] = [
    *(pytest.param(lambda form, role=role: a_member(form, role), id=f"member: {role}") for role in Role.values),
    pytest.param(lambda form: a_member(None, is_superuser=True), id="superuser"),
    pytest.param(lambda form: a_key(form, "read"), id="key: read"),
    pytest.param(lambda form: a_key(form, "manage"), id="key: manage"),
    pytest.param(lambda form: a_key(form, "submit", "read"), id="key: submit and read"),
    pytest.param(lambda form: a_key(form, "read", bound_to=form), id="key bound to the form"),
]
REFUSED: list[Any] = [
    pytest.param(lambda form: Client(), 401, "not_authenticated", id="nobody"),
    pytest.param(lambda form: Client(headers={"Authorization": "Bearer fh_live_x"}), 401, "invalid_key", id="bad key"),
    pytest.param(lambda form: a_key(form, "submit"), 403, "key_not_allowed", id="key: submit only"),
    pytest.param(lambda form: a_member(None), 404, "not_found", id="signed in, no member"),
    pytest.param(lambda form: a_member(a_form("other"), Role.OWNER), 404, "not_found", id="owner of another"),
    pytest.param(lambda form: a_key(a_form("other"), "manage"), 404, "not_found", id="key of another"),
    pytest.param(
        lambda form: a_key(form, "read", bound_to=a_form(slug="second")), 404, "not_found", id="key of another form"
    ),
]


@pytest.mark.parametrize("caller", ALLOWED)
def test_who_has_the_right_reads_the_list_and_each_submission(caller: Caller) -> None:
    form = a_form()
    [row] = rows(form, [7])
    client = caller(form)

    all_of_them, one = client.get(address(form)), client.get(address(form, row.id))

    assert (all_of_them.status_code, one.status_code) == (200, 200)
    assert [found["id"] for found in all_of_them.json()["results"]] == [str(row.id)]
    assert one.json()["answers"] == row.answers
    assert {all_of_them.headers["Cache-Control"], one.headers["Cache-Control"]} == {"no-store"}


@pytest.mark.parametrize(("caller", "status", "code"), REFUSED)
def test_everybody_else_is_refused_in_one_way(caller: Caller, status: int, code: str) -> None:
    form = a_form()
    [row] = rows(form, [7])
    client = caller(form)

    for asked in (address(form), address(form, row.id)):
        answer = client.get(asked)
        problem(answer, status, code)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)


def test_a_form_of_others_and_none_at_all_are_told_apart_by_nothing() -> None:
    form = a_form()
    client = a_member(a_form("other"), Role.OWNER)

    foreign = problem(client.get(address(form)), 404, "not_found")
    missing = problem(client.get("/api/v1/forms/nothing/submissions"), 404, "not_found")

    assert foreign["detail"] == missing["detail"]


@pytest.mark.parametrize("name", ["nothing", "acme~nothing", "%00", "~", "x" * 500])
def test_a_name_that_no_form_has_is_not_found(name: str) -> None:
    client = a_member(a_form())

    problem(client.get(f"/api/v1/forms/{name}/submissions"), 404, "not_found")


def test_a_member_who_left_reads_no_more() -> None:
    form = a_form()
    client = a_member(form)
    assert client.get(address(form)).status_code == 200

    form.organization.memberships.all().delete()

    problem(client.get(address(form)), 404, "not_found")


def test_a_key_decides_alone_whatever_session_came_with_it() -> None:
    form = a_form()
    client = a_member(form, Role.OWNER)
    _, token = keys.create(organization=form.organization, name="submit", scopes=["submit"])

    problem(client.get(address(form), headers={"Authorization": f"Bearer {token}"}), 403, "key_not_allowed")


def test_a_form_is_named_by_its_organization_and_short_name_too() -> None:
    form = a_form()
    [row] = rows(form, [7])

    page = a_key(form, "read").get("/api/v1/forms/acme~guests/submissions").json()

    assert [(found["id"], found["form"]) for found in page["results"]] == [(str(row.id), form.public_id)]


def test_a_submission_is_shown_as_it_was_accepted() -> None:
    form = a_form()
    answers = {"name": "Ada", "age": 36.5, "note": "नमस्ते \U0001f469\n<b>", "big": 2**53}
    row = a_row(41207, form=form.pk, organization=form.organization_id, answers=answers, meta={"n": 1}, late=True)
    writer.write([row])
    stored = queries.get(form.pk, row.id)
    assert stored is not None

    [found] = listed(a_key(form, "read"), form)["results"]

    archived_at = stored.archived_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert found == {
        "id": str(row.id),
        "form": form.public_id,
        "version": 1,
        "accepted_at": "2026-11-03T20:40:54.512345Z",
        "archived_at": archived_at,
        "position": 41207,
        "late": True,
        "answers": answers,
        "meta": {"n": 1},
    }


def test_a_number_that_postgres_writes_out_does_not_spoil_the_page() -> None:
    form = a_form()
    row = a_row(form=form.pk, organization=form.organization_id, answers={"n": 1e30})
    writer.write([row])
    client = a_key(form, "read")

    assert listed(client, form)["results"][0]["answers"] == {"n": 10**30}
    assert client.get(address(form, row.id)).json()["answers"] == {"n": 10**30}


def test_the_newest_stand_first_unless_the_order_of_the_log_is_asked_for() -> None:
    form = a_form()
    rows(form, [3, 1, 2])
    client = a_key(form, "read")

    assert positions(listed(client, form)) == [3, 2, 1]
    assert positions(listed(client, form, order="newest")) == [3, 2, 1]
    assert positions(listed(client, form, order="log")) == [1, 2, 3]


def test_an_empty_list_leads_nowhere() -> None:
    form = a_form()

    assert listed(a_key(form, "read"), form) == {"next": None, "previous": None, "results": []}


@pytest.mark.parametrize(
    ("order", "pages"),
    [
        pytest.param("newest", [[70, 60, 50], [40, 30, 20], [10]], id="newest first"),
        pytest.param("log", [[10, 20, 30], [40, 50, 60], [70]], id="order of the log"),
    ],
)
def test_pages_lead_to_the_end_and_back_to_the_beginning(order: str, pages: list[list[int]]) -> None:
    form = a_form()
    rows(form, range(10, 80, 10))
    client = a_key(form, "read")

    page = listed(client, form, order=order, limit=3)
    assert page["previous"] is None
    forth = [page]
    while forth[-1]["next"]:
        forth.append(client.get(forth[-1]["next"]).json())
    back = [forth[-1]]
    while back[-1]["previous"]:
        back.append(client.get(back[-1]["previous"]).json())

    assert [positions(page) for page in forth] == pages
    assert [positions(page) for page in back] == pages[::-1]
    assert back[-1]["next"] == forth[0]["next"]


def test_new_rows_neither_shift_pages_nor_repeat_a_row_in_either_direction() -> None:
    form = a_form()
    rows(form, range(10, 70, 10))
    client = a_key(form, "read")
    newest = listed(client, form, limit=2)
    log = listed(client, form, limit=2, order="log")

    second = client.get(newest["next"]).json()
    rows(form, [70, 80, 90])
    third = client.get(second["next"]).json()
    assert (positions(second), positions(third), third["next"]) == ([40, 30], [20, 10], None)
    # Going back meets what has come meanwhile, in its place.
    first = client.get(second["previous"]).json()
    assert positions(first) == [60, 50]
    above = client.get(first["previous"]).json()
    assert positions(above) == [80, 70]
    top = client.get(above["previous"]).json()
    assert (positions(top), top["previous"]) == ([90], None)

    met = positions(log)
    while log["next"]:
        log = client.get(log["next"]).json()
        met += positions(log)
    assert met == list(range(10, 100, 10))


def test_the_last_page_of_the_log_holds_what_has_come_since_when_it_is_asked_for_again() -> None:
    form = a_form()
    rows(form, [1, 2, 3])
    client = a_key(form, "read")
    last = listed(client, form, limit=2, order="log")["next"]
    assert positions(client.get(last).json()) == [3]

    rows(form, [4, 5])

    again = client.get(last).json()
    assert positions(again) == [3, 4]
    assert positions(client.get(again["next"]).json()) == [5]


@pytest.mark.parametrize("order", ["newest", "log"])
def test_a_page_whose_rows_were_erased_still_leads_back(order: str) -> None:
    form = a_form()
    rows(form, [1, 2, 3, 4])
    client = a_key(form, "read")
    first = listed(client, form, limit=2, order=order)
    gone = client.get(first["next"]).json()

    Submission.objects.filter(form_id=form.pk, position__in=positions(gone)).delete()
    empty = client.get(first["next"]).json()
    assert (empty["results"], empty["next"]) == ([], None)
    assert positions(client.get(empty["previous"]).json()) == positions(first)

    Submission.objects.filter(form_id=form.pk).delete()
    rows(form, positions(gone))
    empty = client.get(gone["previous"]).json()
    assert (empty["results"], empty["previous"]) == ([], None)
    assert positions(client.get(empty["next"]).json()) == positions(gone)


def test_a_page_leads_on_under_the_address_that_people_use() -> None:
    form = a_form()
    rows(form, [1, 2])

    with override_settings(PUBLIC_URL="https://forms.example.org"):
        page = listed(a_key(form, "read"), form, limit=1)

    assert page["next"].startswith(f"https://forms.example.org{address(form)}?order=newest&limit=1&cursor=")


@pytest.mark.parametrize(("limit", "found"), [(None, 100), (1, 1), (120, 120), (1000, 130)], ids=str)
def test_a_page_holds_as_many_as_were_asked_for(limit: int | None, found: int) -> None:
    form = a_form()
    rows(form, range(130))

    page = listed(a_key(form, "read"), form, **({"limit": limit} if limit else {}))

    assert len(page["results"]) == found


def test_a_page_of_large_submissions_ends_early_and_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "PAGE_BYTES_MAX", 50_000)
    form = a_form()
    large = [
        a_row(number, form=form.pk, organization=form.organization_id, answers={"name": "x" * 20_000})
        for number in range(1, 8)
    ]
    writer.write(large)
    client = a_key(form, "read")

    page = listed(client, form, limit=1000)
    met = [positions(page)]
    while page["next"]:
        page = client.get(page["next"]).json()
        met.append(positions(page))
    back = client.get(page["previous"]).json()

    assert met == [[7, 6, 5], [4, 3, 2], [1]]
    assert positions(back) == [4, 3, 2]


WRONG: list[Any] = [
    pytest.param("colour=red", ["colour: unknown_parameter"], id="unknown"),
    pytest.param("offset=5&version=3", ["offset: unknown_parameter", "version: unknown_parameter"], id="two unknown"),
    pytest.param("limit=0", ["limit: invalid"], id="limit too low"),
    pytest.param("limit=1001", ["limit: invalid"], id="limit too high"),
    pytest.param("limit=ten", ["limit: invalid"], id="limit in words"),
    pytest.param("limit=", ["limit: invalid"], id="empty limit"),
    pytest.param("limit=%C2%B2", ["limit: invalid"], id="another digit"),
    pytest.param("limit=5&limit=6", ["limit: repeated"], id="limit twice"),
    pytest.param("order=oldest", ["order: invalid"], id="order"),
    pytest.param("cursor=AAAA.BBBB", ["cursor: invalid"], id="cursor made up"),
    pytest.param("cursor=", ["cursor: invalid"], id="empty cursor"),
    pytest.param("cursor=%00%ff", ["cursor: invalid"], id="bytes"),
    pytest.param("limit=0&order=x&a=1", ["a: unknown_parameter", "limit: invalid", "order: invalid"], id="all at once"),
]


@pytest.mark.parametrize(("query", "errors"), WRONG)
def test_parameters_that_are_wrong_are_refused_by_name(query: str, errors: list[str]) -> None:
    form = a_form()

    body = problem(a_key(form, "read").get(f"{address(form)}?{query}"), 400, "bad_parameters")

    assert sorted(f"{error['field']}: {error['code']}" for error in body["errors"]) == errors
    assert all(error["message"] for error in body["errors"])


def test_one_submission_takes_no_parameters() -> None:
    form = a_form()
    [row] = rows(form, [1])

    body = problem(a_key(form, "read").get(f"{address(form, row.id)}?limit=5"), 400, "bad_parameters")

    assert body["errors"][0]["field"] == "limit"


def test_a_cursor_is_good_for_its_form_and_order_alone() -> None:
    form, other = a_form(), a_form(slug="second")
    rows(form, [1, 2])
    client = a_key(form, "read")
    query = listed(client, form, limit=1)["next"].partition("?")[2]

    for asked in (f"{address(other)}?{query}", f"{address(form)}?{query.replace('newest', 'log')}"):
        body = problem(client.get(asked), 400, "bad_parameters")
        assert [(error["field"], error["code"]) for error in body["errors"]] == [("cursor", "of_another_list")]


@pytest.mark.parametrize("place", range(0, 80, 7))
def test_a_cursor_that_somebody_changed_is_refused(place: int) -> None:
    form = a_form()
    rows(form, [1, 2])
    client = a_key(form, "read")
    head, _, cursor = listed(client, form, limit=1)["next"].rpartition("=")

    changed = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]

    assert problem(client.get(f"{head}={changed}"), 400, "bad_parameters")["errors"][0]["code"] == "invalid"


def test_a_deep_page_costs_no_more_queries_than_the_first(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    form = a_form()
    rows(form, range(1, 300))
    client = a_key(form, "read")
    page = listed(client, form, limit=1)
    page = client.get(page["next"]).json()

    # Who may read, the transaction, and the rows.
    with django_assert_num_queries(4):
        assert len(client.get(page["next"].replace("limit=1&", "limit=250&")).json()["results"]) == 250


def test_what_is_not_archived_yet_cannot_be_told_from_an_unknown_id_and_says_so() -> None:
    form = a_form()

    body = problem(a_key(form, "read").get(address(form, uuid4())), 404, "not_found")

    assert "may not have been archived yet" in body["detail"]


def test_one_that_was_accepted_while_the_log_was_away_is_on_its_way() -> None:
    form = a_form()
    row = kept(form.pk)

    answer = a_key(form, "read").get(address(form, row.id))

    assert (answer.status_code, answer.headers["Cache-Control"]) == (202, "no-store")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json() == {
        "id": str(row.id),
        "form": form.public_id,
        "version": 1,
        "accepted_at": row.accepted_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "late": True,
    }
    problem(a_key(form, "read").get(address(a_form(slug="second"), row.id)), 404, "not_found")


def test_its_archived_form_is_the_one_that_is_shown_once_there_is_one() -> None:
    form = a_form()
    row = kept(form.pk)
    writer.write([a_row(form=form.pk, organization=form.organization_id, id=row.id)])

    assert a_key(form, "read").get(address(form, row.id)).json()["position"] == 1


def test_a_submission_of_another_form_is_not_found_under_this_one() -> None:
    form, second = a_form(), a_form(slug="second")
    [row] = rows(second, [7])

    problem(a_key(form, "read").get(address(form, row.id)), 404, "not_found")


def test_what_is_no_id_is_not_found() -> None:
    form = a_form()

    problem(a_key(form, "read").get(address(form, "not-an-id")), 404, "not_found")


def an_action(form: Form, name: str, **changes: Any) -> Binding:
    values: dict[str, Any] = {"position": 0, **changes}
    return actions.create(
        organization_id=form.organization_id,
        form_id=form.pk,
        sink=Shelf,
        name=name,
        settings=Settings({"shelf": name}, {}),
        **values,
    )


def test_it_says_where_it_stands_at_each_action() -> None:
    form = a_form()
    [row] = rows(form, [7])
    waiting, paused, delivered, failed = (an_action(form, name) for name in ("wait", "pause", "done", "fail"))
    an_action(form, "later", position=8)
    actions.pause(paused, "The shelf is gone.", "Buy a shelf.")
    batch = Batch.objects.create(
        organization_id=form.organization_id,
        destination=delivered.destination,
        sequence=1,
        state=BatchState.DELIVERED,
        finished_at="2026-11-03T09:14:17.020113Z",
    )
    BatchItem.objects.create(binding=delivered, submission_id=row.id, batch=batch, position=7)
    Parked.objects.create(
        organization_id=form.organization_id,
        binding=failed,
        form_id=form.pk,
        submission_id=row.id,
        position=7,
        code="too_long",
        message="A cell is too long.",
    )
    failed_at = Parked.objects.get().parked_at

    found = a_key(form, "read").get(address(form, row.id)).json()["actions"]

    assert [action["id"] for action in found[:2]] == [waiting.pk, paused.pk]
    assert {action["kind"] for action in found} == {"shelf"}
    assert [{key: action[key] for key in ("name", "state", "at", "code", "why")} for action in found] == [
        {"name": "wait", "state": "waiting", "at": None, "code": "", "why": ""},
        {"name": "pause", "state": "waiting", "at": None, "code": "paused", "why": "The shelf is gone. Buy a shelf."},
        {"name": "done", "state": "delivered", "at": "2026-11-03T09:14:17.020113Z", "code": "", "why": ""},
        {
            "name": "fail",
            "state": "failed",
            "at": failed_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "code": "too_long",
            "why": "A cell is too long.",
        },
        {"name": "later", "state": "not_applicable", "at": None, "code": "", "why": ""},
    ]


def test_while_the_archive_is_away_the_answer_says_when_to_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    form = a_form()
    [row] = rows(form, [1])
    client = a_key(form, "read")

    def away(*args: object, **changes: object) -> None:
        raise OperationalError("the connection was lost")

    monkeypatch.setattr(queries, "page", away)
    monkeypatch.setattr(queries, "get", away)

    for asked in (address(form), address(form, row.id)):
        answer = client.get(asked)
        problem(answer, 503, "not_available")
        assert answer.headers["Retry-After"] == "2"


def test_head_is_answered_and_other_methods_are_refused() -> None:
    form = a_form()
    [row] = rows(form, [1])
    client = a_key(form, "read", "manage")

    assert client.head(address(form)).status_code == 200
    assert client.head(address(form)).content == b""
    problem(client.delete(address(form)), 405, "method_not_allowed")
    problem(client.post(address(form, row.id)), 405, "method_not_allowed")


def test_other_sites_pages_cannot_read_answers() -> None:
    form = a_form()
    rows(form, [1])

    answer = a_member(form).get(address(form), headers={"Origin": "https://evil.example"})

    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.usefixtures("gate", "committer")
class TestSubmittingAtTheSameAddress:
    def test_it_needs_no_right_and_is_open_to_other_sites(self) -> None:
        form = a_form()

        answer = Client().post(
            address(form), {"name": "Ada"}, content_type="application/json", headers={"Origin": "https://a.example"}
        )

        assert answer.status_code == 202
        assert answer.headers["Access-Control-Allow-Origin"] == "*"

    def test_a_session_is_neither_asked_for_nor_looked_at(self, django_assert_num_queries: Any) -> None:
        form = a_form()
        client = Client(enforce_csrf_checks=True)
        client.cookies = a_member(a_form("other")).cookies
        client.get(f"/api/v1/forms/{form.public_id}/schema")

        with django_assert_num_queries(0):
            answer = client.post(address(form), {"name": "Ada"}, content_type="application/json")

        assert answer.status_code == 202
        assert "Cookie" not in answer.headers.get("Vary", "")

    def test_the_key_that_may_read_it_finds_it_where_the_answer_says(
        self, gate: MemoryStore, committer: Committer
    ) -> None:
        form = a_form()
        client = a_key(form, "submit", "read")

        accepted = client.post(address(form), {"name": "Ada"}, content_type="application/json").json()
        assert accepted["status_url"] == f"http://testserver{address(form, accepted['id'])}"
        problem(client.get(accepted["status_url"]), 404, "not_found")
        writer.write([a_row(form=form.pk, organization=form.organization_id, id=accepted["id"])])

        assert client.get(accepted["status_url"]).json()["id"] == accepted["id"]

    def test_a_browser_from_another_site_may_ask_first(self) -> None:
        answer = Client().options(address(a_form()), headers={"Origin": "https://a.example"})

        assert answer.status_code == 204
        assert answer.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
