"""The sink: look at the spreadsheet, send one batchUpdate, and find out what a refusal or a lost answer means."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.sinks.builtin.google_sheets import memory as memories
from apps.sinks.builtin.google_sheets.client import RejectedError, SheetsClient
from apps.sinks.builtin.google_sheets.config import GoogleSheetsConfig, account_of
from apps.sinks.builtin.google_sheets.draft import MARKERS_FROM, Draft, draft, id_area, probe
from apps.sinks.builtin.google_sheets.memory import CELLS_MAX, FIELDS, Memory
from apps.sinks.contract import (
    Batch,
    ConfigurationError,
    Confirmation,
    DeliveryError,
    PermanentError,
    Policy,
    Rate,
    RetryableError,
    Sink,
)

# How old our knowledge of tabs and columns may be: people move columns while rows come in.
LOOK_SECONDS = 60
# Google ends a call after 180 s; what has not landed by then never will.
LATE = timedelta(seconds=200)
DRAFTS = 4  # of one batch within one call: after each refusal we know more
FULL = 0.95
JUMP = 10_000
PROBE = MARKERS_FROM - 1


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
    def account(cls, config: Mapping[str, Any]) -> str:
        return account_of(config).email

    @classmethod
    def rate_keys(cls, config: Mapping[str, Any]) -> Mapping[str, str]:
        account = account_of(config)
        return {
            "spreadsheet": cls.destination(config),
            "write": account.email,
            "read": account.email,
            "write_project": account.project,
            "read_project": account.project,
        }

    def deliver(self, batch: Batch) -> None:
        Delivery(self, batch).run()

    def confirm(self, batch: Batch) -> Confirmation:
        return Delivery(self, batch).confirm()

    def check(self) -> str:
        client = self.client()
        memory = Memory()
        memory.saw(client.get(FIELDS), self.now())
        try:
            client.batch_update(probe(PROBE))
        except RejectedError as error:
            raise ConfigurationError(
                _("Google refuses changes of this spreadsheet."),
                remedy=_("Make sure that it can be edited by %(email)s.") % {"email": self.account(self.config)},
            ) from error
        return _("Connected to “%(title)s” as %(email)s. It is %(percent).0f %% full.") % {
            "title": memory.title,
            "email": self.account(self.config),
            "percent": 100 * memory.cells / CELLS_MAX,
        }

    def client(self) -> SheetsClient:
        return SheetsClient(account_of(self.config), self.destination(self.config))

    def now(self) -> float:
        return self.context.clock.now().timestamp()


class Delivery:
    """One offer of one batch.

    What makes it land once is the marker: an attempt that is applied late and a repeat carry the same one, so only
    the first of them to arrive is taken. The columns are those of today in each attempt.
    """

    def __init__(self, sink: GoogleSheets, batch: Batch) -> None:
        self._sink = sink
        self._batch = batch
        self._client = sink.client()
        self._memory = memories.load(sink.context.state)
        self._looked = False  # in this call, so that what we know is not to blame for a refusal
        self._paid = {"read", "write"}  # the engine has charged one call of each rate
        self._marker, self._present = _kept(batch)

    def run(self) -> None:
        """Returning means that every row stands in the spreadsheet."""
        try:
            if self._batch.ambiguous or self._sink.now() - self._memory.read_at > LOOK_SECONDS:
                self._look()
            for _attempt in range(DRAFTS):
                offered = self._draft()
                refusal = self._send(offered) if offered else None
                if offered is None or refusal is None or self._landed_before(offered, refusal):
                    return
            raise RetryableError(_("The spreadsheet changes faster than rows can be written to it."))
        finally:
            self._memory.store(self._sink.context.state)

    def confirm(self) -> Confirmation:
        if self._marker and self._holder(self._marker) == self._batch.id.hex:
            return Confirmation.LANDED
        if self._may_land_yet():
            return Confirmation.UNKNOWN
        self._look()
        return Confirmation.LANDED if self._find_present() >= set(self._batch.ids) else Confirmation.ABSENT

    # Steps

    def _draft(self) -> Draft | None:
        """Its marker is written down before it is sent. None: every row stands there already."""
        if self._memory.markers.get(self._marker or 0) == self._batch.id.hex:
            return None
        marker = self._marker or self._next_marker()
        if self._memory.cells > FULL * CELLS_MAX:
            raise self._full()
        try:
            made = draft(self._batch, marker, self._memory, self._values, self._sink.now(), self._present)
        except ConfigurationError:
            self._memory.forget_lost_homes()  # so that resuming begins a new tab
            raise
        if made.empty:
            return None
        self._marker = marker
        self._batch.keep(orjson.dumps({"marker": marker, "present": sorted(map(str, self._present))}))
        return made

    def _next_marker(self) -> int:
        marker = MARKERS_FROM + self._memory.shift + self._batch.sequence
        highest = max(self._memory.markers, default=0)
        if highest < marker:
            return marker
        # The spreadsheet is ahead of the ledger: it was restored from a backup, or somebody else writes too.
        self._memory.shift += highest + 1 - marker
        self._present = self._find_present()
        return highest + 1

    def _send(self, offered: Draft) -> RejectedError | None:
        self._spend("write")
        try:
            self._client.batch_update(offered.body)
        except RejectedError as error:
            return error
        self._memory = offered.after
        return None

    def _landed_before(self, refused: Draft, refusal: RejectedError) -> bool:
        """Whether the refusal means that an earlier attempt was applied; if not, what is needed to try once more.

        The marker tells, not Google's text. Raises the DeliveryError family where trying again is of no use now.
        """
        assert self._marker is not None
        holder = self._holder(self._marker)
        if holder == self._batch.id.hex:
            self._memory.read_at = 0
            return True
        if holder is None and (wait := self._may_land_yet()):
            raise RetryableError(_("An earlier attempt may still arrive."), after=wait)
        if holder is not None or refusal.index == 0:
            # Somebody else's marker; a refusal that names it while we see none: one of another Cloud project.
            self._memory.shift += 1 if holder is not None else JUMP
            self._marker = None
        elif self._looked:
            raise self._final(refused, refusal)
        self._look()
        if holder is not None or self._batch.ambiguous is not None:
            self._present = self._find_present()
        return False

    # Calls

    def _look(self) -> None:
        self._spend("read")
        self._memory.saw(self._client.get(FIELDS), self._sink.now())
        self._looked = True

    def _holder(self, marker: int) -> str | None:
        """The batch that holds the marker's id."""
        self._spend("read")
        return self._client.marker(marker)

    def _values(self, area: str) -> list[list[Any]]:
        self._spend("read")
        return self._client.values(area)

    def _find_present(self) -> set[UUID]:
        """The batch's submissions that stand in the spreadsheet, by the id column of its tabs."""
        homes = {self._memory.home(part.config["worksheet"]) for part in self._batch.parts}
        tabs = [self._memory.tabs[number] for number in homes if number in self._memory.tabs]
        areas = [area for area in map(id_area, tabs) if area]
        found = {str(row[0]) for area in areas for row in self._values(area) if row}
        return {id for id in self._batch.ids if str(id) in found}

    def _spend(self, name: str) -> None:
        if name in self._paid:
            self._paid.remove(name)
            return
        for rate in (name, f"{name}_project"):
            self._sink.context.spend(rate)

    # What it means

    def _may_land_yet(self) -> float:
        """Seconds for which an earlier attempt may still be applied; 0 if there is none, or none any more."""
        if self._batch.ambiguous is None:
            return 0.0
        until = self._batch.ambiguous + LATE
        return max(0.0, (until - self._sink.context.clock.now()).total_seconds())

    def _final(self, refused: Draft, refusal: RejectedError) -> DeliveryError:
        index = refusal.index
        part = refused.parts[index] if index is not None and index < len(refused.parts) else None
        if refusal.full:
            return self._full()
        if refusal.locked:
            email = self._sink.account(self._sink.config)
            return ConfigurationError(
                _("A protected range keeps %(email)s from writing to the tab.") % {"email": email},
                remedy=_("Make %(email)s an editor of the range in the sheet, or unprotect it, and resume.")
                % {"email": email},
                part=part,
            )
        return PermanentError(_("Google refuses these rows."), code="refused_by_google", part=part)

    def _full(self) -> ConfigurationError:
        return ConfigurationError(
            _("The spreadsheet is full: Google's limit is 10 million cells, blank ones included."),
            remedy=_("Share another spreadsheet and enter its address here; what waits is written there."),
        )


def _kept(batch: Batch) -> tuple[int | None, set[UUID]]:
    """The marker of the attempts that may have landed, and what stood in the spreadsheet before them."""
    if batch.kept is None or batch.ambiguous is None:
        return None, set()
    kept = orjson.loads(batch.kept)
    return int(kept["marker"]), {UUID(id) for id in kept["present"]}
