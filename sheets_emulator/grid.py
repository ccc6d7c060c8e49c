"""The rows of a tab, kept in blocks that copies share: a copy of 100,000 rows costs about a hundred references."""

from collections.abc import Iterable, Iterator
from typing import Any

BLOCK = 1024


class Rows:
    """A list of rows. Blocks are tuples and never change, every one but the last is full."""

    __slots__ = ("_blocks",)

    def __init__(self, rows: Iterable[tuple[Any, ...]] = ()) -> None:
        self._blocks: list[tuple[tuple[Any, ...], ...]] = []
        self.extend(rows)

    def copy(self) -> "Rows":
        twin = Rows()
        twin._blocks = self._blocks.copy()
        return twin

    def __len__(self) -> int:
        return (len(self._blocks) - 1) * BLOCK + len(self._blocks[-1]) if self._blocks else 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for block in self._blocks:
            yield from block

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._blocks[index // BLOCK][index % BLOCK]

    def __setitem__(self, index: int, row: tuple[Any, ...]) -> None:
        number, place = divmod(index, BLOCK)
        block = self._blocks[number]
        self._blocks[number] = (*block[:place], row, *block[place + 1 :])

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Rows | list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def between(self, start: int, end: int | None = None) -> list[tuple[Any, ...]]:
        """The rows from `start` up to `end`, as far as there are any."""
        end = len(self) if end is None else min(end, len(self))
        found: list[tuple[Any, ...]] = []
        for number in range(start // BLOCK, -(-end // BLOCK)):
            block = self._blocks[number]
            found += block[max(0, start - number * BLOCK) : end - number * BLOCK]
        return found

    def replace(self, start: int, end: int, rows: Iterable[tuple[Any, ...]]) -> None:
        """Put `rows` where those from `start` to `end` stood. Blocks before `start` stay shared."""
        rest = self.between(max(start, end))
        self.cut(start)
        self.extend(rows)
        self.extend(rest)

    def cut(self, count: int) -> None:
        """Keep the first `count` rows."""
        del self._blocks[-(-count // BLOCK) :]
        if self._blocks and count < len(self):
            self._blocks[-1] = self._blocks[-1][: count - (len(self._blocks) - 1) * BLOCK]

    def extend(self, rows: Iterable[tuple[Any, ...]]) -> None:
        fresh = tuple(rows)
        if self._blocks and len(self._blocks[-1]) < BLOCK:
            fresh = (*self._blocks.pop(), *fresh)
        self._blocks += [fresh[at : at + BLOCK] for at in range(0, len(fresh), BLOCK)]
