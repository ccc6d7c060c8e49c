"""Files and who may do what with them: the Drive calls of real gspread, and what the command line keeps."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from gspread.exceptions import APIError

from sheets_emulator.__main__ import describe
from sheets_emulator.emulator import SheetsEmulator
from sheets_emulator.tests.conftest import connect

pytestmark = pytest.mark.services


@pytest.fixture
def emulator() -> Iterator[SheetsEmulator]:
    with SheetsEmulator(quota_scale=0) as running:
        yield running


def status_of(error: pytest.ExceptionInfo[APIError]) -> int:
    return int(error.value.response.status_code)


def test_an_owner_shares_a_file_and_the_other_writes_to_it(emulator: SheetsEmulator) -> None:
    owner, writer = emulator.new_account(), emulator.new_account()
    made = connect(emulator, owner).create("Answers")

    made.share(writer["client_email"], perm_type="user", role="writer", notify=False)

    connect(emulator, writer).open_by_key(made.id).sheet1.append_row(["x"])
    assert made.sheet1.get_all_values() == [["x"]]


def test_who_may_only_look_may_not_share(emulator: SheetsEmulator) -> None:
    reader, other = emulator.new_account(), emulator.new_account()
    found = connect(emulator, reader).open_by_key(emulator.create("Answers", {reader["client_email"]: "reader"}))

    with pytest.raises(APIError) as error:
        found.share(other["client_email"], perm_type="user", role="writer", notify=False)

    assert status_of(error) == 403


def test_a_share_takes_no_owner_his_file(emulator: SheetsEmulator) -> None:
    owner, writer = emulator.new_account(), emulator.new_account()
    roles = {owner["client_email"]: "owner", writer["client_email"]: "writer"}
    found = connect(emulator, writer).open_by_key(emulator.create("Answers", roles))

    with pytest.raises(APIError) as error:
        found.share(owner["client_email"], perm_type="user", role="reader", notify=False)

    assert status_of(error) == 403


def test_the_command_line_makes_each_spreadsheet_once_and_finds_it_again(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        with SheetsEmulator(journal=tmp_path / "journal.sqlite", quota_scale=0) as emulator:
            describe(emulator, tmp_path, ["Student data", "Another"])
            emulator.create("Student data", {})  # of the same title, by somebody else
        found.append(json.loads((tmp_path / "emulator.json").read_text())["spreadsheets"])

    assert found[0] == found[1]
    assert list(found[0]) == ["Student data", "Another"]


def test_the_account_that_reads_spends_nothing_of_the_one_that_writes(tmp_path: Path) -> None:
    with SheetsEmulator(journal=tmp_path / "journal.sqlite", quota_scale=1 / 60) as emulator:  # one a minute
        emulator.quota.clock = lambda: 0.0
        describe(emulator, tmp_path, ["Student data"])
        described = json.loads((tmp_path / "emulator.json").read_text())
        spreadsheet = described["spreadsheets"]["Student data"]
        reader, writer = (
            connect(emulator, json.loads(Path(described[name]).read_text())).http_client
            for name in ("reader_service_account_file", "service_account_file")
        )
        reader.spreadsheets_get(spreadsheet)

        with pytest.raises(APIError) as error:
            reader.spreadsheets_get(spreadsheet)

        assert status_of(error) == 429
        assert writer.spreadsheets_get(spreadsheet)["spreadsheetId"] == spreadsheet


def test_a_private_key_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    with SheetsEmulator(journal=tmp_path / "journal.sqlite") as emulator:
        describe(emulator, tmp_path, [])

    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("*-account.json")} == {
        "service-account.json": 0o600,
        "reader-account.json": 0o600,
    }


def test_people_see_the_first_tab_that_holds_something(emulator: SheetsEmulator) -> None:
    key = emulator.new_account()
    found = connect(emulator, key).open_by_key(emulator.create("Answers", {key["client_email"]: "writer"}))
    found.add_worksheet("Submissions", 10, 5).update([["what people sent"]], "A1")

    page = requests.get(f"{emulator.url}/spreadsheets/{found.id}", timeout=10).text

    assert "what people sent" in page
