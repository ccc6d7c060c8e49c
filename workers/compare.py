"""Hold what a destination shows against archive and ledger: after a restored backup, or after people changed a Sheet.

Only for kinds that can tell what stands there. Their ids are put aside in a temporary file, so that no memory has to
hold them, and nothing is locked while a service is asked, page by page. All of it may be ended and repeated.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from apps.sinks import replay
from apps.sinks.contract import BackpressureError, Context, Sink
from apps.sinks.models import Batch, BatchItem, BatchState, Binding, Destination, Parked
from formhub.core.clock import Clock
from formhub.core.ids import uuid7
from workers.compose import opened
from workers.ledger import insert_places, new_batch
from workers.limits import Charge, Limiter
from workers.rooms import Archive, Place

CHUNK = 1000
NAMED = 100  # ids that are named; the others are only counted
WAITS = 20  # for a rate, one after the other


class CannotTellError(Exception):
    """What stands there cannot be known, or not for which action."""


@dataclass(slots=True)
class Compared:
    """recorded: stood there, and the ledger did not know; it does now. strangers: no archive has them. gone: were
    delivered and stand there no more. resent: of those, asked for again.
    """

    shown: int = 0
    recorded: int = 0
    strangers: int = 0
    gone: int = 0
    resent: int = 0
    named: dict[str, list[UUID]] = field(default_factory=lambda: {"strangers": [], "gone": []})

    def name(self, what: str, ids: Sequence[UUID]) -> None:
        self.named[what] += ids[: NAMED - len(self.named[what])]


@dataclass(frozen=True, slots=True)
class Comparison:
    kinds: Callable[[str], type[Sink]]
    archive: Archive
    limiter: Limiter
    clock: Clock
    sleep: Callable[[float], None] = time.sleep

    def run(self, binding: Binding, *, resend: bool, told: Callable[[int], None] = lambda shown: None) -> Compared:
        """`told`: after each page how many were seen. Raises CannotTellError and the DeliveryError family."""
        begun, found = self.clock.now(), Compared()
        with closing(_Shown()) as shown:
            for page in self._pages(binding):
                shown.add(page)
                found.shown = shown.count()
                told(found.shown)
            for ids in shown.chunks():
                self._hold_against_ledger(binding, ids, found)
            for done in self._delivered(binding, begun):
                self._look_for(binding, shown.without(done), found, resend=resend)
        return found

    def _pages(self, binding: Binding) -> Iterator[Sequence[UUID]]:
        others = Binding.objects.filter(destination=binding.destination_id, form=binding.form_id).exclude(pk=binding.pk)
        if others.exists():
            raise CannotTellError("Another action of the same form delivers there too: their rows look the same.")
        kind, settings = self.kinds(binding.kind), opened(binding).opened
        destination = Destination.objects.get(pk=binding.destination_id)
        account, *_ = kind.accounts(settings, destination.state)
        charges = {rate.name: Charge(account.rate_keys[rate.name], rate) for rate in kind.policy.rates}
        context = Context(
            destination.organization_id,
            dict(destination.state),
            lambda name: self._spend(charges[name]),
            self.clock,
        )
        pages = kind(settings, context).present()
        if pages is None:
            raise CannotTellError(f"{kind.label} cannot tell what stands at its destinations.")
        yield from pages

    def _spend(self, charge: Charge) -> None:
        for _ in range(WAITS):
            try:
                self.limiter.spend([charge])
            except BackpressureError as error:
                self.sleep(error.after)
            else:
                return
        raise BackpressureError("The calls to the service are used up: try again later.", after=0)

    def _hold_against_ledger(self, binding: Binding, ids: Sequence[UUID], found: Compared) -> None:
        held = BatchItem.objects.filter(binding=binding, submission_id__in=ids).values_list("submission_id", flat=True)
        unknown = set(ids) - set(held)
        if not unknown:
            return
        ours = self.archive.positions(binding.form_id, sorted(unknown))
        found.recorded += _record(binding, [(position, id) for id, position in ours.items()])
        strangers = unknown - ours.keys()
        siblings = Binding.objects.filter(destination=binding.destination_id).exclude(form=binding.form_id)
        for form in siblings.values_list("form_id", flat=True).distinct():
            strangers -= self.archive.positions(form, sorted(strangers)).keys()
        found.strangers += len(strangers)
        found.name("strangers", sorted(strangers))

    def _delivered(self, binding: Binding, before: datetime) -> Iterator[Sequence[UUID]]:
        done = BatchItem.objects.filter(
            binding=binding, batch__state=BatchState.DELIVERED, batch__finished_at__lt=before
        ).order_by("position")
        after = -1
        while places := list(done.filter(position__gt=after).values_list("position", "submission_id")[:CHUNK]):
            after = places[-1][0]
            yield [id for _, id in places]

    def _look_for(self, binding: Binding, missing: Sequence[UUID], found: Compared, *, resend: bool) -> None:
        # Those that were erased may be gone.
        places = self.archive.positions(binding.form_id, missing) if missing else {}
        gone = sorted(places, key=lambda id: places[id])
        found.gone += len(gone)
        found.name("gone", gone)
        if resend and gone:
            found.resent += replay.ask_gone(binding, gone)


def _record(binding: Binding, places: Sequence[Place]) -> int:
    """Write down as delivered what stands there; how many that were."""
    if not places:
        return 0
    with transaction.atomic():
        destination = Destination.objects.select_for_update().get(pk=binding.destination_id)
        # What failed, or waits to be tried again, has arrived after all.
        Parked.objects.filter(binding=binding, submission_id__in=[id for _, id in places]).delete()
        batch_id = uuid7()
        count = len(insert_places(batch_id, binding.pk, places))
        if count:
            batch = new_batch(destination, batch_id, count, late=True)
            done = {"state": BatchState.DELIVERED, "code": "found_there", "finished_at": Now()}
            Batch.objects.filter(pk=batch.pk).update(**done)
            Binding.objects.filter(pk=binding.pk).update(delivered=F("delivered") + count)
        return count


class _Shown:
    """Ids in a file of its own, which goes when it is closed."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("CREATE TABLE shown (id BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, ids: Sequence[UUID]) -> None:
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR IGNORE INTO shown VALUES (?)", [(id.bytes,) for id in ids])
        self._file.execute("COMMIT")

    def count(self) -> int:
        return int(self._file.execute("SELECT count(*) FROM shown").fetchone()[0])

    def chunks(self) -> Iterator[list[UUID]]:
        last = b""
        query = "SELECT id FROM shown WHERE id > ? ORDER BY id LIMIT ?"
        while rows := self._file.execute(query, (last, CHUNK)).fetchall():
            last = rows[-1][0]
            yield [UUID(bytes=id) for (id,) in rows]

    def without(self, ids: Sequence[UUID]) -> list[UUID]:
        """Those that are not shown."""
        one = "SELECT 1 FROM shown WHERE id = ?"
        return [id for id in ids if self._file.execute(one, (id.bytes,)).fetchone() is None]

    def close(self) -> None:
        self._file.close()
