from datetime import UTC, date, datetime
from uuid import uuid4

import pytest
from django.utils import translation

from apps.archive import readable
from apps.archive.readable import Answer
from apps.archive.tests.rows import a_form
from apps.forms import definition, published
from apps.forms.models import Field
from formhub.core.layout import Cell


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        pytest.param(None, "", id="nothing"),
        pytest.param("a\nb", "a\nb", id="text"),
        pytest.param(True, "Yes", id="yes"),
        pytest.param(False, "No", id="no"),
        pytest.param(9.25, "9.25", id="decimal"),
        pytest.param(0, "0", id="zero"),
        pytest.param(date(2026, 2, 28), "Feb. 28, 2026", id="date"),
        pytest.param(datetime(2026, 2, 28, 23, 5, tzinfo=UTC), "Feb. 28, 2026, 11:05 p.m.", id="moment"),
    ],
)
def test_a_cell_is_written_as_people_write_it(cell: Cell, text: str) -> None:
    assert readable.text(cell) == text


def test_it_is_written_in_the_readers_language() -> None:
    with translation.override("de"):
        assert readable.text(9.25) == "9,25"
        assert readable.text(date(2026, 2, 28)) == "28. Februar 2026"


@pytest.mark.services
@pytest.mark.django_db
class TestAnswers:
    def test_every_question_is_named_answered_or_not(self) -> None:
        form = a_form()

        assert readable.answers(form.pk, {"name": "Ada"}) == [
            Answer("name", "What is your name?", "Ada"),
            Answer("age", "Age", ""),
        ]

    def test_a_question_of_earlier_versions_is_named_where_it_was_answered(self) -> None:
        form = a_form()
        Field.objects.filter(form=form, key="age").delete()
        definition.publish(form)
        published.clear()

        assert readable.answers(form.pk, {"name": "Ada", "age": 36})[1:] == [Answer("age", "Age", "36")]
        assert [answer.key for answer in readable.answers(form.pk, {"name": "Ada"})] == ["name"]
        assert [column.key for column in readable.columns(form.pk)] == ["name"]

    def test_answers_nobody_knows_stand_under_their_keys(self) -> None:
        assert readable.answers(uuid4(), {"a": "text", "b": [1, "ü"]}) == [
            Answer("a", "a", "text"),
            Answer("b", "b", '[1, "ü"]'),
        ]
        assert readable.columns(uuid4()) == []
