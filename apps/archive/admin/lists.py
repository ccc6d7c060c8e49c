"""Lists of millions of rows: newest first by a column that only grows, a page from where the last one ended.

Nothing is counted and nothing is skipped: an index gives a page at any depth in the same time.
"""

from typing import Any, ClassVar

from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

NEWER = "-"  # before a place: what is newer than it


class DeepList(ChangeList):
    """The address's page holds a place: that of the last row before the page, or with a dash, of the first after it."""

    place: ClassVar[str] = "pk"

    def get_results(self, request: HttpRequest) -> None:
        page: str = request.GET.get(PAGE_VAR, "")
        edge = _whole(page.removeprefix(NEWER))
        found, newer, older = self._page(page.startswith(NEWER), edge)
        self.newer_link = self._link(found[0], NEWER) if newer else ""
        self.older_link = self._link(found[-1]) if older else ""
        self.result_list = found
        self.result_count = self.full_result_count = len(found)  # nobody knows more, so no page speaks of a total
        self.show_full_result_count = self.show_admin_actions = False
        self.can_show_all = self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)

    def _page(self, upwards: bool, edge: int | None) -> tuple[list[Any], bool, bool]:
        """The rows, whether there are newer ones, and whether there are older ones."""
        rows, size = self.queryset.order_by(f"-{self.place}"), self.list_per_page
        if upwards and edge is not None:
            found = list(self._beyond(rows, "gt", edge).reverse()[: size + 1])
            if len(found) > size:
                return found[:size][::-1], True, True
            edge = None  # nothing newer is left out: this is the first page
        found = list((rows if edge is None else self._beyond(rows, "lt", edge))[: size + 1])
        if not found and edge is not None:
            return self._page(upwards=False, edge=None)
        return found[:size], edge is not None, len(found) > size

    def _beyond(self, rows: QuerySet[Any], side: str, edge: int) -> QuerySet[Any]:
        return rows.filter(**{f"{self.place}__{side}": edge})

    def _link(self, row: Any, direction: str = "") -> str:
        return self.get_query_string({PAGE_VAR: f"{direction}{getattr(row, self.place)}"})


def _whole(text: str) -> int | None:
    # Longer ones are no places of ours, and Postgres would refuse them.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
