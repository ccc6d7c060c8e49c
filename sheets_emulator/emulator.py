"""The emulator as one object: started in a thread, for tests and for the command line."""

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from sheets_emulator import people
from sheets_emulator.auth import Accounts, make_key
from sheets_emulator.calls import Calls
from sheets_emulator.clock import Clock
from sheets_emulator.faults import Faults
from sheets_emulator.journal import Journal
from sheets_emulator.model import Spreadsheet
from sheets_emulator.quota import Quota
from sheets_emulator.render import shown
from sheets_emulator.server import TOKEN_PATH, Server
from sheets_emulator.service import Service
from sheets_emulator.switches import Switches

PROJECT = "formhub-demo"


class SheetsEmulator:
    """`journal`: where to keep the spreadsheets over a restart; None keeps them in memory only.

    `speed`: how many seconds pass here in one, for quotas, tokens and late applications. `switches`: how the service
    stands where nobody has measured; None leaves them as the journal has them. `faults`: planned before the first call.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        journal: Path | None = None,
        quota_scale: float = 1.0,
        speed: float = 1.0,
        switches: Switches | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.clock = Clock(speed)
        self.accounts = Accounts(clock=self.clock)
        self.quota = Quota(quota_scale, self.clock, lambda: self.service.switches.quota_window)
        self.faults = faults or Faults()
        self.log = Calls()
        self._journal = Journal(journal)
        self.service = Service(self.accounts, self.quota, self._journal, self.clock, switches=switches)
        self.server = Server((host, port), self)
        self.service.base_url = self.url
        self._thread = threading.Thread(target=self.server.serve_forever, name="sheets-emulator", daemon=True)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def token_uri(self) -> str:
        return self.url + TOKEN_PATH

    @property
    def calls(self) -> Mapping[str, int]:
        """How often each method was called, by its id."""
        return self.service.calls

    def start(self) -> "SheetsEmulator":
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            self.server.shutdown()
            self._thread.join(5)
        self.server.server_close()
        self.clock.close()
        self._journal.close()

    def __enter__(self) -> "SheetsEmulator":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def new_account(self, email: str = "", project: str = PROJECT) -> dict[str, Any]:
        """A registered service account's JSON key."""
        email = email or f"sheets-{len(self.accounts.accounts) + 1}@{project}.iam.gserviceaccount.com"
        key = make_key(email, project, self.token_uri)
        self.accounts.register(key)
        return key

    def create(self, title: str, roles: Mapping[str, str]) -> str:
        """A new spreadsheet, its id. `roles` maps e-mail addresses to owner, writer or reader."""
        owners = roles if "owner" in roles.values() else {"owner@example.org": "owner", **roles}
        return self.service.create(title, owners).id

    def share(self, spreadsheet_id: str, email: str, role: str | None) -> None:
        self.service.share(spreadsheet_id, email, role)

    def delete(self, spreadsheet_id: str) -> None:
        self.service.delete(spreadsheet_id)

    def edit(self, spreadsheet_id: str, *requests: dict[str, Any]) -> None:
        """What a person does in the browser, as batchUpdate requests."""
        self.service.edit(spreadsheet_id, *requests)

    def people(self, spreadsheet_id: str, action: str, **given: Any) -> None:
        """What a person does, in a person's terms: see people.py."""
        people.do(self.service, spreadsheet_id, action, given)

    def switch(self, **answers: str) -> None:
        """Set switches by name. Raises SwitchError."""
        self.service.switch(self.service.switches.changed(answers))

    def spreadsheet(self, spreadsheet_id: str) -> Spreadsheet:
        return self.service.spreadsheets[spreadsheet_id]

    def rows(self, spreadsheet_id: str, tab: str) -> list[list[Any]]:
        """A tab's values as people see them, without the rows after the last one with data; [] if there is no tab."""
        sheet = self.spreadsheet(spreadsheet_id).titled(tab)
        if sheet is None:
            return []
        lines = sheet.rows.between(0, sheet.last_row())
        return [[shown(cell, "UNFORMATTED_VALUE", "FORMATTED_STRING") for cell in line] for line in lines]
