"""Google away, slow, forgetful, unwilling: everything that its API may do to a call."""

import pytest

from sheets_emulator.faults import Fault
from tests.faults.harness.case import Case
from tests.stack import wait_until

WRITES = "spreadsheets.batchUpdate"
READS = "spreadsheets.get"


@pytest.mark.parametrize(
    ("fault", "method"),
    [
        pytest.param(Fault.REJECT, WRITES, id="503, not applied"),
        pytest.param(Fault.LOSE_ANSWER, WRITES, id="503, applied all the same", marks=pytest.mark.few),
        pytest.param(Fault.DROP, WRITES, id="connection cut after it was applied"),
        pytest.param(Fault.HTML, WRITES, id="502 with a page, applied"),
        pytest.param(Fault.LATE, WRITES, id="503 at once, applied later"),
        pytest.param(Fault.REJECT, READS, id="reads refused"),
    ],
)
def test_google(case: Case, fault: Fault, method: str) -> None:
    """Google: {id}, six calls in a row"""
    with case.load() as load:
        load.more(40)
        case.world.emulator.faults.plan(method, *[fault] * 6)
        load.more(80)
        case.healed()

    case.judge()


def test_google_hangs(case: Case) -> None:
    """Google: applied, then silence beyond our timeout"""
    case.world.emulator.faults.hang_seconds = 40
    with case.load() as load:
        load.more(40)
        case.world.emulator.faults.plan(WRITES, Fault.HANG, Fault.HANG)
        load.more(60)
        case.healed()

    case.judge()


def test_google_quota(case: Case) -> None:
    """Google: 429 for the rest of a minute"""
    quota = case.world.emulator.quota
    scale = quota.scale
    with case.load() as load:
        load.more(40)
        quota.scale = 0.01
        load.more(80)
        quota.scale = scale
        case.healed()
        load.more(40)

    case.judge()


def test_google_access_revoked(case: Case) -> None:
    """the spreadsheet no longer shared: the action pauses, and drains when it is resumed"""
    sheet, account = case.targets[0]["spreadsheet_id"], case.world.account
    with case.load() as load:
        load.more(40)
        case.world.emulator.share(sheet, account, None)
        wait_until(lambda: case.world.sql(PAUSED), 60, "the action is paused")
        load.more(40)
        case.world.emulator.share(sheet, account, "writer")
        case.world.stack.manage("shell", "-c", RESUME)
        case.healed()

    case.judge()


PAUSED = "SELECT 1 FROM sinks_binding WHERE state = 'paused'"
RESUME = """
from apps.sinks import actions
from apps.sinks.models import Binding
for binding in Binding.objects.filter(state="paused"):
    actions.resume(binding)
"""


def test_people_at_work(case: Case) -> None:
    """somebody renames the tab and moves columns while rows come in"""
    target = case.targets[0]
    with case.load() as load:
        load.more(40)
        wait_until(lambda: case.world.sheet(target), 60, "rows stand in the Sheet")
        sheet = case.world.emulator.spreadsheet(target["spreadsheet_id"]).titled(target["worksheet"])
        assert sheet is not None
        moved = {"source": {"sheetId": sheet.id, "dimension": "COLUMNS", "startIndex": 0, "endIndex": 2}}
        case.world.emulator.edit(
            target["spreadsheet_id"],
            {"moveDimension": {**moved, "destinationIndex": 5}},
            {"updateSheetProperties": {"properties": {"sheetId": sheet.id, "title": "Ours"}, "fields": "title"}},
        )
        target["worksheet"] = "Ours"
        case.healed()
        load.more(60)

    case.judge()
