import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.forms import definition
from apps.forms.models import Field, Form
from apps.forms.rules import key_from
from apps.forms.tests.documents import a_document, a_question
from apps.orgs.models import AuditEntry, Membership, Organization, Role, User

STUDENT = json.loads((Path(__file__).parents[1] / "samples" / "student_data.json").read_text())
pytestmark = pytest.mark.services


@pytest.fixture
def organization(db: None) -> Organization:
    return Organization.objects.create(name="BCE", slug="bce")


@pytest.fixture
def editor(organization: Organization) -> Client:
    return a_member(organization, Role.EDITOR)


@pytest.fixture
def form(organization: Organization) -> Form:
    form = Form.objects.create(organization=organization, slug="student-data", title="Student data", region="IN")
    definition.load(form, STUDENT)
    return form


def a_member(organization: Organization, role: Role) -> Client:
    user = User.objects.create_user(f"{role}@{organization.slug}.example", "correct horse battery")
    Membership.objects.create(organization=organization, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


def change_url(form: Form) -> str:
    return reverse("admin:forms_form_change", args=[form.pk])


def posted(client: Client, form: Form) -> dict[str, Any]:
    """What a browser would send back from the page as it is, unchanged."""
    context = client.get(change_url(form)).context
    data: dict[str, Any] = {}
    for bound in context["adminform"].form:
        data.update(_as_sent(bound))
    formset = context["inline_admin_formsets"][0].formset
    for bound in formset.management_form:
        data[bound.html_name] = bound.value()
    for row in formset.forms:
        for bound in row:
            data.update(_as_sent(bound))
    return data


def _as_sent(bound: Any) -> dict[str, Any]:
    value = bound.value()
    if bound.field.widget.__class__.__name__.endswith(("SplitDateTimeWidget", "SplitDateTime")):
        return {f"{bound.html_name}_0": "", f"{bound.html_name}_1": ""}
    if value is None or value is False:
        return {}
    return {bound.html_name: "on" if value is True else value}


def errors_of(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    formset = response.context["inline_admin_formsets"][0].formset
    return {
        f"{form.instance.key or form.data.get(form.add_prefix('label'))}.{name}": list(errors)
        for form in formset.forms
        for name, errors in form.errors.items()
    }


def test_a_new_form_begins_with_a_short_name_and_a_question(editor: Client, organization: Organization) -> None:
    answer = editor.post(
        reverse("admin:forms_form_add"),
        {"title": "Event sign-up", "organization": organization.pk, "default_language": "en", "region": "de"},
    )

    form = Form.objects.get()
    assert answer.headers["Location"] == change_url(form)
    assert (form.slug, form.region) == ("event-sign-up", "DE")
    assert [field.key for field in form.fields.all()] == ["name"]
    assert definition.publish(form).number == 1


def test_saving_a_page_unchanged_changes_nothing(editor: Client, form: Form) -> None:
    before = definition.draft(form).document

    answer = editor.post(change_url(form), posted(editor, form))

    assert answer.status_code == 302
    assert definition.draft(Form.objects.get()).document == before


def test_publish_saves_and_makes_a_version(editor: Client, form: Form) -> None:
    data = posted(editor, form) | {"fields-1-label": "Full name", "_publish": "1"}

    page = editor.post(change_url(form), data, follow=True)

    form.refresh_from_db()
    assert form.live is not None
    assert form.live.definition["pages"][0]["elements"][0]["label"] == "Full name"
    assert "Version 1 is live." in page.content.decode()
    assert "curl " in page.context["form_curl"]
    assert AuditEntry.objects.filter(action="published").count() == 1


def test_what_keeps_a_form_from_being_published_is_listed_with_links(editor: Client, form: Form) -> None:
    Field.objects.create(form=form, position=99, type="single_choice", key="colour", label="Colour")

    page = editor.get(change_url(form))

    [problem] = page.context["form_problems"]
    assert (problem.anchor, problem.message) == ("id_fields-10-settings", "Add at least one choice.")
    assert f'href="#{problem.anchor}"' in page.content.decode()
    assert f'id="{problem.anchor}"' in page.content.decode()


def test_settings_are_refused_by_name_beside_their_field(editor: Client, form: Form) -> None:
    data = posted(editor, form) | {"fields-1-settings": '{"max_length": 0, "colour": "red"}'}

    found = errors_of(editor.post(change_url(form), data))

    assert set(found["name.settings"]) == {
        "max_length: Must be 1 or more.",
        "colour: Unknown setting; remove it.",
    }


def test_settings_that_are_no_json_are_refused_in_words(editor: Client, form: Form) -> None:
    data = posted(editor, form) | {"fields-1-settings": "max_length = 5", "fields-2-settings": '{"max_length": NaN}'}

    found = errors_of(editor.post(change_url(form), data))

    assert found["name.settings"] == ['Write the settings as JSON, for example {"max_length": 200}.']
    assert "roll.settings" in found


def a_new_row(**values: Any) -> dict[str, Any]:
    row = {"type": "short_text", "label": "", "key": "", "help": "", "position": "", "settings": "", **values}
    return {f"fields-10-{name}": value for name, value in row.items()} | {"fields-TOTAL_FORMS": 11}


def test_a_key_is_made_from_the_question_and_never_twice(editor: Client, form: Form) -> None:
    editor.post(change_url(form), posted(editor, form) | a_new_row(label="Name?"))

    newest = form.fields.order_by("position").last()
    assert newest is not None
    assert (newest.key, newest.position) == ("name_2", 110)


def test_a_key_that_is_there_already_is_refused(editor: Client, form: Form) -> None:
    found = errors_of(editor.post(change_url(form), posted(editor, form) | a_new_row(label="Other", key="name")))

    assert found == {"name.key": ["Another field has this key already."]}


def test_a_published_key_and_its_type_stay(editor: Client, form: Form) -> None:
    definition.publish(form)
    data = posted(editor, form) | {"fields-1-key": "full_name", "fields-6-type": "integer", "fields-6-settings": ""}

    found = errors_of(editor.post(change_url(form), data))

    assert found["name.key"] == ["name is published and stays; add a new question instead."]
    assert found["cgpa.key"] == ["cgpa was published as Number; take another key."]


def test_a_position_in_between_moves_a_row(editor: Client, form: Form) -> None:
    editor.post(change_url(form), posted(editor, form) | {"fields-9-position": "1"})
    rows = list(form.fields.order_by("position"))

    assert rows[0].key == "age" or rows[1].key == "age"
    assert [row.position for row in rows] == list(range(10, 110, 10))


def test_a_group_cannot_lie_inside_itself(editor: Client, form: Form) -> None:
    group = Field.objects.create(form=form, position=99, type="group", key="g", label="G")

    found = errors_of(editor.post(change_url(form), posted(editor, form) | {"fields-10-parent": group.pk}))

    assert found == {"g.parent": ["A field cannot lie inside itself."]}


def test_rows_of_another_form_are_no_parents(editor: Client, form: Form, organization: Organization) -> None:
    other = Form.objects.create(organization=organization, slug="other", title="Other")
    foreign = Field.objects.create(form=other, position=1, type="page", key="p1")

    found = errors_of(editor.post(change_url(form), posted(editor, form) | {"fields-1-parent": foreign.pk}))

    assert "name.parent" in found


def test_limits_and_sites_are_checked_in_words(editor: Client, form: Form) -> None:
    data = posted(editor, form) | {"per_address": "many", "allowed_origins": "example.org", "region": "XX"}

    page = editor.post(change_url(form), data)

    assert set(page.context["adminform"].form.errors) == {"per_address", "allowed_origins", "region"}


def test_a_form_is_closed_and_opened(editor: Client, form: Form) -> None:
    definition.publish(form)
    editor.post(change_url(form), posted(editor, form) | {"_close": "1"})
    form.refresh_from_db()
    assert form.closed

    editor.post(change_url(form), posted(editor, form) | {"_open": "1"})
    form.refresh_from_db()
    assert not form.closed


def test_a_large_form_is_shown_with_few_queries(editor: Client, form: Form, django_assert_max_num_queries: Any) -> None:
    definition.load(form, a_document(*(a_question(key=f"q{number}") for number in range(200))))

    with django_assert_max_num_queries(70):
        assert editor.get(change_url(form)).status_code == 200


def test_a_viewer_looks_and_a_stranger_finds_nothing(form: Form, organization: Organization) -> None:
    viewer = a_member(organization, Role.VIEWER)
    stranger = a_member(Organization.objects.create(name="Else", slug="else"), Role.OWNER)

    page = viewer.get(change_url(form))
    assert page.status_code == 200
    assert "_publish" not in page.content.decode()
    assert viewer.post(change_url(form), {"_publish": "1"}).status_code == 403
    assert stranger.get(change_url(form)).status_code == 302
    assert Form.objects.get().live is None


def test_versions_are_looked_at_and_never_changed(editor: Client, form: Form) -> None:
    version = definition.publish(form)
    url = reverse("admin:forms_formversion_change", args=[version.pk])

    assert "cgpa" in editor.get(url).content.decode()
    assert editor.post(url, {"number": 9}).status_code == 403
    assert editor.get(reverse("admin:forms_formversion_delete", args=[version.pk])).status_code == 403


@pytest.mark.parametrize(
    ("label", "key"),
    [
        pytest.param("First name?", "first_name", id="words"),
        pytest.param({"en": "Größe"}, "groe", id="accents"),
        pytest.param("2nd choice", "nd_choice", id="digit first"),
        pytest.param("नाम", "", id="another script"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_key_is_read_from_a_label(label: Any, key: str) -> None:
    assert key_from(label) == key
