import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from apps.forms import definition, published
from apps.forms.definition import DefinitionRefused, PublishRefused
from apps.forms.models import Field, Form, FormVersion, Immutable
from apps.forms.tests.documents import EVERY_TYPE, a_document, a_question
from apps.orgs.models import Organization

pytestmark = [pytest.mark.services, pytest.mark.django_db]
STUDENT = json.loads((Path(__file__).parents[1] / "samples" / "student_data.json").read_text())


@pytest.fixture
def form() -> Form:
    organization = Organization.objects.create(name="BCE", slug="bce")
    return Form.objects.create(organization=organization, slug="survey", title="Survey", region="IN")


@pytest.fixture(autouse=True)
def _empty_cache() -> Any:
    published.clear()
    yield
    published.clear()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(STUDENT, id="the sample"),
        pytest.param({**a_document(*EVERY_TYPE), "endings": [], "settings": {}}, id="every type"),
        pytest.param(
            {
                **a_document({"type": "group", "key": "g", "label": "G", "elements": [a_question()]}),
                "endings": [],
                "settings": {},
            },
            id="groups",
        ),
    ],
)
def test_a_document_comes_back_as_it_was_loaded(form: Form, body: dict[str, Any]) -> None:
    definition.load(form, body)

    assert definition.draft(form).document == body


def test_loading_takes_a_fixed_number_of_queries(form: Form, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(12):
        definition.load(form, a_document(*(a_question(key=f"q{number}") for number in range(300))))


def test_a_document_that_is_none_is_refused_and_changes_nothing(form: Form) -> None:
    definition.load(form, STUDENT)

    with pytest.raises(DefinitionRefused) as refused:
        definition.load(form, {**STUDENT, "theme": {}})

    assert [problem.path for problem in refused.value.problems] == ["theme"]
    assert form.fields.count() == 10


def test_rows_without_a_page_stand_on_the_page_before_them(form: Form) -> None:
    Field.objects.create(form=form, position=1, type="short_text", key="first", label="First")
    Field.objects.create(form=form, position=2, type="page", key="two", label="Two")
    Field.objects.create(form=form, position=3, type="short_text", key="second", label="Second")

    pages = definition.draft(form).document["pages"]

    assert [(page["key"], [element["key"] for element in page["elements"]]) for page in pages] == [
        ("p1", ["first"]),
        ("two", ["second"]),
    ]


def test_rows_inside_each_other_are_told_and_not_lost(form: Form) -> None:
    definition.load(form, STUDENT)
    one = Field.objects.create(form=form, position=90, type="group", key="one")
    two = Field.objects.create(form=form, position=91, type="group", key="two", parent=one)
    Field.objects.filter(pk=one.pk).update(parent=two)

    with pytest.raises(PublishRefused, match="one, two"):
        definition.publish(form)


def test_publishing_makes_numbered_versions_and_nothing_without_changes(form: Form) -> None:
    definition.load(form, STUDENT)
    first = definition.publish(form)
    again = definition.publish(form)
    Field.objects.filter(form=form, key="tech").update(label="Tools")
    second = definition.publish(form)

    assert (first.number, again.pk, second.number) == (1, first.pk, 2)
    assert form.live == second
    assert not definition.changed(form)


def test_a_draft_with_problems_is_not_published(form: Form) -> None:
    definition.load(form, a_document(a_question("single_choice")))

    with pytest.raises(PublishRefused) as refused:
        definition.publish(form)

    assert [problem.path for problem in refused.value.problems] == ["pages[0].elements[0].settings.choices"]
    assert form.versions.count() == 0


def test_a_key_keeps_its_type_after_it_was_removed(form: Form) -> None:
    definition.load(form, a_document(a_question("integer", "age"), a_question(key="name")))
    definition.publish(form)
    definition.load(form, a_document(a_question(key="name")))
    definition.publish(form)
    definition.load(form, a_document(a_question("short_text", "age")))

    with pytest.raises(PublishRefused, match="integer"):
        definition.publish(form)


def test_columns_of_older_versions_stay_and_come_last(form: Form) -> None:
    for keys in (("a", "b", "c"), ("a", "c"), ("d", "c")):
        definition.load(form, a_document(*(a_question(key=key) for key in keys)))
        definition.publish(form)

    layout = published.layout(form.pk)

    assert layout is not None
    assert [column.key for column in layout.columns] == ["d", "c", "a", "b"]


def test_a_version_never_changes(form: Form) -> None:
    definition.load(form, STUDENT)
    version = definition.publish(form)

    for change in (version.save, version.delete, FormVersion.objects.all().delete):
        with pytest.raises(Immutable):
            change()
    with pytest.raises(Immutable):
        FormVersion.objects.update(number=9)
    with pytest.raises(IntegrityError), transaction.atomic():
        FormVersion(form=form, number=1, definition={}, schema={}, layout=[]).save()


def test_a_form_goes_with_its_versions(form: Form) -> None:
    definition.load(form, STUDENT)
    definition.publish(form)

    form.delete()

    assert FormVersion.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_publishing_at_once_makes_one_version(form: Form) -> None:
    definition.load(form, STUDENT)
    numbers: list[int] = []

    def publish() -> None:
        numbers.append(definition.publish(Form.objects.get(pk=form.pk)).number)
        connection.close()

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert numbers == [1, 1, 1, 1]
    assert form.versions.count() == 1


def test_the_published_form_is_found_and_nothing_is_asked_twice(
    form: Form, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    assert published.by_name(form.public_id) is None
    definition.load(form, STUDENT)
    definition.publish(form)
    published.clear()

    with django_assert_max_num_queries(2):
        found = published.by_name(form.public_id)
    with django_assert_num_queries(0):
        same = published.by_name("bce~survey")

    assert found is same
    assert found is not None
    assert (found.version, found.ending_title) == (1, "Thank you, your data was received.")
    assert len(found.salt) == 16
    assert found.compiled.clean({"name": "A", "email": "a@b.org", "mobile": "9876543210"})["mobile"] == "+919876543210"
