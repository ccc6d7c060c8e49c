"""What an action owes by position: pure rules over its revisions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from formhub.core import logic


@dataclass(frozen=True, slots=True)
class Revision:
    from_position: int
    on: bool
    condition: Any = None

    def owes(self, answers: Mapping[str, Any]) -> bool | None:
        """Whether a submission at its positions is owed. None: the condition fails on these answers, nobody can say."""
        if not self.on:
            return False
        try:
            return logic.holds(self.condition, answers)
        except logic.ConditionError:
            return None


class Revisions:
    """The revisions of one action in the order they were made. Before the first one nothing changed: it holds too."""

    def __init__(self, revisions: Iterable[Revision]) -> None:
        self._revisions = sorted(revisions, key=lambda revision: revision.from_position)

    def at(self, position: int) -> Revision:
        """The revision that governs a position: of several made at one position the last."""
        valid = Revision(0, on=True)
        for index, revision in enumerate(self._revisions):
            if index > 0 and revision.from_position > position:
                break
            valid = revision
        return valid

    def start_after(self, settled_to: int) -> int | None:
        """Where to go on looking: `settled_to`, or the end of an interval in which nothing is owed, which needs no
        reading. None: nothing after it is owed as things stand.
        """
        if self.at(settled_to + 1).on:
            return settled_to
        later = (r for r in self._revisions if r.from_position > settled_to + 1 and self.at(r.from_position).on)
        following = next(later, None)
        return None if following is None else following.from_position - 1
