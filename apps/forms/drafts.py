"""The rows of a draft as a tree: which stands where, and moving them about.

A row's place is its parent and its number among the rows inside that parent, counted from 0. In the table rows carry
one `position` over the whole form; it is numbered anew, depth first, whenever something moves.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from apps.forms import document, fields
from apps.forms.models import Field, Form
from apps.forms.rules import STEP


class MisplacedError(ValueError):
    """The row cannot stand there; the message says why."""


@dataclass(frozen=True, slots=True)
class Placed:
    row: Field
    index: int


class Tree:
    """The rows of one form. Changes are made here and written by `save`."""

    def __init__(self, form: Form) -> None:
        self.rows = {row.pk: row for row in form.fields.order_by("position", "id")}
        self._inside: dict[int | None, list[Field]] = {}
        for row in self.rows.values():
            row.form = form
            self._inside.setdefault(row.parent_id, []).append(row)

    def __iter__(self) -> Iterator[Placed]:
        """Depth first; rows inside each other in a circle hang on nothing and come last."""
        seen: set[int] = set()
        for placed in self._walk(None):
            seen.add(placed.row.pk)
            yield placed
        for row in self.rows.values():
            if row.pk not in seen:
                yield Placed(row, self._inside[row.parent_id].index(row))

    def index(self, row: Field) -> int:
        return next(place.index for place in self if place.row.pk == row.pk)

    def put(self, row: Field, parent: Field | None, index: int | None) -> None:
        """Take the row, with all that is in it, to a place; None: the last one. Raises MisplacedError."""
        self.check(row, parent)
        if row.pk in self.rows:
            self._inside[row.parent_id].remove(self.rows[row.pk])
        row.parent = parent
        beside = self._inside.setdefault(row.parent_id, [])
        beside.insert(len(beside) if index is None else index, row)
        self.rows[row.pk] = row

    def holds_others(self, row: Field) -> bool:
        return bool(self._inside.get(row.pk))

    def save(self) -> None:
        changed = []
        for number, place in enumerate(self, start=1):
            if place.row.position != number * STEP:
                place.row.position = number * STEP
                changed.append(place.row)
        Field.objects.bulk_update(changed, ["position"], batch_size=200)

    def _walk(self, parent: int | None) -> Iterator[Placed]:
        for index, row in enumerate(self._inside.get(parent, [])):
            yield Placed(row, index)
            yield from self._walk(row.pk)

    def check(self, row: Field, parent: Field | None) -> None:
        """Whether the row may stand inside `parent`. Raises MisplacedError."""
        if parent is None:
            return
        if row.type == "page":
            raise MisplacedError("A page stands at the top, inside nothing.")
        if parent.type not in fields.TYPES or not fields.get(parent.type).container:
            raise MisplacedError("Only pages and groups hold other fields.")
        above = list(self._above(parent))
        if row.pk in {held.pk for held in above}:
            raise MisplacedError("A field cannot lie inside itself.")
        if len(above) + self._height(row) > document.MAX_DEPTH + 1:
            raise MisplacedError(f"Groups can be {document.MAX_DEPTH - 1} deep.")

    def _above(self, row: Field | None) -> Iterator[Field]:
        """The row and what it lies in, up to the top."""
        seen: set[int] = set()
        while row is not None and row.pk not in seen:
            seen.add(row.pk)
            yield row
            row = self.rows.get(row.parent_id or 0)

    def _height(self, row: Field) -> int:
        return 1 + max((self._height(child) for child in self._inside.get(row.pk, [])), default=0) if row.pk else 1
