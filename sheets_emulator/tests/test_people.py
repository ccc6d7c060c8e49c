"""What people do in their browser, by control endpoint."""

from collections.abc import Callable
from typing import Any

import gspread
import pytest
import requests
from gspread.exceptions import APIError

from sheets_emulator.emulator import SheetsEmulator

pytestmark = pytest.mark.services
Person = Callable[..., None]


@pytest.fixture
def person(control: Callable[..., Any], spreadsheet: gspread.Spreadsheet) -> Person:
    def act(action: str, **given: Any) -> None:
        control("POST", f"people/{spreadsheet.id}/{action}", **given)

    return act


@pytest.fixture
def filled(tab: gspread.Worksheet) -> gspread.Worksheet:
    tab.update([["name", "age"], ["b", 2], ["a", 1], ["c", 3]], "A1")
    return tab


@pytest.mark.parametrize(
    ("action", "given", "found"),
    [
        ("sort", {"column": "A"}, [["name", "age"], ["a", "1"], ["b", "2"], ["c", "3"]]),
        ("sort", {"column": "B", "descending": True}, [["name", "age"], ["c", "3"], ["b", "2"], ["a", "1"]]),
        ("delete_rows", {"row": 2, "count": 2}, [["name", "age"], ["c", "3"]]),
        ("insert_rows", {"row": 3, "count": 1}, [["name", "age"], ["b", "2"], ["", ""], ["a", "1"], ["c", "3"]]),
        ("insert_columns", {"column": "B"}, [["name", "", "age"], ["b", "", "2"], ["a", "", "1"], ["c", "", "3"]]),
        ("move_columns", {"column": "A", "to": "C"}, [["age", "name"], ["2", "b"], ["1", "a"], ["3", "c"]]),
        ("delete_columns", {"column": "A"}, [["age"], ["2"], ["1"], ["3"]]),
        ("rename_column", {"column": "B", "text": "years"}, [["name", "years"], ["b", "2"], ["a", "1"], ["c", "3"]]),
        ("type", {"row": 4, "column": "A", "text": "d"}, [["name", "age"], ["b", "2"], ["a", "1"], ["d", "3"]]),
    ],
)
def test_cells_are_where_people_put_them(
    person: Person, filled: gspread.Worksheet, action: str, given: dict[str, Any], found: list[list[str]]
) -> None:
    person(action, **given)

    assert filled.get_all_values() == found


def test_a_note_far_below_is_left(person: Person, filled: gspread.Worksheet) -> None:
    person("note", row=900, column="C", text="Do not forget")

    assert filled.get_note("C900") == "Do not forget"


@pytest.mark.parametrize(("begin", "end"), [("filter", "clear_filter"), ("hide_rows", "show_rows")])
def test_rows_that_people_hide_mislead_an_append(
    person: Person, filled: gspread.Worksheet, begin: str, end: str
) -> None:
    """As seen with values.append: what was hidden is written over."""
    given = {"column": "A", "hidden": ["a", "c"]} if begin == "filter" else {"row": 3, "count": 2}
    person(begin, **given)
    filled.append_row(["new", 9])
    person(end, **({} if end == "clear_filter" else given))

    assert filled.get_all_values() == [["name", "age"], ["b", "2"], ["new", "9"], ["c", "3"]]


def test_a_protection_is_put_up_and_taken_away(person: Person, filled: gspread.Worksheet) -> None:
    person("protect", range="A1:B1")
    with pytest.raises(APIError, match="protected"):
        filled.update([["x"]], "A1")
    filled.update([["x"]], "A2")

    person("unprotect")

    filled.update([["x"]], "A1")


def test_a_file_is_unshared_shared_and_deleted(
    person: Person, spreadsheet: gspread.Spreadsheet, key: dict[str, Any]
) -> None:
    for action, status in (("unshare", 403), ("share", None), ("delete_file", 404)):
        person(action, **{"with": key["client_email"]})
        if status is None:
            assert spreadsheet.worksheets()
            continue
        with pytest.raises(APIError) as error:
            spreadsheet.worksheets()
        assert error.value.response.status_code == status


def test_an_old_version_comes_back(person: Person, filled: gspread.Worksheet) -> None:
    person("name_version", name="before")
    person("delete_rows", row=1, count=3)

    person("restore_version", name="before")

    assert filled.row_values(1) == ["name", "age"]


def test_the_rest_of_what_people_do(person: Person, emulator: SheetsEmulator, spreadsheet: gspread.Spreadsheet) -> None:
    spreadsheet.add_worksheet("Second", 3, 3)
    person("hide_columns", tab="Second", column="A")
    person("show_columns", tab="Second", column="A")
    person("checkboxes", tab="Second", range="A1:A3")
    person("rename_tab", tab="Second", title="Renamed")
    assert [tab.title for tab in spreadsheet.worksheets()] == ["Sheet1", "Renamed"]

    person("delete_tab", tab="Renamed")

    assert [tab.title for tab in spreadsheet.worksheets()] == ["Sheet1"]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("people/{id}/dance", {}, 404, "People do not dance"),
        ("people/{id}/sort", {}, 400, "sort needs column"),
        ("people/nobody/sort", {"column": "A"}, 404, "not found"),
        ("dance", {}, 404, "There is no such endpoint"),
        ("faults", {"faults": ["dance"]}, 400, "dance"),
        ("faults", {}, 400, "faults is missing"),
        ("switches", {"dance": "yes"}, 400, "There is no switch dance"),
    ],
)
def test_what_is_asked_wrongly_is_answered_with_what_there_is(
    emulator: SheetsEmulator, spreadsheet: gspread.Spreadsheet, path: str, body: dict[str, Any], status: int, said: str
) -> None:
    answer = requests.post(f"{emulator.url}/control/{path.format(id=spreadsheet.id)}", json=body, timeout=5)

    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]


def test_everything_else_is_set_by_control(control: Callable[..., Any], emulator: SheetsEmulator) -> None:
    key = control("POST", "accounts", project="another")
    made = control("POST", "spreadsheets", title="By control", roles={key["client_email"]: "reader"})["id"]

    assert key["project_id"] == "another"
    assert control("GET", "spreadsheets")["spreadsheets"][made] == "By control"
    assert control("POST", "switches", quota_window="minute")["quota_window"] == "minute"
    assert control("POST", "switches", quota_window="sliding") == control("GET", "switches")
    assert control("GET", "clock")["speed"] == 1.0
    assert control("POST", "quota", scale=0) == {"scale": 0.0}
    control("DELETE", "tokens")
    control("DELETE", "calls")
    assert control("GET", "calls") == {"calls": []}
