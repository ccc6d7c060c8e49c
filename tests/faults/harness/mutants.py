"""FormHub with one of its safeguards taken out, to see that the suite notices. No file is edited: names are replaced in
a process that was started for it, and what lies in the database is taken away by SQL.
"""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """`case`: the one that has to notice, by its test's name. patch: within a process. sql: once, after migrating."""

    says: str
    case: str
    patch: Callable[[], None] = lambda: None
    sql: tuple[str, ...] = field(default_factory=tuple)


def install(name: str) -> None:
    """Into this process, which runs with Django set up."""
    if name:
        MUTANTS[name].patch()


def commit_before_write() -> None:
    from django.db import transaction

    from apps.archive import writer
    from workers.archiving import ArchiveHandler

    handle, advance = ArchiveHandler.handle, writer.advance

    def hasty(self: ArchiveHandler, taken: Any) -> None:
        with transaction.atomic():
            advance(taken.topic_id, taken.moves)
        handle(self, taken)

    writer.advance = lambda topic_id, spans: None
    ArchiveHandler.handle = hasty  # type: ignore[method-assign]


def no_unique_index() -> None:
    from apps.archive import writer

    writer._INSERT = writer._INSERT.replace("ON CONFLICT (form_id, id) DO NOTHING", "")


def removed_before_delivery() -> None:
    from workers import outcomes
    from workers.offer import Offer, Result

    call = Offer._call

    def hasty(self: Offer, content: Any) -> Result:
        outcomes.delivered(self.lease, self.batch, self.batch.destination.state)
        with suppress(Exception):
            call(self, content)
        return Result.DELIVERED

    Offer._call = hasty  # type: ignore[method-assign]


def blind_retry() -> None:
    from apps.sinks.builtin.google_sheets import delivery
    from apps.sinks.builtin.google_sheets.delivery import Delivery
    from apps.sinks.builtin.google_sheets.draft import MARKERS_FROM

    def any_marker(self: Delivery, highest: int) -> int:
        return MARKERS_FROM + secrets.randbelow(10**8)

    vars(delivery)["_kept"] = lambda batch: (None, set())
    Delivery._next_marker = any_marker  # type: ignore[method-assign]
    Delivery._find_present = lambda self: set()  # type: ignore[method-assign]


MUTANTS: Mapping[str, Mutant] = {
    "commit-before-write": Mutant(
        "offsets move before the archive is written",
        "test_consumer_ends[before the archive write]",
        commit_before_write,
    ),
    "no-unique-index": Mutant(
        "the archive's key (form, id) is gone",
        "test_offsets_rewound",
        no_unique_index,
        ("ALTER TABLE archive_submission DROP CONSTRAINT IF EXISTS archive_submission_pkey CASCADE",),
    ),
    "removed-before-delivery": Mutant(
        "a batch is taken off the list before it is delivered",
        "test_worker_ends[before the call to Google]",
        removed_before_delivery,
    ),
    "no-item-key": Mutant(
        "the ledger's key (action, submission) is gone",
        "test_ledger_asked_again",
        sql=("ALTER TABLE sinks_batchitem DROP CONSTRAINT IF EXISTS sinks_batchitem_pkey CASCADE",),
    ),
    "blind-retry": Mutant(
        "a call to Google whose answer was lost is simply sent again",
        "test_google[503, applied all the same]",
        blind_retry,
    ),
}
