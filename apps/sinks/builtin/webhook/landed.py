"""What of a batch has landed though its last request failed: kept in the destination's memory for the repeat.

A batch is not one call here but one for each submission. Losing this is harmless: a receiver then gets a submission
once more, under the id it knows.
"""

from collections.abc import MutableMapping, Sequence
from typing import Any

from apps.sinks.contract import Batch, Part, Submission

KEPT_MAX = 500
MEMBER = "landed"


class Landed:
    def __init__(self, state: MutableMapping[str, Any]) -> None:
        self._state = state

    def missing(self, part: Part) -> tuple[Submission, ...]:
        known = set(self._keys)
        return tuple(submission for submission in part.submissions if _key(part, submission) not in known)

    def add(self, part: Part, submissions: Sequence[Submission]) -> None:
        self._store([*self._keys, *(_key(part, submission) for submission in submissions)])

    def forget(self, batch: Batch) -> None:
        done = {_key(part, submission) for part in batch.parts for submission in part.submissions}
        self._store([key for key in self._keys if key not in done])

    @property
    def _keys(self) -> list[str]:
        return list(self._state.get(MEMBER, ()))

    def _store(self, keys: list[str]) -> None:
        self._state.pop(MEMBER, None)
        if keys:
            self._state[MEMBER] = keys[-KEPT_MAX:]


def _key(part: Part, submission: Submission) -> str:
    return f"{part.binding}:{submission.id}"
