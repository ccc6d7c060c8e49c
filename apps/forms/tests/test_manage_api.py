"""Forms, fields, publishing and versions over HTTP, as an editor's program uses them."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.forms import definition
from apps.forms.models import Field, Form
from apps.forms.tests.documents import a_document, a_question
from apps.orgs import keys
from apps.orgs.models import AuditEntry, Organization

pytestmark = [pytest.mark.services, pytest.mark.django_db]
FORMS = "/api/v1/forms"


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    keys.clear_cache()


@pytest.fixture
def organization() -> Organization:
    return Organization.objects.create(name="BCE", slug="bce")


@pytest.fixture
def api(organization: Organization) -> "Api":
    return Api.of(organization, "manage")


@pytest.fixture
def form(organization: Organization) -> Form:
    form = Form.objects.create(organization=organization, slug="guests", title="Guests")
    definition.load(form, a_document(a_question(key="name"), a_question("integer", "age"), title="Guests"))
    return form


class Api:
    """A program with a key, which speaks JSON."""

    def __init__(self, token: str) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {token}"})

    @classmethod
    def of(cls, organization: Organization, *scopes: str, **bound: Any) -> "Api":
        return cls(keys.create(organization=organization, name="test", scopes=scopes, **bound)[1])

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(path, query)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        content = "" if body is None else json.dumps(body)
        return self.client.generic(method, path, content, "application/json", headers=headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("POST", path, body, **headers)


def fields_in(answer: Any) -> set[tuple[str, str]]:
    assert answer.status_code == 422, answer.content
    return {(error["field"], error["code"]) for error in answer.json()["errors"]}


def order(api: Api, form: Form) -> list[str]:
    return [field["key"] for field in api.get(f"{FORMS}/{form.public_id}/fields").json()["results"]]


def test_a_form_is_made_filled_and_published(api: Api, organization: Organization) -> None:
    made = api.post(FORMS, {"title": "Event sign-up", "languages": ["en", "de"], "region": "de"})
    assert made.status_code == 201
    address = made.headers["Location"]
    body = made.json()
    assert (body["slug"], body["region"], body["languages"], body["state"]) == (
        "event-sign-up", "DE", ["en", "de"], "draft",
    )  # fmt: skip

    field = api.post(f"{address}/fields", {"type": "email", "label": {"en": "E-mail", "de": "E-Mail"}}).json()
    published = api.post(f"{address}/publish")

    assert (field["key"], field["position"], field["published"]) == ("e_mail", 0, False)
    assert (published.status_code, published.json()["number"], published.json()["live"]) == (200, 1, True)
    assert api.get(address).json()["version"] == 1
    assert [entry.action for entry in AuditEntry.objects.order_by("id")] == ["added", "added", "published"]


def test_a_form_is_found_by_both_its_names(api: Api, form: Form) -> None:
    assert api.get(f"{FORMS}/bce~guests").json()["id"] == form.public_id
    assert api.get(f"{FORMS}/{form.public_id}").json()["title"] == "Guests"


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        pytest.param({}, "title", "required", id="no title"),
        pytest.param({"title": "x", "colour": "red"}, "colour", "unknown_field", id="unknown"),
        pytest.param({"title": "x", "state": "live"}, "state", "read_only", id="set by us"),
        pytest.param({"title": 5}, "title", "invalid", id="a number for a text"),
        pytest.param({"title": "x", "slug": "a b"}, "slug", "invalid", id="short name"),
        pytest.param({"title": "x", "slug": "guests"}, "slug", "taken", id="short name of another"),
        pytest.param({"title": "x", "region": "XX"}, "region", "invalid", id="no region"),
        pytest.param({"title": "x", "languages": []}, "languages", "min_length", id="no language"),
        pytest.param({"title": "x", "languages": ["english"]}, "languages[0]", "invalid", id="no language's code"),
        pytest.param({"title": "x", "allowed_origins": ["example.org"]}, "allowed_origins[0]", "invalid", id="origin"),
        pytest.param({"title": "x", "limits": {"per_key": "many"}}, "limits.per_key", "invalid", id="limit"),
        pytest.param({"title": "x", "limits": {"daily": "1/day"}}, "limits.daily", "unknown_field", id="no such limit"),
        pytest.param({"title": "x", "ending": {"title": ""}}, "ending.title", "blank", id="ending without a heading"),
        pytest.param({"title": "x", "closed_at": "soon"}, "closed_at", "invalid", id="time"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(api: Api, form: Form, body: dict[str, Any], field: str, code: str) -> None:
    assert (field, code) in fields_in(api.post(FORMS, body))
    assert Form.objects.count() == 1


def test_a_change_changes_what_is_sent_and_leaves_a_trail(api: Api, form: Form) -> None:
    address = f"{FORMS}/{form.public_id}"

    changed = api.send("PATCH", address, {"title": "Guests 2027", "limits": {"per_form": "9/minute"}})

    assert changed.json()["title"] == "Guests 2027"
    assert changed.json()["limits"] == {"per_address": "", "per_key": "", "per_form": "9/minute"}
    assert changed.json()["slug"] == "guests"
    entry = AuditEntry.objects.get(action="changed")
    assert entry.changes == {"title": ["Guests", "Guests 2027"], "rates": [{}, {"per_form": "9/minute"}]}
    assert api.send("PATCH", address, {"title": "Guests 2027"}).status_code == 200
    assert AuditEntry.objects.filter(action="changed").count() == 1


def test_a_form_that_takes_answers_is_closed_before_it_is_deleted(api: Api, form: Form) -> None:
    definition.publish(form)
    address = f"{FORMS}/{form.public_id}"

    assert api.send("DELETE", address).json()["code"] == "form_open"
    api.send("PATCH", address, {"closed_at": "2026-01-01T00:00:00Z"})
    assert api.send("DELETE", address).status_code == 204
    assert not Form.objects.exists()


def test_a_field_moves_into_a_group_and_out_again(api: Api, form: Form) -> None:
    address = f"{FORMS}/{form.public_id}/fields"
    page = Field.objects.get(key="p1")
    group = api.post(address, {"type": "group", "label": "You", "key": "you", "parent": page.pk, "position": 0}).json()
    assert order(api, form) == ["p1", "you", "name", "age"]
    age = Field.objects.get(key="age")

    moved = api.send("PATCH", f"{address}/{age.pk}", {"parent": group["id"]})
    assert (moved.json()["parent"], moved.json()["position"]) == (group["id"], 0)
    assert order(api, form) == ["p1", "you", "age", "name"]

    api.send("PATCH", f"{address}/{age.pk}", {"parent": page.pk, "position": 0})
    assert order(api, form) == ["p1", "age", "you", "name"]
    assert list(Field.objects.order_by("position").values_list("position", flat=True)) == [10, 20, 30, 40]


def test_a_group_is_deleted_with_what_is_in_it(api: Api, form: Form) -> None:
    address = f"{FORMS}/{form.public_id}/fields"
    group = api.post(address, {"type": "group", "label": "You"}).json()
    api.post(address, {"type": "short_text", "label": "Inside", "parent": group["id"]})

    assert api.send("DELETE", f"{address}/{group['id']}").status_code == 204

    assert order(api, form) == ["p1", "name", "age"]


WRONG_FIELDS = [
    pytest.param({"label": "x"}, ("type", "required"), id="no type"),
    pytest.param({"type": "colour"}, ("type", "unknown_type"), id="unknown type"),
    pytest.param({"type": "email", "key": "Name"}, ("key", "invalid"), id="key"),
    pytest.param({"type": "email", "key": "name"}, ("key", "taken"), id="key of another"),
    pytest.param({"type": "email", "label": 5}, ("label", "invalid"), id="label"),
    pytest.param({"type": "email", "label": {"english": "x"}}, ("label", "invalid_language"), id="language"),
    pytest.param({"type": "integer", "settings": {"min": "a"}}, ("settings.min", "invalid"), id="setting"),
    pytest.param({"type": "integer", "settings": {"colour": 1}}, ("settings.colour", "invalid"), id="unknown setting"),
    pytest.param({"type": "integer", "settings": []}, ("settings", "invalid"), id="settings"),
    pytest.param({"type": "group", "required": True}, ("required", "no_question"), id="required group"),
    pytest.param({"type": "email", "parent": 0}, ("parent", "not_found"), id="no such parent"),
    pytest.param({"type": "email", "position": -1}, ("position", "min_value"), id="position"),
    pytest.param({"type": "email", "id": 7}, ("id", "read_only"), id="id"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "error"), WRONG_FIELDS)
def test_what_is_wrong_with_a_field_is_named(api: Api, form: Form, body: Any, error: tuple[str, str]) -> None:
    assert error in fields_in(api.post(f"{FORMS}/{form.public_id}/fields", body))
    assert form.fields.count() == 3


def test_a_field_of_another_form_is_no_parent(api: Api, form: Form, organization: Organization) -> None:
    other = Form.objects.create(organization=organization, slug="other", title="Other")
    foreign = Field.objects.create(form=other, type="page", key="p1")

    answer = api.post(f"{FORMS}/{form.public_id}/fields", {"type": "email", "parent": foreign.pk})

    assert fields_in(answer) == {("parent", "not_found")}
    assert api.get(f"{FORMS}/{form.public_id}/fields/{foreign.pk}").status_code == 404


def test_a_group_lies_neither_in_itself_nor_too_deep_nor_in_a_question(api: Api, form: Form) -> None:
    address = f"{FORMS}/{form.public_id}/fields"
    outer = api.post(address, {"type": "group", "key": "outer"}).json()["id"]
    inner = api.post(address, {"type": "group", "key": "inner", "parent": outer}).json()["id"]
    question = Field.objects.get(key="name").pk

    for row, parent in ((outer, inner), (outer, outer), (inner, question)):
        assert fields_in(api.send("PATCH", f"{address}/{row}", {"parent": parent})) == {("parent", "misplaced")}
    deep = inner
    for _ in range(4):
        deep = api.post(address, {"type": "group", "parent": deep}).json()["id"]
    assert fields_in(api.post(address, {"type": "email", "parent": deep})) == {("parent", "misplaced")}


def test_a_key_and_its_type_stay_once_published(api: Api, form: Form) -> None:
    definition.publish(form)
    address = f"{FORMS}/{form.public_id}/fields/{Field.objects.get(key='age').pk}"

    assert fields_in(api.send("PATCH", address, {"key": "years"})) == {("key", "published")}
    assert fields_in(api.send("PATCH", address, {"type": "decimal"})) == {("key", "published")}
    assert api.send("PATCH", address, {"label": "Your age"}).status_code == 200


def test_what_keeps_a_draft_from_being_published_names_the_field(api: Api, form: Form) -> None:
    row = Field.objects.create(form=form, position=99, type="single_choice", key="colour", label="Colour")
    address = f"{FORMS}/{form.public_id}/publish"

    review = api.get(address).json()
    refused = api.post(address)

    assert (review["publishable"], review["changed"]) == (False, True)
    assert [problem["field"] for problem in review["problems"]] == [row.pk]
    [error] = refused.json()["errors"]
    assert (refused.status_code, error["params"], error["message"]) == (
        422, {"field": row.pk}, "Add at least one choice.",
    )  # fmt: skip


def test_versions_are_listed_compared_and_taken_back(api: Api, form: Form) -> None:
    address = f"{FORMS}/{form.public_id}"
    definition.publish(form)
    name = Field.objects.get(key="name")
    api.send("PATCH", f"{address}/fields/{name.pk}", {"label": "Full name", "settings": {"max_length": 50}})
    api.post(f"{address}/publish")

    listed = api.get(f"{address}/versions", limit=1).json()
    older = api.get(listed["next"]).json()
    words = [change["words"] for change in api.get(f"{address}/versions/2/diff").json()["changes"]]
    first = api.get(f"{address}/versions/1/diff").json()
    restored = api.post(f"{address}/versions/1/restore")

    assert ([row["number"] for row in listed["results"]], [row["number"] for row in older["results"]]) == ([2], [1])
    assert words == ["“A question” now reads “Full name”.", "“Full name”: max_length is now 50."]
    assert (first["before"], {change["what"] for change in first["changes"]}) == ("0", {"added"})
    assert restored.json() == api.get(f"{address}/versions/1").json()["definition"]
    assert definition.draft(form).document == restored.json()
    assert form.versions.count() == 2


def test_a_definition_comes_back_as_it_was_put(api: Api, form: Form) -> None:
    address = f"{FORMS}/{form.public_id}/definition"
    document = a_document(a_question("integer", "age"), title="Another", endings=[{"key": "thanks", "title": "Bye"}])

    put = api.send("PUT", address, document)

    assert put.status_code == 200
    assert api.get(address).json() == put.json() == {**document, "settings": {}}


def test_what_is_wrong_with_a_definition_is_named_by_its_path(api: Api, form: Form) -> None:
    address = f"{FORMS}/{form.public_id}/definition"
    before = api.get(address).json()

    answer = api.send("PUT", address, a_document(a_question(colour="red"), theme={}))

    assert {error["field"] for error in answer.json()["errors"]} == {"theme", "pages[0].elements[0].colour"}
    assert api.get(address).json() == before


def test_every_type_says_what_it_can_be_set_to_and_its_example_holds(api: Api) -> None:
    found = {row["name"]: row for row in api.get("/api/v1/field-types").json()["results"]}

    assert found["integer"]["settings_schema"]["properties"]["min"]
    assert found["email"]["answer_example"]
    assert (found["page"]["container"], found["page"]["answer_schema"]) == (True, None)


def test_the_same_key_makes_one_form_and_is_answered_the_same(api: Api) -> None:
    key = {"Idempotency-Key": "once"}
    first, second = (api.post(FORMS, {"title": "Once"}, **key) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert first.headers["Location"] == second.headers["Location"]
    assert Form.objects.count() == 1


def test_a_key_is_refused_with_another_body_and_free_after_a_refusal(api: Api) -> None:
    key = {"Idempotency-Key": "k"}
    assert api.post(FORMS, {}, **key).status_code == 422
    assert api.post(FORMS, {"title": "A"}, **key).status_code == 201

    again = api.post(FORMS, {"title": "B"}, **key)

    assert (again.status_code, again.json()["code"]) == (422, "idempotency_key_reused")
    assert api.post(FORMS, {"title": "B"}, **{"Idempotency-Key": "a b"}).json()["code"] == "bad_idempotency_key"


def test_two_callers_may_use_the_same_key(api: Api, organization: Organization) -> None:
    other = Api.of(organization, "manage")

    for who in (api, other):
        assert who.post(FORMS, {"title": "Same"}, **{"Idempotency-Key": "k"}).status_code == 201
    assert Form.objects.count() == 2


def test_a_key_bound_to_a_form_sees_that_form_alone(form: Form, organization: Organization) -> None:
    other = Form.objects.create(organization=organization, slug="other", title="Other")
    bound = Api.of(organization, "manage", form_id=form.pk)

    assert [row["id"] for row in bound.get(FORMS).json()["results"]] == [form.public_id]
    assert bound.get(f"{FORMS}/{other.public_id}").status_code == 404
    assert bound.post(FORMS, {"title": "New"}).status_code == 403
    assert bound.post(f"{FORMS}/{form.public_id}/publish").status_code == 200


def test_a_list_goes_on_at_its_cursor_while_forms_are_made(api: Api, organization: Organization) -> None:
    for number in range(5):
        Form.objects.create(organization=organization, slug=f"f{number}", title=f"Form {number}")
    first = api.get(FORMS, limit=2).json()
    Form.objects.create(organization=organization, slug="new", title="New")

    second = api.get(first["next"]).json()
    third = api.get(second["next"]).json()
    back = api.get(third["previous"]).json()

    titles = [[row["title"][-1] for row in page["results"]] for page in (first, second, third, back)]
    assert titles == [["4", "3"], ["2", "1"], ["0"], ["2", "1"]]
    assert third["next"] is None
    assert api.get(back["previous"]).json()["previous"] is not None


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"limit": "0"}, id="limit"),
        pytest.param({"limit": "1001"}, id="too many"),
        pytest.param({"cursor": "made-up"}, id="cursor"),
        pytest.param({"colour": "red"}, id="unknown"),
        pytest.param({"organization": "mine"}, id="no id"),
        pytest.param({"search": "a\0"}, id="NUL"),
    ],
)
def test_a_parameter_that_is_not_understood_is_named(api: Api, query: dict[str, str]) -> None:
    answer = api.get(FORMS, **query)

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == list(query)


def test_a_cursor_is_good_for_its_own_list_alone(api: Api, organization: Organization) -> None:
    for number in range(3):
        Form.objects.create(organization=organization, slug=f"f{number}", title=f"Form {number}")
    cursor = api.get(FORMS, limit=1).json()["next"].partition("cursor=")[2]

    answer = api.get(FORMS, cursor=cursor, search="Form")

    assert [error["code"] for error in answer.json()["errors"]] == ["of_another_list"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        pytest.param("{", "application/json", 400, "malformed_json", id="cut short"),
        pytest.param("[]", "application/json", 400, "not_an_object", id="a list"),
        pytest.param('{"a": 1, "a": 2}', "application/json", 400, "malformed_json", id="a key twice"),
        pytest.param('{"a": NaN}', "application/json", 400, "malformed_json", id="NaN"),
        pytest.param('{"a": 1e999}', "application/json", 400, "number_too_large", id="infinite"),
        pytest.param('{"title": "\\u0000"}', "application/json", 400, "nul_character", id="NUL"),
        pytest.param('{"title": "\\ud800"}', "application/json", 400, "half_a_character", id="surrogate"),
        pytest.param('{"a":' * 100 + "1" + "}" * 100, "application/json", 400, "too_deep", id="deep"),
        pytest.param('{"a":' * 100_000, "application/json", 400, "too_deep", id="deeper"),
        pytest.param(b"\xff", "application/json", 400, "not_utf8", id="not UTF-8"),
        pytest.param(" " * 2_097_153, "application/json", 413, "too_large", id="too large"),
        pytest.param("title=x", "application/x-www-form-urlencoded", 415, "unsupported_media_type", id="a form"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_says_why(api: Api, body: Any, content_type: str, status: int, code: str) -> None:
    answer = api.client.generic("POST", FORMS, body, content_type)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_form_of_others_is_not_found(form: Form) -> None:
    stranger = Api.of(Organization.objects.create(name=uuid4().hex, slug="else"), "manage")
    address = f"{FORMS}/{form.public_id}"

    for method, path in (("GET", address), ("PATCH", address), ("POST", f"{address}/publish"), ("DELETE", address)):
        assert stranger.send(method, path, {} if method == "PATCH" else None).status_code == 404
    assert stranger.get(FORMS).json()["results"] == []
    body = {"title": "x", "organization": str(form.organization_id)}
    assert stranger.post(FORMS, body).status_code == 404


def test_an_unknown_method_and_address_are_problems_too(api: Api) -> None:
    for answer, status in ((api.send("PUT", FORMS, {}), 405), (api.get("/api/v1/nothing"), 404)):
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
        assert answer.headers["X-Request-ID"]
