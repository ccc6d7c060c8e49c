"""One offer of one batch: look at the spreadsheet, send one batchUpdate, find out what a refusal or silence means."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

import orjson
from django.conf import settings
from django.utils.translation import gettext as _

from apps.sinks.builtin.google_sheets import memory as memories
from apps.sinks.builtin.google_sheets.cells import zone_of
from apps.sinks.builtin.google_sheets.client import AccountRefusedError, RejectedError, SheetsClient
from apps.sinks.builtin.google_sheets.config import ServiceAccount, lines
from apps.sinks.builtin.google_sheets.draft import MARKERS_FROM, Draft, draft, lead_on
from apps.sinks.builtin.google_sheets.ids import ids_in
from apps.sinks.builtin.google_sheets.memory import FIELDS, FULL, Tab
from apps.sinks.contract import (
    AmbiguousError,
    Batch,
    ConfigurationError,
    Confirmation,
    Context,
    DeliveryError,
    Part,
    PermanentError,
    RelocatedError,
    RetryableError,
)

# How old our knowledge of tabs and columns may be: people move columns, and set filters, while rows come in. So there
# is a look before nearly each write: reads have a quota of their own, as large, and each offer has paid for one.
LOOK_SECONDS = 1
# Google ends a call after 180 s; what has not landed by then never will.
LATE = timedelta(seconds=200)
DRAFTS = 4  # of one batch within one call: after each refusal we know more
JUMP = 10_000
# Where the ledger is older than the spreadsheet: how far the clock that stamped a submission may be ahead of ours.
SKEW_SECONDS = 600
BARRED_SECONDS = 3600  # until an account that was refused is tried again, where others can do its work


class Delivery:
    """What makes a batch land once is the marker: an attempt that is applied late and a repeat carry the same one, so
    only the first of them to arrive is taken. The columns are those of today in each attempt.

    Where a marker cannot tell (it was pruned meanwhile, or the ledger is older than the spreadsheet) the column of ids
    does: the rows that stand there are left out, and so count as delivered.
    """

    def __init__(self, account: ServiceAccount, accounts: Sequence[str], context: Context, batch: Batch) -> None:
        self._email = account.email
        self._accounts = accounts
        self._context = context
        self._batch = batch
        self._client = SheetsClient(account, batch.parts[0].config["spreadsheet"])
        self._memory = memories.load(context.state)
        self._looked = False  # in this call, so that what we know is not to blame for a refusal
        self._paid = {"read", "write"}  # the engine has charged one call of each rate
        self._marker, self._present = _kept(batch)

    def run(self) -> None:
        """Returning means that every row stands in the spreadsheet."""
        try:
            self._deliver()
        except AccountRefusedError as error:
            self._refused(error)
        finally:
            self._memory.store(self._context.state)

    def confirm(self) -> Confirmation:
        if self._marker and self._holder(self._marker) == self._batch.id.hex:
            return Confirmation.LANDED
        if self._may_land_yet():
            return Confirmation.UNKNOWN
        return Confirmation.LANDED if self._find_present() >= set(self._batch.ids) else Confirmation.ABSENT

    # Steps

    def _deliver(self) -> None:
        # A look that is still to come was taken by a worker with another clock.
        if self._batch.ambiguous or not 0 <= self._now() - self._memory.read_at <= LOOK_SECONDS:
            self._look()
        if not self._batch.ambiguous:
            self._settle_on_marker()
            self._move_on()
        for _attempt in range(DRAFTS):
            offered = self._draft()
            refusal = self._send(offered) if offered else None
            if offered is None or refusal is None or self._landed_before(offered, refusal):
                return
        raise RetryableError(_("The spreadsheet changes faster than rows can be written to it."))

    def _draft(self) -> Draft | None:
        """Its marker is written down before it is sent. None: every row stands there already."""
        if self._memory.markers.get(self._marker or 0) == self._batch.id.hex:
            return None
        marker = self._settle_on_marker()
        try:
            made = draft(self._batch, marker, self._memory, self._values, self._now(), self._present)
        except ConfigurationError:
            self._memory.forget_lost_homes()  # so that resuming begins a new tab
            raise
        if made.empty:
            return None
        self._batch.keep(orjson.dumps({"marker": marker, "present": sorted(map(str, self._present))}))
        return made

    def _settle_on_marker(self) -> int:
        """The marker of the next attempt; what stands in the spreadsheet is known where that may be anything."""
        highest = max(self._memory.markers, default=0)
        if self._marker is not None and self._marker < highest and not self._may_land_yet():
            self._marker = None  # others came after it: it may have landed and been pruned
            self._memory.doubt = max(self._memory.doubt, self._now() + SKEW_SECONDS)
        if self._marker is None:
            self._marker = self._next_marker(highest)
            if self._doubtful():
                self._present |= self._find_present()
        return self._marker

    def _next_marker(self, highest: int) -> int:
        marker = MARKERS_FROM + self._memory.shift + self._batch.sequence
        if highest < marker:
            return marker
        # The spreadsheet is ahead of the ledger: it was restored from a backup, or somebody else writes too. Whatever
        # was accepted until now may stand there; what comes later is in this ledger before it is written.
        self._memory.shift += highest + 1 - marker
        self._memory.doubt = self._now() + SKEW_SECONDS
        return highest + 1

    def _doubtful(self) -> bool:
        if self._batch.late:
            return True
        accepted = (submission.accepted_at for part in self._batch.parts for submission in part.submissions)
        return self._memory.doubt > min(accepted, default=datetime.max.replace(tzinfo=UTC)).timestamp()

    def _send(self, offered: Draft) -> RejectedError | None:
        self._spend("write")
        try:
            self._client.batch_update(offered.body)
        except RejectedError as error:
            return error
        self._memory = offered.after
        self._memory.month = self._memory.month or self._month()
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
        elif self._looked and not (self._one_at_stake(refused, refusal) and self._changed()):
            if refusal.full:
                self._move_on(full=True)
            raise self._final(refused, refusal)
        self._look()
        if holder is not None or self._batch.ambiguous is not None:
            self._present = self._find_present()
        return False

    # Going on in another spreadsheet

    def _move_on(self, *, full: bool = False) -> None:
        """Raises RelocatedError where the next spreadsheet is due. What stands here in part is completed here.

        full: Google says so, whatever we count.
        """
        if self._present:
            return
        full = full or self._memory.used > FULL
        for part in self._batch.parts:
            over = part.config.get("monthly") and self._memory.month not in ("", self._month())
            if (full or over) and lines(part.config.get("further", "")):
                self._lead_on(part)
        if full:
            raise self._full()

    def _lead_on(self, part: Part) -> NoReturn:
        target, *rest = lines(part.config["further"])
        home = self._memory.home(part.config["worksheet"])
        tab = self._memory.tabs.get(-1 if home is None else home)
        if home is not None and tab is not None and tab.next != target:
            self._write_link(home, tab, target)
        former = [*lines(part.config.get("former", "")), part.config["spreadsheet"]]
        changes = {"spreadsheet": target, "further": "\n".join(rest), "former": "\n".join(former)}
        message = _("The rows go on in the next spreadsheet, %(id)s.") % {"id": target}
        raise RelocatedError(message, changes=changes, part=part.binding)

    def _write_link(self, number: int, tab: Tab, target: str) -> None:
        base = settings.SHEETS_BASE_URL.rstrip("/")
        address = f"{base}/spreadsheets/{target}" if base else f"https://docs.google.com/spreadsheets/d/{target}"
        self._spend("write")
        try:
            self._client.batch_update(lead_on(number, tab, target, address))
        except RejectedError:
            pass  # it stands there already, or may not be written: rows matter more
        except AmbiguousError as error:
            raise RetryableError(str(error)) from error  # of the link alone, and it carries a mark of its own
        tab.next = target

    # Calls

    def _look(self) -> None:
        self._spend("read")
        self._memory.saw(self._client.get(FIELDS), self._now())
        self._looked = True
        self._memory.forgive(self._now() - BARRED_SECONDS)

    def _holder(self, marker: int) -> str | None:
        """The batch that holds the marker's id."""
        self._spend("read")
        return self._client.marker(marker)

    def _values(self, area: str) -> list[list[Any]]:
        self._spend("read")
        try:
            return self._client.values(area)
        except RejectedError as error:
            self._memory.read_at = 0
            raise RetryableError(_("The tab was changed while it was read.")) from error

    def _find_present(self) -> set[UUID]:
        """The batch's submissions that stand in the spreadsheet, by the id column of its tabs."""
        if not self._looked:
            self._look()
        homes = {self._memory.home(part.config["worksheet"]) for part in self._batch.parts}
        tabs = [self._memory.tabs[number] for number in homes if number in self._memory.tabs]
        wanted = set(self._batch.ids)
        return {id for tab in tabs for page in ids_in(tab, self._values) for id in page if id in wanted}

    def _spend(self, name: str) -> None:
        if name in self._paid:
            self._paid.remove(name)
            return
        for rate in (name, f"{name}_project"):
            self._context.spend(rate)

    def _now(self) -> float:
        return self._context.clock.now().timestamp()

    def _month(self) -> str:
        return f"{self._context.clock.now().astimezone(zone_of(self._memory.zone)):%Y-%m}"

    # What it means

    def _may_land_yet(self) -> float:
        """Seconds for which an earlier attempt may still be applied; 0 if there is none, or none any more."""
        if self._batch.ambiguous is None:
            return 0.0
        until = self._batch.ambiguous + LATE
        return max(0.0, (until - self._context.clock.now()).total_seconds())

    def _refused(self, error: AccountRefusedError) -> NoReturn:
        """Go on with another account, if there is one; a batch that may have landed is the same account's."""
        others = set(self._accounts) - {self._email} - self._memory.barred.keys()
        if self._batch.ambiguous is not None or not others:
            self._memory.barred = {}  # resuming begins with all of them
            raise error
        self._memory.barred[self._email] = self._now()
        raise RetryableError(str(error), after=1) from error

    def _one_at_stake(self, refused: Draft, refusal: RejectedError) -> bool:
        """Whether a refusal would be held against a single submission, which is put aside for it."""
        part = _part_of(refused, refusal)
        return sum(len(each.submissions) for each in self._batch.parts if part in (None, each.binding)) == 1

    def _changed(self) -> bool:
        """Whether somebody changed the spreadsheet between our look and our write."""
        known = self._memory.tabs
        self._look()
        return self._memory.tabs != known

    def _final(self, refused: Draft, refusal: RejectedError) -> DeliveryError:
        part = _part_of(refused, refusal)
        if refusal.full:
            return self._full()
        if refusal.locked:
            return ConfigurationError(
                _("A protected range keeps %(email)s from writing to the tab.") % {"email": self._email},
                remedy=_("Make %(email)s an editor of the range in the sheet, or unprotect it, and resume.")
                % {"email": self._email},
                part=part,
            )
        return PermanentError(_("Google refuses these rows."), code="refused_by_google", part=part)

    def _full(self) -> ConfigurationError:
        return ConfigurationError(
            _("The spreadsheet is full: Google's limit is 10 million cells, blank ones included."),
            remedy=_("Share another spreadsheet and enter its address here; what waits is written there."),
        )


def _part_of(refused: Draft, refusal: RejectedError) -> int | None:
    """The action whose rows Google names; None if it names none."""
    index = refusal.index
    return refused.parts[index] if index is not None and index < len(refused.parts) else None


def _kept(batch: Batch) -> tuple[int | None, set[UUID]]:
    """The marker of the attempts that may have landed, and what stood in the spreadsheet before them."""
    if batch.kept is None or batch.ambiguous is None:
        return None, set()
    kept = orjson.loads(batch.kept)
    return int(kept["marker"]), {UUID(id) for id in kept["present"]}
