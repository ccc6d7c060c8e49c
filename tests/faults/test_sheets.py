"""Google away, slow, forgetful, unwilling: all that its API may do to a call, and what people do to a Sheet."""

import pytest

from sheets_emulator.faults import Fault
from tests.faults.harness.case import Case
from tests.faults.harness.records import an_envelope, producer, put_accepted
from tests.faults.harness.signs import above, nowhere, rises
from tests.stack import wait_until

WRITES = "spreadsheets.batchUpdate"
READS = "spreadsheets.get"
UNKNOWN = pytest.mark.shows(rises("formhub_flush_items_total", outcome="ambiguous"))
FAILED = pytest.mark.shows(rises("formhub_flush_items_total", outcome="retryable"))
PAUSED = pytest.mark.shows(above("formhub_actions", 0, "ActionsPaused", state="paused"))
Target = dict[str, str]


@pytest.mark.parametrize(
    ("fault", "method"),
    [
        pytest.param(Fault.REJECT, WRITES, id="503, not applied", marks=UNKNOWN),
        pytest.param(Fault.LOSE_ANSWER, WRITES, id="503, applied all the same", marks=[UNKNOWN, pytest.mark.few]),
        pytest.param(Fault.DROP, WRITES, id="connection cut after it was applied", marks=UNKNOWN),
        pytest.param(Fault.HTML, WRITES, id="502 with a page, applied", marks=UNKNOWN),
        pytest.param(Fault.LATE, WRITES, id="503 at once, applied later", marks=UNKNOWN),
        pytest.param(Fault.REJECT, READS, id="reads refused", marks=FAILED),
    ],
)
def test_google(case: Case, fault: Fault, method: str) -> None:
    """Google: {id}, six calls in a row"""
    with case.load() as load:
        load.more(40)
        meet(case, method, *[fault] * 6)
        load.more(80)
        case.healed()

    case.judge()


@UNKNOWN
def test_google_hangs(case: Case) -> None:
    """Google: applied, then silence beyond our timeout"""
    case.world.emulator.faults.hang_seconds = 40
    with case.load() as load:
        load.more(40)
        meet(case, WRITES, Fault.HANG, Fault.HANG)
        load.more(60)
        case.healed()

    case.judge()


def meet(case: Case, method: str, *faults: Fault) -> None:
    """The next calls meet these, all of them."""
    emulator = case.world.emulator
    last = latest(case)
    emulator.faults.plan(method, *faults)

    def met() -> int:
        return sum(bool(entry.fault) for entry in emulator.log.after(last))

    wait_until(lambda: met() >= len(faults), 150, f"{len(faults)} calls have met {faults[0]}")


def latest(case: Case) -> int:
    """The number of the last call of Google's API."""
    return max((entry.number for entry in case.world.emulator.log.after()), default=0)


@pytest.mark.shows(rises("formhub_quota_refused_total", "QuotaRefused"))
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


@PAUSED
def test_google_access_revoked(case: Case) -> None:
    """the spreadsheet no longer shared: the action pauses, and drains when it is resumed"""
    target, account = case.targets[0], case.world.account
    with case.load() as load:
        load.more(40)
        case.world.emulator.share(target["spreadsheet_id"], account, None)
        paused(case, target, "may not write")
        load.more(40)
        case.world.emulator.share(target["spreadsheet_id"], account, "writer")
        case.world.owner.resume(target)
        case.healed()
        load.more(40)

    case.judge()


@PAUSED
def test_google_spreadsheet_deleted(case: Case) -> None:
    """the spreadsheet deleted under load: the action pauses; a new one is given all, also what stood in the old one"""
    target = case.targets[0]
    with case.load() as load:
        load.more(40)
        rows_stand(case, target)
        case.world.emulator.delete(target["spreadsheet_id"])
        paused(case, target, "no such spreadsheet")
        load.more(40)
        target["spreadsheet_id"] = case.world.emulator.create("Another", {case.world.account: "writer"})
        case.world.owner.change(target, spreadsheet=target["spreadsheet_id"])
        case.late = delivered(case, target)
        case.world.owner.resend_missing(target)
        case.world.owner.resume(target)
        case.healed()
        load.more(60)

    case.judge()


@PAUSED
def test_google_tab_deleted(case: Case) -> None:
    """the tab deleted under load: the action pauses, then begins a new one; what stood there comes again if asked"""
    target = case.targets[0]
    with case.load() as load:
        load.more(40)
        rows_stand(case, target)
        case.world.emulator.people(target["spreadsheet_id"], "delete_tab", tab=target["worksheet"])
        paused(case, target, "was deleted")
        case.late = delivered(case, target)
        load.more(40)
        case.world.owner.resend_missing(target)
        case.world.owner.resume(target)
        case.healed()
        load.more(60)

    case.judge()


@PAUSED
def test_google_full(case: Case) -> None:
    """the spreadsheet full, 10 million cells: the action pauses, and goes on in another one that its owner enters"""
    target = case.targets[0]
    with case.load() as load:
        load.more(40)
        rows_stand(case, target)
        fill(case, target)
        paused(case, target, "is full")
        load.more(40)
        target["former"] = target["spreadsheet_id"]
        target["spreadsheet_id"] = case.world.emulator.create("Another", {case.world.account: "writer"})
        case.world.owner.change(target, spreadsheet=target["spreadsheet_id"])
        case.world.owner.resume(target)
        case.healed()
        load.more(60)

    case.judge()


