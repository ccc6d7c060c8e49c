from datetime import UTC, date, datetime
from typing import Any

import pytest

from formhub.core.layout import Cell, Column, Kind, Layout


@pytest.mark.parametrize(
    ("kind", "stored", "cell"),
    [
        pytest.param(Kind.TEXT, "=1+1", "=1+1", id="text stays as sent"),
        pytest.param(Kind.TEXT, ["a", "b"], "a, b", id="a list as text"),
        pytest.param(Kind.NUMBER, 8.04, 8.04, id="a number"),
        pytest.param(Kind.NUMBER, 2**53, "9007199254740992", id="a number that a table would change"),
        pytest.param(Kind.NUMBER, True, "True", id="a boolean is no number"),
        pytest.param(Kind.BOOLEAN, True, "Yes", id="a labelled boolean"),
        pytest.param(Kind.DATE, "2026-02-28", date(2026, 2, 28), id="a date"),
        pytest.param(Kind.DATE, "soon", "soon", id="not a date"),
        pytest.param(
            Kind.DATETIME, "2026-02-28T01:02:03+00:00", datetime(2026, 2, 28, 1, 2, 3, tzinfo=UTC), id="a time"
        ),
        pytest.param(Kind.CHOICE, "f", "Female", id="a choice by its label"),
        pytest.param(Kind.CHOICE, "gone", "gone", id="a choice no longer offered"),
        pytest.param(Kind.CHOICES, ["f", "gone"], "Female, gone", id="several choices"),
        pytest.param(Kind.TEXT, None, None, id="no answer"),
    ],
)
def test_a_cell_shows_the_stored_answer(kind: Kind, stored: Any, cell: Cell) -> None:
    column = Column("k", "K", kind, {"f": "Female", "true": "Yes"})

    assert column.cell(stored) == cell


def test_a_layout_survives_storage_and_keeps_its_order() -> None:
    layout = Layout((Column("b", "B", Kind.TEXT), Column("a", "A", Kind.CHOICE, {"x": "X"})))

    again = Layout.from_json(layout.as_json())

    assert again == layout
    assert again.row({"a": "x"}) == [None, "X"]
