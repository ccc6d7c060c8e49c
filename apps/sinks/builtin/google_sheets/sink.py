"""The kind: what it promises the engine, whom it speaks as, and what its owner is told."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.google_sheets import memory as memories
from apps.sinks.builtin.google_sheets.client import AccountRefusedError, RejectedError, SheetsClient
from apps.sinks.builtin.google_sheets.config import (
    GoogleSheetsConfig,
    ServiceAccount,
    account_of,
    accounts_of,
    lines,
)
from apps.sinks.builtin.google_sheets.delivery import Delivery
from apps.sinks.builtin.google_sheets.draft import MARKERS_FROM, headers, probe
from apps.sinks.builtin.google_sheets.ids import pages_of
from apps.sinks.builtin.google_sheets.memory import FIELDS, NEARLY_FULL, Memory
from apps.sinks.contract import Account, Batch, ConfigurationError, Confirmation, Policy, Preview, Rate, Sink

PROBE = MARKERS_FROM - 1
NAMES_SHOWN = 5


def _share(quota: int) -> int:
    """Four fifths of a quota: the limiter lets bursts of a fifth through."""
    return max(1, quota * 4 // 5)


class GoogleSheets(Sink):
    name, label = "google_sheets", "Google Sheets"
    description = gettext_lazy("Each submission becomes a row of a spreadsheet, once, in the order they came.")  # type: ignore[assignment]
    Config = GoogleSheetsConfig
    exclusive = True
    # A row takes three to five times its answers' size in a request; Google advises 2 MB at most.
    policy = Policy(
        max_items=1000,
        max_bytes=750_000,
        max_seconds=10,
        ordered=True,
        repeatable=True,
        rates=(
            Rate("spreadsheet", 1, 1.0),
            Rate("write", _share(settings.SHEETS_QUOTA_PER_ACCOUNT), 60),
            Rate("write_project", _share(settings.SHEETS_QUOTA_PER_PROJECT), 60),
            Rate("read", _share(settings.SHEETS_QUOTA_PER_ACCOUNT), 60),
            Rate("read_project", _share(settings.SHEETS_QUOTA_PER_PROJECT), 60),
        ),
    )

    @classmethod
    def destination(cls, config: Mapping[str, Any]) -> str:
        return str(config["spreadsheet"])

    @classmethod
    def accounts(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> Sequence[Account]:
        found = [_counted(account, cls.destination(config)) for account in accounts_of(config)]
        return [account for account in found if account.name not in state.get("barred", {})] or found

    @classmethod
    def notices(cls, config: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
        known = memories.load(state)
        found = []
        if known.used > NEARLY_FULL and not config.get("further"):
            found.append(
                _("The spreadsheet is %(percent).0f %% full. Name the spreadsheet to go on in before it is.")
                % {"percent": 100 * known.used}
            )
        deleted = known.deleted_labels(config["worksheet"])
        if deleted and not config.get("restore_columns"):
            found.append(
                _("Not written, because their columns were deleted in the sheet: %(names)s.")
                % {"names": ", ".join(deleted[:NAMES_SHOWN]) + (", …" if len(deleted) > NAMES_SHOWN else "")}
            )
        if known.barred:
            found.append(
                _("%(emails)s may not write to the spreadsheet. Share it with them too: rows are written faster then.")
                % {"emails": ", ".join(sorted(known.barred))}
            )
        return found

    def deliver(self, batch: Batch) -> None:
        self._delivery(batch).run()

    def confirm(self, batch: Batch) -> Confirmation:
        return self._delivery(batch).confirm()

    def present(self) -> Iterator[list[UUID]]:
        """Of the settings' tab, in this spreadsheet and in those written before."""
        for spreadsheet in (*lines(self.config.get("former", "")), self.destination(self.config)):
            client = SheetsClient(account_of(self.config), spreadsheet)
            yield from pages_of(client, self.config["worksheet"], self._spend_read)

    def preview(self, batch: Batch) -> Preview:
        """The rows under their headers, as a tab of its own would show them."""
        table = StringIO()
        rows = csv.writer(table)
        part = batch.parts[0]
        rows.writerow(headers(part))
        for each in part.submissions:
            rows.writerow([each.id, each.accepted_at, *part.layout.row(each.answers)])
        return Preview("text/csv", table.getvalue())

    def check(self) -> str:
        """Every account tries to read and to write; nothing stays in the spreadsheet."""
        refused: dict[str, ConfigurationError] = {}
        memory = Memory()
        accounts = accounts_of(self.config)
        for account in accounts:
            try:
                memory.saw(_try(account, self.destination(self.config)), self.context.clock.now().timestamp())
            except AccountRefusedError as error:
                refused[account.email] = error
        if len(refused) == len(accounts):
            raise next(iter(refused.values()))
        for spreadsheet in lines(self.config.get("further", "")):
            self._check_further(spreadsheet)
        working = [account.email for account in accounts if account.email not in refused]
        said = _("Connected to “%(title)s” as %(emails)s. It is %(percent).0f %% full.") % {
            "title": memory.title,
            "emails": ", ".join(working),
            "percent": 100 * memory.used,
        }
        if not refused:
            return said
        return f"{said} " + _("Not shared yet with %(emails)s.") % {"emails": ", ".join(refused)}

    def _check_further(self, spreadsheet: str) -> None:
        try:
            _try(account_of(self.config), spreadsheet)
        except ConfigurationError as error:
            text = _("The spreadsheet to go on in (%(id)s): %(why)s") % {"id": spreadsheet, "why": error}
            raise ConfigurationError(text, remedy=error.remedy) from error

    def _delivery(self, batch: Batch) -> Delivery:
        others = [account.email for account in accounts_of(self.config)]
        return Delivery(account_of(self.config, batch.account), others, self.context, batch)

    def _spend_read(self) -> None:
        for rate in ("read", "read_project"):
            self.context.spend(rate)


def _counted(account: ServiceAccount, spreadsheet: str) -> Account:
    each, project = account.email, account.project
    keys = {"write": each, "read": each, "write_project": project, "read_project": project}
    return Account(each, {"spreadsheet": spreadsheet, **keys})


def _try(account: ServiceAccount, spreadsheet: str) -> dict[str, Any]:
    """What the spreadsheet says of itself, after a change that leaves nothing. Raises ConfigurationError."""
    client = SheetsClient(account, spreadsheet)
    found = client.get(FIELDS)
    try:
        client.batch_update(probe(PROBE))
    except RejectedError as error:
        raise ConfigurationError(
            _("Google refuses changes of this spreadsheet."),
            remedy=_("Make sure that it can be edited by %(email)s.") % {"email": account.email},
        ) from error
    return found
