from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from apps.sinks.builtin.google_sheets.cells import CUT, cell_data, column_name, quoted, zone_of


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        pytest.param("=SUM(A1)", {"stringValue": "=SUM(A1)"}, id="what looks like a formula stays text"),
        pytest.param("007", {"stringValue": "007"}, id="leading zeros stay"),
        pytest.param(8.04, {"numberValue": 8.04}, id="a number"),
        pytest.param(True, {"boolValue": True}, id="a boolean is no number"),
        pytest.param(date(2026, 1, 2), {"numberValue": 46024}, id="a date as serial days"),
        pytest.param(datetime(2026, 1, 2, 12, tzinfo=UTC), {"numberValue": 46024.5}, id="a time as a part of a day"),
    ],
)
def test_a_cell_is_typed_and_never_parsed(cell: Any, value: dict[str, Any]) -> None:
    assert cell_data(cell, UTC)["userEnteredValue"] == value


@pytest.mark.parametrize("blank", [None, ""])
def test_no_answer_leaves_the_cell_blank(blank: Any) -> None:
    assert cell_data(blank, UTC) == {}


def test_times_are_those_of_the_spreadsheets_zone() -> None:
    cell = cell_data(datetime(2026, 1, 2, 12, tzinfo=UTC), ZoneInfo("Asia/Kolkata"))

    assert cell["userEnteredValue"]["numberValue"] == pytest.approx(46024 + 17.5 / 24)
    assert cell["userEnteredFormat"]["numberFormat"]["type"] == "DATE_TIME"


def test_a_zone_that_is_not_known_is_read_as_utc() -> None:
    assert zone_of("Middle/Earth") is UTC
    assert zone_of("") is UTC


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\tx", "\rx"])
def test_the_guard_puts_an_apostrophe_before_texts_that_look_like_formulas(text: str) -> None:
    assert cell_data(text, UTC, apostrophe=True)["userEnteredValue"] == {"stringValue": "'" + text}
    assert cell_data("1-1", UTC, apostrophe=True)["userEnteredValue"] == {"stringValue": "1-1"}


@pytest.mark.parametrize(("text", "fits"), [("x" * 50_000, True), ("x" * 50_001, False), ("😀" * 25_001, False)])
def test_a_text_too_long_for_a_cell_is_cut_where_people_see_it(text: str, fits: bool) -> None:
    kept = cell_data(text, UTC)["userEnteredValue"]["stringValue"]

    assert (kept == text) == fits
    assert kept.endswith(CUT) != fits
    assert len(kept.encode("utf-16-le")) <= 2 * 50_000


@pytest.mark.parametrize(("index", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")])
def test_columns_are_named_as_in_a_sheet(index: int, name: str) -> None:
    assert column_name(index) == name


def test_a_tab_called_like_a_cell_is_quoted() -> None:
    assert quoted("P1") == "'P1'"
    assert quoted("Ada's") == "'Ada''s'"
