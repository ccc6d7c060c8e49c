"""Quotas, restarts, and the pages people look at."""

from pathlib import Path
from typing import Any

import pytest
import requests

from sheets_emulator.auth import Account
from sheets_emulator.emulator import SheetsEmulator
from sheets_emulator.errors import ApiError
from sheets_emulator.model import CELLS_MAX, Sheet, Spreadsheet
from sheets_emulator.quota import Quota
from sheets_emulator.updates import Caller, run

ME = Account("me@example.org", "project", "key", b"")
YOU = Account("you@example.org", "project", "key", b"")
CALLER = Caller(ME.email, ME.project)


def blank() -> Spreadsheet:
    return Spreadsheet("id", "Title", {ME.email: "owner"}, sheets=[Sheet(0, "Sheet1")])


def append(*texts: str) -> dict[str, Any]:
    rows = [{"values": [{"userEnteredValue": {"stringValue": text}}]} for text in texts]
    return {"appendCells": {"sheetId": 0, "rows": rows, "fields": "userEnteredValue"}}


def test_a_user_has_sixty_writes_a_minute_and_a_new_minute_starts_anew() -> None:
    now = 0.0
    quota = Quota(clock=lambda: now)
    for _ in range(60):
        quota.spend(ME, write=True)

    with pytest.raises(ApiError) as caught:
        quota.spend(ME, write=True)
    quota.spend(ME, write=False)
    quota.spend(YOU, write=True)
    now = 60.0
    quota.spend(ME, write=True)

    assert caught.value.details[0]["metadata"]["quota_limit"] == "WriteRequestsPerMinutePerUser"


def test_all_users_of_a_project_share_three_hundred_a_minute() -> None:
    quota = Quota(clock=lambda: 0.0)
    for number in range(300):
        quota.spend(Account(f"{number}@example.org", "project", "key", b""), write=False)

    with pytest.raises(ApiError) as caught:
        quota.spend(ME, write=False)

    assert caught.value.details[0]["metadata"]["quota_limit"] == "ReadRequestsPerMinutePerProject"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(append("x" * 50_001), id="a text too long for a cell"),
        pytest.param(
            {"appendDimension": {"sheetId": 0, "dimension": "ROWS", "length": CELLS_MAX}}, id="more cells than fit"
        ),
        pytest.param(
            {"appendDimension": {"sheetId": 0, "dimension": "COLUMNS", "length": 20_000}}, id="too many columns"
        ),
    ],
)
def test_googles_limits_hold(request_: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        run(blank(), [request_], CALLER)

    assert caught.value.code == 400


def test_a_refused_batch_leaves_the_original_untouched() -> None:
    spreadsheet = blank()

    with pytest.raises(ApiError):
        run(spreadsheet, [append("a"), append("x" * 50_001)], CALLER)

    assert len(spreadsheet.sheets[0].rows) == 0


def test_a_restart_finds_every_row_and_account_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.sqlite"
    with SheetsEmulator(journal=journal) as first:
        spreadsheet_id = first.create("Kept", {"me@example.org": "writer"})
        first.edit(spreadsheet_id, append("a", "b"))
        first.share(spreadsheet_id, "you@example.org", "reader")

    with SheetsEmulator(journal=journal) as second:
        assert second.rows(spreadsheet_id, "Sheet1") == [["a"], ["b"]]
        assert second.spreadsheet(spreadsheet_id).roles["you@example.org"] == "reader"


def test_people_see_the_cells_as_text_and_that_they_are_emulated() -> None:
    with SheetsEmulator() as emulator:
        spreadsheet_id = emulator.create("Answers & more", {})
        emulator.edit(spreadsheet_id, append("<script>alert(1)</script>"))

        page = requests.get(f"{emulator.url}/spreadsheets/{spreadsheet_id}", timeout=5)
        listing = requests.get(emulator.url, timeout=5)

    assert "&lt;script&gt;" in page.text
    assert "<script>" not in page.text
    assert "Emulated." in page.text
    assert "Answers &amp; more" in listing.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
