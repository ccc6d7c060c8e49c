"""The column of submission ids, read in pages: what a spreadsheet holds, whatever the ledger says."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.sinks.builtin.google_sheets.cells import column_name, quoted
from apps.sinks.builtin.google_sheets.client import RejectedError, SheetsClient
from apps.sinks.builtin.google_sheets.memory import FIELDS, ID, Memory, Tab
from apps.sinks.contract import RetryableError

PAGE = 100_000  # rows; about 4 MB, so that most tabs are read in one call

ReadValues = Callable[[str], list[list[Any]]]


def pages_of(client: SheetsClient, worksheet: str, spend: Callable[[], None]) -> Iterator[list[UUID]]:
    """The ids of a worksheet of the settings; nothing where there is no such tab.

    Each call is paid for with `spend`. Raises RetryableError where the tab changed meanwhile, so that a row may have
    slipped from one page to another.
    """
    before = _seen(client, worksheet, spend)
    if before is None:
        return

    def values(area: str) -> list[list[Any]]:
        spend()
        try:
            return client.values(area)
        except RejectedError as error:
            raise _changed() from error

    yield from ids_in(before, values)
    after = _seen(client, worksheet, spend)
    if after is None or (after.title, after.tags.get(ID)) != (before.title, before.tags.get(ID)):
        raise _changed()
    if after.rows < before.rows and before.rows > PAGE:
        raise _changed()


def ids_in(tab: Tab, values: ReadValues) -> Iterator[list[UUID]]:
    """Page by page, in the order of the rows; what is no id is left out."""
    if ID not in tab.tags:
        return
    name, title = column_name(tab.tags[ID]), quoted(tab.title)
    for start in range(2, max(tab.rows, 2) + 1, PAGE):
        rows = values(f"{title}!{name}{start}:{name}{start + PAGE - 1}")
        yield [id for row in rows if row and (id := _id(row[0]))]


def _seen(client: SheetsClient, worksheet: str, spend: Callable[[], None]) -> Tab | None:
    spend()
    memory = Memory()
    memory.saw(client.get(FIELDS), 0.0)
    home = memory.home(worksheet)
    return None if home is None else memory.tabs[home]


def _changed() -> RetryableError:
    return RetryableError(_("The tab was changed while it was read."))


def _id(text: Any) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