@pytest.mark.shows(nowhere("its owner has provided for it: the rows go on in the next spreadsheet by themselves"))
def test_google_full_with_a_next_one(case: Case) -> None:
    """the spreadsheet full, the next one given beforehand: rows go on there, and the old one leads there"""
    target = case.targets[0]
    following = case.world.emulator.create("Volume 2", {case.world.account: "writer"})
    case.world.owner.change(target, further=following)
    with case.load() as load:
        load.more(40)
        rows_stand(case, target)
        fill(case, target)
        target |= {"former": target["spreadsheet_id"], "spreadsheet_id": following}
        wait_until(lambda: case.world.emulator.rows(following, target["worksheet"]), 60, "rows stand in the next one")
        case.healed()
        load.more(60)

    case.judge()
    assert not notices(case, target)
    assert any(following in str(cell) for cell in case.world.emulator.rows(target["former"], target["worksheet"])[-1])


@PAUSED
def test_google_protected(case: Case) -> None:
    """the tab protected under load: the action pauses, and drains when it is unprotected and resumed"""
    target = case.targets[0]
    spreadsheet, tab = target["spreadsheet_id"], target["worksheet"]
    with case.load() as load:
        load.more(40)
        rows_stand(case, target)
        case.world.emulator.people(spreadsheet, "protect", tab=tab)
        paused(case, target, "protected range")
        load.more(40)
        case.world.emulator.people(spreadsheet, "unprotect", tab=tab)
        case.world.owner.resume(target)
        case.healed()
        load.more(40)

    case.judge()


@pytest.mark.shows(rises("formhub_parked_total", code="refused_by_google"))
def test_google_refuses_a_cell(case: Case) -> None:
    """one cell in a batch of 500 that Google refuses: found in ten calls, parked and shown; the others land in order"""
    target, emulator = case.targets[0], case.world.emulator
    emulator.faults.refuse("poison")
    case.world.owner.pause(target)
    with producer(case) as kafka:
        for number in range(500):
            envelope = an_envelope(case, f"batch-{number}", name="poison" if number == 333 else "Zoë")
            put_accepted(kafka, case, envelope)
            if number == 333:
                case.failed = {str(envelope.id)}
    wait_until(lambda: len(case.world.archive(target["form"])) == 500, 60, "the 500 are archived")
    last = latest(case)

    def refused() -> int:
        mine = [entry for entry in emulator.log.after(last) if target["spreadsheet_id"] in entry.path]
        return sum(entry.method == WRITES and entry.status == 400 for entry in mine)

    case.world.owner.resume(target)
    wait_until(refused, 60, "the batch is refused")  # so that it holds these 500
    with case.load() as load:
        wait_until(lambda: case.world.owner.failed(target), 120, "one is shown as failed")
        load.more(60)
        case.healed()
        load.more(40)

    case.judge()
    assert refused() <= 10
    [shown] = case.world.owner.failed(target)
    assert ({shown["submission"]}, shown["code"]) == (case.failed, "refused_by_google")


@pytest.mark.shows(nowhere("people may do so: columns and tabs are known by their tags"))
def test_people_at_work(case: Case) -> None:
    """somebody renames the tab and moves columns while rows come in"""
    target = case.targets[0]
    with case.load() as load:
        load.more(40)
        rows_stand(case, target)
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


def rows_stand(case: Case, target: Target) -> None:
    wait_until(lambda: case.world.sheet(target), 60, "rows stand in the Sheet")


def fill(case: Case, target: Target) -> None:
    """Somebody adds blank rows: each of their cells counts."""
    rows = {"sheetId": 0, "dimension": "ROWS", "length": 370_000}
    case.world.emulator.edit(target["spreadsheet_id"], {"appendDimension": rows})


def paused(case: Case, target: Target, why: str) -> None:
    """The action is, its owner was told once, operators see it, and nothing else stands still."""
    wait_until(lambda: case.world.owner.paused(target), 60, "the action is paused")
    assert why in case.world.owner.action(target)["reason"]
    accepted, others = case.accepted(), case.targets[1:]
    before = [len(case.world.sheet(other)) for other in others]
    wait_until(lambda: accepted <= case.archived(), 60, "the archive goes on")
    wait_until(
        lambda: all(len(case.world.sheet(other)) > count for other, count in zip(others, before, strict=True)),
        60,
        "the other Sheets go on",
    )
    wait_until(lambda: notices(case, target) == ["sent"], 120, "its owner was told")
    wait_until(lambda: case.watch.seen_at is not None, 60, "operators see it")


def notices(case: Case, target: Target) -> list[str]:
    """What the owner is told of pauses: each waits, was sent or dropped."""
    query = (
        "SELECT n.state FROM sinks_notice n JOIN sinks_binding b ON b.id = n.binding_id"
        " JOIN forms_form f ON f.id = b.form_id WHERE f.public_id = %s AND n.kind = 'paused'"
    )
    return [state for (state,) in case.world.sql(query, target["form"])]


def delivered(case: Case, target: Target) -> set[str]:
    query = (
        "SELECT i.submission_id::text FROM sinks_batchitem i JOIN sinks_batch d ON d.id = i.batch_id"
        " JOIN sinks_binding b ON b.id = i.binding_id JOIN forms_form f ON f.id = b.form_id"
        " WHERE f.public_id = %s AND d.state = 'delivered'"
    )
    return {id for (id,) in case.world.sql(query, target["form"])}
