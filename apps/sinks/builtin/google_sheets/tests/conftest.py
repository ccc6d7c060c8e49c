"""A spreadsheet on the emulator, and batches for it: what each test of the sink begins with."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pytest_django import Settings

from apps.sinks.builtin.google_sheets.sink import GoogleSheets
from apps.sinks.conformance import FORM, LAYOUT, ORGANIZATION, make_submission
from apps.sinks.contract import AmbiguousError, Batch, Context, Part, Submission
from formhub.core.clock import ManualClock
from formhub.core.ids import uuid7
from formhub.core.layout import Column, Kind, Layout
from sheets_emulator.emulator import SheetsEmulator

BATCH_UPDATE = "spreadsheets.batchUpdate"
NAME, COUNT = LAYOUT.columns
AGE = Column("age", "Age", Kind.NUMBER)


@pytest.fixture(scope="session")
def emulator() -> Iterator[SheetsEmulator]:
    with SheetsEmulator(quota_scale=0) as running:
        yield running


@pytest.fixture(scope="session")
def account(emulator: SheetsEmulator) -> dict[str, Any]:
    """One for all: making a key of 2,048 bits takes longer than most tests."""
    return emulator.new_account()


@dataclass
class Desk:
    """One spreadsheet, the account that writes to it, and the destination's memory between calls."""

    emulator: SheetsEmulator
    key: dict[str, Any] = field(repr=False)
    spreadsheet: str
    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime.now(UTC)))
    state: dict[str, Any] = field(default_factory=dict, repr=False)
    sequence: int = 0
    kept: dict[UUID, bytes] = field(default_factory=dict, repr=False)

    @property
    def email(self) -> str:
        return str(self.key["client_email"])

    def config(self, **changes: Any) -> dict[str, Any]:
        base = {"spreadsheet": self.spreadsheet, "worksheet": "Submissions", "service_account": json.dumps(self.key)}
        return base | changes

    def sink(self, config: dict[str, Any] | None = None, context: Context | None = None) -> GoogleSheets:
        lent = context or Context(ORGANIZATION, state=self.state, clock=self.clock)
        return GoogleSheets(config or self.config(), lent)

    def part(self, *submissions: Submission, layout: Layout = LAYOUT, number: int = 1, **config: Any) -> Part:
        return Part(number, FORM, "A form", self.config(**config), layout, submissions)

    def batch(self, *parts: Part) -> Batch:
        self.sequence += 1
        id = uuid7()
        return Batch(
            id, self.sequence, self.spreadsheet, parts, account=self.email, keep=lambda body: self._keep(id, body)
        )

    def rows_of(self, *submissions: Submission, **options: Any) -> Batch:
        return self.batch(self.part(*(submissions or (make_submission(),)), **options))

    def deliver(self, batch: Batch) -> None:
        """As the engine offers it."""
        self.sink(dict(batch.parts[0].config)).deliver(replace(batch, kept=self.kept.get(batch.id, batch.kept)))

    def send(self, *submissions: Submission, **options: Any) -> Batch:
        batch = self.rows_of(*submissions, **options)
        self.deliver(batch)
        return batch

    def unanswered(self, batch: Batch) -> Batch:
        """Offer a batch whose answer gets lost; what the engine offers next."""
        with pytest.raises(AmbiguousError):
            self.deliver(batch)
        return replace(batch, attempt=batch.attempt + 1, ambiguous=self.clock.now())

    def table(self, tab: str = "Submissions") -> list[list[Any]]:
        return self.emulator.rows(self.spreadsheet, tab)

    def ids(self, tab: str = "Submissions") -> list[str]:
        table = self.table(tab)
        at = table[0].index("Submission ID") if table else 0
        return [str(row[at]) if at < len(row) else "" for row in table[1:]]

    def edit(self, *requests: dict[str, Any]) -> None:
        """What a person does in the browser."""
        self.emulator.edit(self.spreadsheet, *requests)

    def tab_id(self, title: str = "Submissions") -> int:
        found = self.emulator.spreadsheet(self.spreadsheet).titled(title)
        assert found is not None
        return found.id

    def column(self, *header: str) -> list[list[Any]]:
        """The rows below the header, cut to columns in the order named."""
        table = self.table()
        at = [table[0].index(name) for name in header]
        return [[row[index] if index < len(row) else "" for index in at] for row in table[1:]]

    def _keep(self, id: UUID, body: bytes) -> None:
        self.kept[id] = body


@pytest.fixture
def desk(emulator: SheetsEmulator, account: dict[str, Any], settings: Settings) -> Desk:
    settings.SHEETS_BASE_URL = emulator.url
    settings.SHEETS_SERVICE_ACCOUNT_FILE = ""
    return Desk(emulator, dict(account), emulator.create("Answers", {account["client_email"]: "writer"}))
