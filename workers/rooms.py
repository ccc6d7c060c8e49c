"""What deliveries need of other rooms, as protocols: the modules of those rooms satisfy them as they stand."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from formhub.core.layout import Layout

Place = tuple[int, UUID]  # a submission's position and id


class Stored(Protocol):
    """A row of the archive."""

    @property
    def id(self) -> UUID: ...
    @property
    def form_id(self) -> UUID: ...
    @property
    def version(self) -> int: ...
    @property
    def position(self) -> int: ...
    @property
    def accepted_at(self) -> datetime: ...
    @property
    def late(self) -> bool: ...
    @property
    def answers(self) -> Mapping[str, Any]: ...
    @property
    def meta(self) -> Mapping[str, Any]: ...


class Archive(Protocol):
    """Reads inside the caller's transaction."""

    def archived_below(self, form_id: UUID) -> int:
        """Below this position the archive has everything of the form."""

    def after(self, form_id: UUID, position: int, below: int | None, limit: int) -> Sequence[Stored]:
        """Rows after a position in order, without those erased."""

    def places(self, form_id: UUID, position: int, below: int, limit: int) -> Sequence[Place]:
        """Like `after`, without reading answers."""

    def positions(self, form_id: UUID, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """By id; what is not there is left out."""

    def by_ids(self, form_id: UUID, ids: Sequence[UUID]) -> Sequence[Stored]:
        """In any order; what was erased is left out."""

    def oldest_after(self, pairs: Sequence[tuple[UUID, int]]) -> list[datetime | None]:
        """For each (form, position) when the first row after it was archived; None where there is none."""


class Forms(Protocol):
    def layout(self, form_id: UUID) -> Layout: ...

    def title(self, form_id: UUID) -> str: ...

    def pages(self, form_id: UUID) -> str:
        """The address that, followed by an id, shows a submission; empty if it is not known."""
