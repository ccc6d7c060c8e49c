"""The promise, checked: what was accepted is in the archive once and in the Sheet once, in order; what was refused is
nowhere; of what nobody knows at most one is there; nothing else is.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise

from tests.faults.harness.journal import History

SHOWN = 5


@dataclass(frozen=True)
class Row:
    """A row of the archive. key: the client's, as its answers carry it."""

    id: str
    key: str
    digest: str


@dataclass(frozen=True)
class Place:
    """Where a form's submissions stand. log: ids in the order of their first record, as far as the log still goes.

    failed: ids that were parked, and owed to no Sheet any more. late: those that somebody asked to have delivered
    again; they keep their order among themselves, and the others keep theirs.
    """

    archive: Sequence[Row] = ()
    sheet: Sequence[str] = ()
    log: Sequence[str] = ()
    failed: Set[str] = frozenset()
    late: Set[str] = frozenset()


@dataclass
class Verdict:
    """Ids or keys that break the promise, each with the place where it shows."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)  # refused, and there all the same
    invented: list[str] = field(default_factory=list)  # never sent, or not as it was sent
    contradicted: list[str] = field(default_factory=list)  # one key, two answers

    @property
    def good(self) -> bool:
        return not any(vars(self).values())

    def __str__(self) -> str:
        return "; ".join(f"{len(found)} {name}: {found[:SHOWN]}" for name, found in vars(self).items() if found)


def check(history: History, places: Mapping[str, Place]) -> Verdict:
    """`places`: by form. Forms that nobody sent to must be empty as well."""
    verdict = Verdict()
    for key, call in history.items():
        if len(call.ids) > 1 or (call.ids and call.refused):
            verdict.contradicted.append(key)
    for form in {call.form for call in history.values()} | places.keys():
        mine = {key: call for key, call in history.items() if call.form == form}
        _check_form(mine, places.get(form, Place()), verdict)
    return verdict


def _check_form(history: History, place: Place, verdict: Verdict) -> None:
    archived = [row.id for row in place.archive]
    accepted = {submission for call in history.values() for submission in call.ids}
    verdict.lost += [f"archive {id}" for id in accepted - set(archived)]
    # Whatever is in the archive is owed to the Sheet, also where the client never heard of it.
    verdict.lost += [f"sheet {id}" for id in (accepted | set(archived)) - set(place.sheet) - place.failed]
    verdict.doubled += [f"archive {id}" for id in _repeated(archived)]
    verdict.doubled += [f"archive {key}" for key in _repeated([row.key for row in _firsts(place.archive)])]
    verdict.doubled += [f"sheet {id}" for id in _repeated(place.sheet)]
    verdict.disordered += [f"archive {id}" for id in _disordered(archived, place.log)]
    for late in (False, True):
        together = [id for id in place.sheet if (id in place.late) is late]
        verdict.disordered += [f"sheet {id}" for id in _disordered(together, archived)]
    verdict.invented += [f"sheet {id}" for id in set(place.sheet) - (set(archived) - place.failed)]
    for row in place.archive:
        call = history.get(row.key)
        if call is None or call.digest != row.digest or (call.ids and row.id not in call.ids):
            verdict.invented.append(f"archive {row.id}")
        elif call.refused:
            verdict.leaked.append(f"archive {row.id}")


def _firsts(rows: Sequence[Row]) -> list[Row]:
    return list({row.id: row for row in rows}.values())


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _disordered(found: Sequence[str], wanted: Sequence[str]) -> list[str]:
    rank = {id: index for index, id in enumerate(dict.fromkeys(wanted))}
    known = [id for id in dict.fromkeys(found) if id in rank]
    return [later for earlier, later in pairwise(known) if rank[later] < rank[earlier]]
