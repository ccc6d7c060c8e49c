"""Which fields an action sends: rules without a database."""

from typing import Any

import pytest

from apps.sinks.selection import Selection
from formhub.core.layout import Column, Kind, Layout

FORM = Layout(tuple(Column(key, key.title(), Kind.TEXT) for key in ("name", "mail", "note")))
ANSWERS = {"name": "Ada", "mail": "ada@example.org", "note": "n"}


def chosen(*fields: dict[str, Any], others: bool = True) -> Selection:
    return Selection.from_json({"fields": list(fields), "others": others})


def shown(selection: Selection, layout: Layout = FORM) -> list[tuple[str, str]]:
    return [(column.key, column.label) for column in selection.layout(layout).columns]


def test_nothing_chosen_sends_everything_as_it_comes() -> None:
    everything = Selection.from_json(None)

    assert everything.answers(ANSWERS) == ANSWERS
    assert shown(everything) == [("name", "Name"), ("mail", "Mail"), ("note", "Note")]


def test_a_field_that_is_left_out_is_in_neither_columns_nor_answers() -> None:
    selection = chosen({"key": "mail", "send": False})

    assert shown(selection) == [("name", "Name"), ("note", "Note")]
    assert selection.answers(ANSWERS) == {"name": "Ada", "note": "n"}


def test_names_and_labels_are_the_chosen_ones_and_the_order_stays_the_forms() -> None:
    selection = chosen({"key": "note", "label": "Remark"}, {"key": "mail", "name": "email"})

    assert shown(selection) == [("name", "Name"), ("email", "Mail"), ("note", "Remark")]
    assert selection.answers(ANSWERS) == {"name": "Ada", "email": "ada@example.org", "note": "n"}


def test_a_renamed_column_can_still_be_told_by_the_forms_key() -> None:
    column = chosen({"key": "mail", "name": "email"}).layout(FORM).columns[1]

    assert (column.key, column.lasting) == ("email", "mail")


@pytest.mark.parametrize(("others", "keys"), [(True, ["name", "mail", "note"]), (False, ["name"])])
def test_fields_that_nobody_named_are_sent_or_not_as_chosen(others: bool, keys: list[str]) -> None:
    selection = chosen({"key": "name"}, others=others)

    assert [key for key, _ in shown(selection)] == keys
    assert list(selection.answers(ANSWERS)) == keys


def test_a_field_that_came_later_does_not_replace_the_one_that_has_its_name() -> None:
    selection = chosen({"key": "mail", "name": "email"})
    later = Layout((*FORM.columns, Column("email", "E-mail", Kind.TEXT)))

    assert [key for key, _ in shown(selection, later)] == ["name", "email", "note", "email~"]
    assert selection.answers(ANSWERS | {"email": "new"})["email"] == "ada@example.org"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        pytest.param([{"key": "name"}, {"key": "age"}], (1, "unknown_field"), id="a field that the form lacks"),
        pytest.param([{"key": "name", "name": "note"}], (0, "name_taken"), id="the name of another field"),
        pytest.param(
            [{"key": "name", "name": "x"}, {"key": "note", "name": "x"}], (1, "name_taken"), id="one name for two"
        ),
    ],
)
def test_what_does_not_fit_the_form_is_named(fields: list[dict[str, Any]], problem: tuple[int, str]) -> None:
    assert [(each.index, each.code) for each in chosen(*fields).problems(FORM)] == [problem]


def test_two_fields_may_swap_their_names() -> None:
    selection = chosen({"key": "name", "name": "note"}, {"key": "note", "name": "name"})

    assert list(selection.problems(FORM)) == []
    assert selection.answers(ANSWERS) == {"note": "Ada", "mail": "ada@example.org", "name": "n"}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        pytest.param({"fields": [{"key": "name"}], "others": True}, None, id="what changes nothing is nothing"),
        pytest.param(
            {"fields": [{"key": "name"}], "others": False},
            {"fields": [{"key": "name", "send": True}], "others": False},
            id="the only ones",
        ),
    ],
)
def test_what_is_kept_is_as_short_as_it_can_be(given: Any, stored: Any) -> None:
    assert Selection.from_json(given).as_json() == stored
