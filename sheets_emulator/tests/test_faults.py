"""What calls meet when things go wrong, by plan and by chance, and what the journal of calls says of it."""

from collections.abc import Callable, Iterator
from typing import Any

import gspread
import pytest
import requests
from google.auth.exceptions import RefreshError, TransportError
from gspread.exceptions import APIError

from sheets_emulator.emulator import SheetsEmulator
from sheets_emulator.faults import Fault, Faults, Target
from sheets_emulator.tests.conftest import connect

pytestmark = pytest.mark.services
Control = Callable[..., Any]


@pytest.fixture(autouse=True)
def _without_faults_afterwards(emulator: SheetsEmulator) -> Iterator[None]:
    yield
    emulator.faults.clear()


def test_a_fault_is_met_by_the_call_it_is_meant_for(control: Control, spreadsheet: gspread.Spreadsheet) -> None:
    control("POST", "faults", faults=["reject"], path=spreadsheet.id, kind="addSheet", times=2)
    spreadsheet.sheet1.update([["other"]], "A1")
    spreadsheet.update_title("Another kind")

    for _ in range(2):
        with pytest.raises(APIError) as error:
            spreadsheet.add_worksheet("New", 1, 1)
        assert error.value.response.status_code == 503

    assert spreadsheet.add_worksheet("New", 1, 1).title == "New"


def test_a_batch_with_a_refused_text_is_refused_as_a_whole(
    control: Control, spreadsheet: gspread.Spreadsheet, tab: gspread.Worksheet
) -> None:
    def append(*texts: str) -> Any:
        rows = [{"values": [{"userEnteredValue": {"stringValue": text}}]} for text in texts]
        request = {"appendCells": {"sheetId": tab.id, "rows": rows, "fields": "userEnteredValue"}}
        return spreadsheet.batch_update({"requests": [{"appendDimension": row}, request]})

    row = {"sheetId": tab.id, "dimension": "ROWS", "length": 1}
    control("POST", "refusals", text='"poison"\u2028')
    append("sound")
    with pytest.raises(APIError) as error:
        append("sound", 'some "poison"\u2028 here')

    assert error.value.response.status_code == 400
    assert "requests[1].appendCells" in str(error.value)
    assert tab.get_all_values() == [["sound"]]
    control("DELETE", "faults")
    append('"poison"\u2028')


def test_a_late_one_lands_when_the_clock_is_put_forward(
    emulator: SheetsEmulator, control: Control, tab: gspread.Worksheet
) -> None:
    control("POST", "faults", faults=["late"], method="spreadsheets.values.update", late_seconds=170)
    with pytest.raises(APIError):
        tab.update([["late"]], "A1")
    assert tab.get_all_values() == [[]]

    control("POST", "clock", advance=171)

    emulator.clock.settle()
    assert tab.get_all_values() == [["late"]]
    emulator.faults.late_seconds = 0.3


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (Fault.REJECT, RefreshError),
        (Fault.UNAUTHORIZED, RefreshError),
        (Fault.HTML, RefreshError),
        (Fault.DROP, TransportError),
        (Fault.HANG, TransportError),
    ],
)
def test_the_token_endpoint_is_stuck(
    emulator: SheetsEmulator, key: dict[str, Any], fault: Fault, raised: type[Exception]
) -> None:
    client = connect(emulator, key)
    client.set_timeout((1, 0.2))
    emulator.faults.plan("token", *[fault] * 20)

    with pytest.raises(raised):
        client.open_by_key("any")


def test_a_token_that_expired_is_renewed_by_the_client(
    emulator: SheetsEmulator, control: Control, tab: gspread.Worksheet
) -> None:
    tab.get_all_values()
    granted = emulator.log.after()[-1].number

    control("POST", "clock", advance=3601)
    tab.get_all_values()

    assert [entry.status for entry in emulator.log.after(granted)] == [401, 200, 200]


def test_files_of_drive_meet_faults_too(emulator: SheetsEmulator, client: gspread.Client) -> None:
    emulator.faults.plan("drive.files.create", Fault.LOSE_ANSWER)

    with pytest.raises(APIError):
        client.create("Made unanswered")

    assert client.open("Made unanswered")


def test_the_same_seed_meets_the_same_faults() -> None:
    def met(seed: int) -> list[Fault | None]:
        faults = Faults()
        faults.at_random(seed, {Fault.REJECT: 0.2, Fault.DROP: 0.2}, Target("spreadsheets.*"))
        return [faults.next("spreadsheets.batchUpdate") for _ in range(200)]

    assert met(1) == met(1) != met(2)
    assert set(met(1)) == {None, Fault.REJECT, Fault.DROP}
    assert 40 < sum(found is not None for found in met(1)) < 120


def test_chance_is_ordered_and_ended_by_control(control: Control, tab: gspread.Worksheet) -> None:
    control("POST", "chance", seed=1, rates={"html": 1.0}, method="spreadsheets.values.*")
    with pytest.raises(APIError) as error:
        tab.update([["a"]], "A1")
    assert error.value.response.status_code == 502

    control("DELETE", "faults")

    assert tab.get_all_values() == [["a"]]


def test_the_journal_tells_every_call_and_no_value(
    emulator: SheetsEmulator, control: Control, tab: gspread.Worksheet, key: dict[str, Any]
) -> None:
    before = emulator.log.after()[-1].number
    emulator.faults.plan("spreadsheets.batchUpdate", Fault.DROP)
    with pytest.raises(requests.ConnectionError):
        tab.update_title("A secret")
    body = {"values": [["a secret"]]}
    tab.spreadsheet.values_update("A1", params={"valueInputOption": "RAW"}, body=body)

    dropped, written = control("GET", f"calls?after={before}")["calls"]

    assert (dropped["method"], dropped["kinds"]) == ("spreadsheets.batchUpdate", ["updateSheetProperties"])
    assert (dropped["fault"], dropped["status"]) == ("drop", 0)
    assert (written["account"], written["status"]) == (key["client_email"], 200)
    assert "secret" not in str([dropped, written])


def test_a_page_in_a_browser_controls_nothing(emulator: SheetsEmulator) -> None:
    address = f"{emulator.url}/control/quota"

    refused = requests.post(address, data='{"scale": 1}', headers={"Content-Type": "text/plain"}, timeout=5)

    assert refused.status_code == 415
    assert "Access-Control-Allow-Origin" not in requests.options(address, timeout=5).headers
