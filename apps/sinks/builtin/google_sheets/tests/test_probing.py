"""What the emulator is switched to is what the probe finds."""

import json
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.sinks.builtin.google_sheets.tests.conftest import Desk
from sheets_emulator import switches
from sheets_emulator.emulator import SheetsEmulator

pytestmark = pytest.mark.services
ASKED = {
    "repeated_metadata_id", "unmatched_metadata_delete", "row_metadata_in_sort", "append_and_notes",
    "append_and_checkboxes", "append_and_hidden_rows", "protected_cells", "included_spreadsheet",
}  # fmt: skip


@pytest.fixture
def keys(desk: Desk, tmp_path: Path) -> list[str]:
    other = desk.emulator.new_account()
    desk.emulator.share(desk.spreadsheet, other["client_email"], "writer")
    files = []
    for number, key in enumerate((desk.key, other)):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(key))
        files += ["--key", str(path)]
    return files


def address(desk: Desk) -> str:
    """As the browser shows it: an id alone may begin with the sign of an option."""
    return f"{desk.emulator.url}/spreadsheets/{desk.spreadsheet}"


def probed(desk: Desk, keys: list[str]) -> str:
    output = StringIO()
    call_command("probe_sheets", address(desk), *keys, stdout=output)
    return output.getvalue()


def other_answers() -> dict[str, str]:
    return {each.name: each.metadata["answers"][-1] for each in fields(switches.Switches) if each.name in ASKED}


@pytest.mark.parametrize("answers", [{}, other_answers()], ids=["as it stands", "the other way round"])
def test_it_finds_what_the_service_does(
    desk: Desk, keys: list[str], answers: dict[str, str], emulator: SheetsEmulator
) -> None:
    before = emulator.service.switches
    emulator.service.switch(before.changed(answers))
    try:
        found = switches.load(probed(desk, keys))
    finally:
        emulator.service.switch(before)

    expected = switches.DEFAULT.changed(answers)
    assert {name: getattr(found, name) for name in ASKED} == {name: getattr(expected, name) for name in ASKED}


def test_nothing_of_it_stays_in_the_spreadsheet(desk: Desk, keys: list[str]) -> None:
    probed(desk, keys)

    found = desk.emulator.spreadsheet(desk.spreadsheet)
    assert [sheet.title for sheet in found.sheets] == ["Sheet1"]
    assert found.metadata == {}


def test_with_one_account_it_says_what_it_could_not_ask(desk: Desk, keys: list[str]) -> None:
    assert "# protected_cells: not asked" in probed(desk, keys[:2])


def test_an_address_that_is_none_and_a_sheet_that_is_not_shared(desk: Desk, keys: list[str]) -> None:
    with pytest.raises(CommandError, match="Paste the spreadsheet's address"):
        call_command("probe_sheets", "nonsense", *keys)
    desk.emulator.share(desk.spreadsheet, desk.email, None)
    with pytest.raises(CommandError, match="Share the spreadsheet with"):
        probed(desk, keys)


def test_without_a_key_it_asks_for_one(desk: Desk, settings: Any) -> None:
    with pytest.raises(CommandError, match="--key"):
        call_command("probe_sheets", address(desk))
