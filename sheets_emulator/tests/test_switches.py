"""Each thing that nobody has measured, both ways; and the text in which a probe would report it."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from sheets_emulator.changes import apply, copied
from sheets_emulator.errors import ApiError
from sheets_emulator.model import Sheet, Spreadsheet
from sheets_emulator.switches import DEFAULT, SwitchError, Switches, dump, load

ME = "me@example.org"


def blank() -> Spreadsheet:
    return Spreadsheet("id", "Title", {"owner@example.org": "owner", ME: "writer"}, sheets=[Sheet(0, "Sheet1")])


def batch(found: Spreadsheet, switches: Switches, *requests: dict[str, Any], email: str = ME) -> Spreadsheet:
    entry = {"email": email, "project": "project", "requests": list(requests)}
    return apply(found, "batch", entry, switches)[0]


def append(text: str) -> dict[str, Any]:
    cell = {"userEnteredValue": {"stringValue": text}}
    return {"appendCells": {"sheetId": 0, "rows": [{"values": [cell]}], "fields": "userEnteredValue"}}


def marker(location: dict[str, Any], number: int = 7, value: str = "") -> dict[str, Any]:
    entry = {"metadataId": number, "metadataKey": "key", "metadataValue": value, "visibility": "PROJECT"}
    return {"createDeveloperMetadata": {"developerMetadata": {**entry, "location": location}}}


def column(found: Spreadsheet) -> list[Any]:
    return [row[0] if row else None for row in found.sheets[0].rows]


def outcome(work: Callable[[], Any]) -> Any:
    """What comes of it: the result, or the code of the refusal."""
    try:
        return work()
    except ApiError as error:
        return error.code


def test_what_is_written_is_read_back_and_names_every_question() -> None:
    changed = DEFAULT.changed({"row_metadata_in_sort": "follows_the_row"})
    text = dump(changed)

    assert load(text) == changed
    assert load("") == DEFAULT
    assert all(each.metadata["question"] in text for each in fields(Switches))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('nope = "a"', "There is no switch nope"),
        ('quota_window = "hour"', "quota_window is one of sliding, minute"),
        ("quota_window", "cannot be read"),
    ],
    ids=["a switch that is none", "an answer that is none", "no TOML"],
)
def test_a_text_that_is_wrong_is_refused_with_the_remedy(text: str, said: str) -> None:
    with pytest.raises(SwitchError, match=said):
        load(text)


@pytest.mark.parametrize(("answer", "found"), [("refused", 400), ("accepted", ["a"])])
def test_a_repeated_metadata_id(answer: str, found: Any) -> None:
    switches = Switches(repeated_metadata_id=answer)
    place = {"spreadsheet": True}
    first = batch(blank(), switches, marker(place))

    assert outcome(lambda: column(batch(first, switches, marker(place), append("a")))) == found


@pytest.mark.parametrize(("answer", "found"), [("error", 400), ("ignored", ["a"])])
def test_deleting_metadata_that_is_not_there(answer: str, found: Any) -> None:
    delete = {"deleteDeveloperMetadata": {"dataFilter": {"developerMetadataLookup": {"metadataId": 1}}}}
    switches = Switches(unmatched_metadata_delete=answer)

    assert outcome(lambda: column(batch(blank(), switches, append("a"), delete))) == found


@pytest.mark.parametrize(("answer", "row"), [("stays", 0), ("follows_the_row", 1)])
def test_the_tag_of_a_row_in_a_sort(answer: str, row: int) -> None:
    place = {"dimensionRange": {"sheetId": 0, "dimension": "ROWS", "startIndex": 0, "endIndex": 1}}
    sort = {"sortRange": {"range": {"sheetId": 0}, "sortSpecs": [{"dimensionIndex": 0}]}}

    found = batch(blank(), Switches(row_metadata_in_sort=answer), append("b"), append("a"), marker(place), sort)

    assert column(found) == ["a", "b"]
    assert [entry.start for entry in found.metadata.values()] == [row]


PLACE = {"sheetId": 0, "rowIndex": 899}
NOTE = {"updateCells": {"start": PLACE, "rows": [{"values": [{"note": "x"}]}], "fields": "note"}}
CHECKBOXES = {
    "setDataValidation": {
        "range": {"sheetId": 0, "endRowIndex": 900, "endColumnIndex": 1},
        "rule": {"condition": {"type": "BOOLEAN"}},
    }
}


@pytest.mark.parametrize(
    ("name", "answer", "before", "row"),
    [
        ("append_and_notes", "counts_as_data", NOTE, 900),
        ("append_and_notes", "does_not_count", NOTE, 0),
        ("append_and_checkboxes", "counts_as_data", CHECKBOXES, 900),
        ("append_and_checkboxes", "does_not_count", CHECKBOXES, 0),
    ],
)
def test_what_pushes_appended_rows_down(name: str, answer: str, before: dict[str, Any], row: int) -> None:
    found = batch(blank(), DEFAULT.changed({name: answer}), before, append("a"))

    assert found.sheets[0].cell(row, 0) == "a"


@pytest.mark.parametrize(
    ("answer", "found"),
    [("below_the_last_visible_row", ["head", "new", "b"]), ("below_the_last_row", ["head", "a", "b", "new"])],
)
@pytest.mark.parametrize("hidden_by", ["a filter", "a person"])
def test_appending_where_the_last_rows_are_hidden(answer: str, found: list[str], hidden_by: str) -> None:
    rows = {"sheetId": 0, "dimension": "ROWS", "startIndex": 1, "endIndex": 3}
    hide: dict[str, Any] = {
        "updateDimensionProperties": {"range": rows, "properties": {"hiddenByUser": True}, "fields": "hiddenByUser"}
    }
    if hidden_by == "a filter":
        criteria = {"0": {"hiddenValues": ["a", "b"]}}
        hide = {"setBasicFilter": {"filter": {"range": {"sheetId": 0}, "criteria": criteria}}}
    steps = [append("head"), append("a"), append("b"), hide, append("new")]

    assert column(batch(blank(), Switches(append_and_hidden_rows=answer), *steps)) == found


@pytest.mark.parametrize(("answer", "code"), [("error_400", 400), ("error_403", 403)])
def test_the_error_of_a_protected_cell(answer: str, code: int) -> None:
    protect = {"addProtectedRange": {"protectedRange": {"range": {"sheetId": 0}}}}
    found = batch(blank(), DEFAULT, protect, email="owner@example.org")

    assert outcome(lambda: batch(found, Switches(protected_cells=answer), append("a"))) == code


@pytest.mark.parametrize(("answer", "kept"), [("copied", [7]), ("dropped", [])])
def test_metadata_in_a_copy(answer: str, kept: list[int]) -> None:
    source = batch(blank(), DEFAULT, marker({"spreadsheet": True}))

    twin = copied(source, {"id": "twin", "title": "Twin", "roles": {}}, Switches(metadata_in_a_copy=answer))

    assert list(twin.metadata) == kept


@pytest.mark.parametrize(("answer", "kept"), [("lost", []), ("restored", [1]), ("kept", [1, 2])])
def test_metadata_when_an_old_version_comes_back(answer: str, kept: list[int]) -> None:
    switches = Switches(metadata_at_a_restore=answer)
    found = batch(blank(), switches, marker({"spreadsheet": True}, 1), append("a"))
    found, _ = apply(found, "name_version", {"name": "then"}, switches)
    found = batch(found, switches, marker({"spreadsheet": True}, 2), append("b"))

    found, _ = apply(found, "restore_version", {"name": "then"}, switches)

    assert (column(found), list(found.metadata)) == (["a"], kept)
