"""gspread's Client: files, who they are shared with, what leaves and enters as text."""

from typing import Any

import gspread
import pytest
from gspread.exceptions import APIError
from gspread.utils import ExportFormat

from sheets_emulator.emulator import SheetsEmulator
from sheets_emulator.tests.covering import covers

pytestmark = pytest.mark.services


def status_of(error: pytest.ExceptionInfo[APIError]) -> int:
    return int(error.value.response.status_code)


@covers("Client.create", "Client.open", "Client.open_by_key", "Client.open_by_url", "Client.openall")
def test_a_file_is_found_by_title_key_and_address(client: gspread.Client) -> None:
    made = client.create("Found again")

    assert client.open("Found again").id == made.id
    assert client.open_by_key(made.id).title == "Found again"
    assert client.open_by_url(made.url).id == made.id
    assert made.id in {each.id for each in client.openall()}
    with pytest.raises(gspread.SpreadsheetNotFound):
        client.open("Never made")


@covers("Client.list_spreadsheet_files", "Client.get_file_drive_metadata", "Client.expiry", "Client.set_timeout")
def test_files_are_listed_with_the_times_of_their_changes(client: gspread.Client) -> None:
    client.set_timeout((5, 10))
    made = client.create('A "quoted" title', folder_id="folder-1")

    [listed] = client.list_spreadsheet_files(folder_id="folder-1")

    assert listed == client.get_file_drive_metadata(made.id)
    assert set(listed) == {"id", "name", "createdTime", "modifiedTime"}
    assert listed["createdTime"].endswith("Z")
    assert client.expiry is not None


@covers("Client.del_spreadsheet")
def test_only_its_owner_deletes_a_file(client: gspread.Client, spreadsheet: gspread.Spreadsheet) -> None:
    with pytest.raises(APIError) as error:
        client.del_spreadsheet(spreadsheet.id)
    assert status_of(error) == 403
    made = client.create("Short-lived")

    client.del_spreadsheet(made.id)

    with pytest.raises(gspread.SpreadsheetNotFound):
        client.open_by_key(made.id)


@covers("Client.copy")
def test_a_copy_has_the_cells_and_if_wanted_the_shares_and_comments(
    emulator: SheetsEmulator, client: gspread.Client, other: gspread.Client, keys: list[dict[str, Any]]
) -> None:
    made = client.create("Original")
    made.sheet1.update([["a"]], "A1")
    made.share(keys[1]["client_email"], perm_type="user", role="reader")
    emulator.service.change(made.id, "comment", comment={"content": "Who wrote this?"})

    twin = client.copy(made.id, copy_permissions=True)

    assert (twin.title, twin.sheet1.acell("A1").value) == ("Copy of Original", "a")
    assert other.open_by_key(twin.id).sheet1.acell("A1").value == "a"
    assert [each["content"] for each in emulator.spreadsheet(twin.id).comments] == ["Who wrote this?"]


@covers("Client.export")
def test_the_first_tab_leaves_as_text(client: gspread.Client, tab: gspread.Worksheet) -> None:
    tab.update([["a,b", "c"], ["d"]], "A1")

    assert client.export(tab.spreadsheet_id, ExportFormat.CSV) == b'"a,b",c\r\nd,'
    assert client.export(tab.spreadsheet_id, ExportFormat.TSV) == b"a,b\tc\r\nd\t"
    with pytest.raises(APIError) as error:
        client.export(tab.spreadsheet_id, ExportFormat.PDF)
    assert status_of(error) == 501


@covers("Client.import_csv")
def test_a_text_takes_the_place_of_everything(client: gspread.Client, spreadsheet: gspread.Spreadsheet) -> None:
    spreadsheet.add_worksheet("Gone", 5, 5)

    client.import_csv(spreadsheet.id, "name,age\nZoë,12\n")

    assert [each.title for each in spreadsheet.worksheets()] == ["Sheet1"]
    assert spreadsheet.sheet1.get_all_records() == [{"name": "Zoë", "age": 12}]


@covers("Client.list_permissions", "Client.insert_permission", "Client.remove_permission")
def test_shares_are_made_listed_and_taken_back(client: gspread.Client, other: gspread.Client) -> None:
    made = client.create("Shared")
    anyone = client.insert_permission(made.id, None, perm_type="anyone", role="reader").json()
    client.insert_permission(made.id, "example.org", perm_type="domain", role="writer")
    client.insert_permission(made.id, "all@example.org", perm_type="group", role="writer")

    shown = client.list_permissions(made.id)

    assert [(each["type"], each["role"]) for each in shown] == [
        ("user", "owner"),
        ("anyone", "reader"),
        ("domain", "writer"),
        ("group", "writer"),
    ]
    assert other.open_by_key(made.id).title == "Shared"
    client.remove_permission(made.id, anyone["id"])
    with pytest.raises(PermissionError):
        other.open_by_key(made.id)


def test_an_account_without_storage_makes_no_file(client: gspread.Client, emulator: SheetsEmulator) -> None:
    emulator.switch(service_account_storage="none")
    try:
        with pytest.raises(APIError) as error:
            client.create("Too much")
    finally:
        emulator.switch(service_account_storage="granted")

    [reason] = error.value.response.json()["error"]["errors"]
    assert (status_of(error), reason["reason"], reason["domain"]) == (403, "storageQuotaExceeded", "usageLimits")
